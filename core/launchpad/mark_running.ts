/** A launch begins: it is written, and the workflow is told that its Firework runs. */
import type { Document } from 'mongodb';
import { bulkWrite, throwFailed } from './bulk_write.ts';
import type { Place } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import { numberOf } from './values.ts';

/**
 * Writes a launch and sets the entry of its Firework in `fw_states`, without the lock: one atomic write that changes nothing that
 * Python writes under it but this one state. Null while the lock is held, for its holder may put back a copy that it read before:
 * then the state has to be set under the lock like any other.
 *
 * Two commands at once; and one, where the Firework is where the last ones were, as in a workflow of thousands that have the same
 * children: then the place that is only a guess is a condition of the write.
 */
export async function writeBegun(
  launchpad: LaunchPad,
  fwId: number,
  launch: Document,
): Promise<Place | null> {
  const { lastPlaces } = launchpad;
  const guess = lastPlaces.guess;
  const guessed = guess && (await writeTogether(launchpad, fwId, launch, guess));
  if (guessed === 'both') return guess;
  const [place] = await Promise.all([
    markRunning(launchpad, fwId),
    guessed === 'the launch' ? null : insertLaunch(launchpad, launch),
  ]);
  lastPlaces.seen(place);
  return place;
}

/** In doubt a launch may be there already; or a sweep has judged that it never comes, and has written so: then false. */
export async function insertLaunch({ launches }: LaunchPad, launch: Document): Promise<boolean> {
  try {
    await launches.insertOne(launch);
    return true;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === DUPLICATE_KEY) return false;
    throw thrown;
  }
}

const DUPLICATE_KEY = 11000;

/** A workflow of these states is RUNNING when one of its Fireworks is. */
const ORDINARY = ['READY', 'RESERVED', 'RUNNING'];
/** What is held or fizzled in it decides a workflow's state, whatever else starts. */
const AMISS = ['FIZZLED', 'DEFUSED', 'PAUSED'];

const FREE = { locked: { $exists: false } };

/** Null: neither, for the server does not know how. */
async function writeTogether(
  launchpad: LaunchPad,
  fwId: number,
  launch: Document,
  { workflowId, children, amiss }: Place,
): Promise<'both' | 'the launch' | null> {
  const { launches, workflows } = launchpad;
  const { state, set } = markOf(fwId, amiss);
  const there = {
    _id: workflowId,
    ...FREE,
    state,
    [`fw_states.${fwId}`]: { $exists: true },
    [`links.${fwId}`]: children.length > 0 ? children : { $in: [[], null] },
  };
  const done = await bulkWrite(
    launchpad,
    [
      { to: launches, insert: launch },
      { to: workflows, filter: there, update: { $set: set } },
    ],
    { ordered: false },
  );
  if (done === null) return null;
  await throwFailed(done, DUPLICATE_KEY);
  return done[1]?.n ? 'both' : 'the launch';
}

/** What a workflow has to be, and how the start of one of its Fireworks changes it. */
function markOf(fwId: number, amiss: boolean): { state: Document; set: Document } {
  const set = { [`fw_states.${fwId}`]: 'RUNNING', updated_on: new Date() };
  if (amiss) return { state: { $in: AMISS }, set };
  return { state: { $in: ORDINARY }, set: { ...set, state: 'RUNNING' } };
}

/** Sets the entry alone. */
export async function markRunning({ workflows }: LaunchPad, fwId: number): Promise<Place | null> {
  const asked = { projection: { nodes: { $slice: 2 }, [`links.${fwId}`]: 1 } };
  for (const amiss of [false, true]) {
    const { state, set } = markOf(fwId, amiss);
    const workflow = await workflows.findOneAndUpdate({ nodes: fwId, ...FREE, state }, { $set: set }, asked);
    if (!workflow) continue;
    const children = ((workflow.links?.[fwId] ?? []) as unknown[]).map(numberOf);
    return { workflowId: workflow._id, children, alone: workflow.nodes.length === 1, amiss };
  }
  return null;
}

/** Where a connection's last claims were in their workflows. */
export class LastPlaces {
  #last: Place | null = null;
  #twice = false;

  seen(place: Place | null): void {
    this.#twice = place !== null && this.#last !== null && !place.alone && alike(place, this.#last);
    this.#last = place;
  }

  /** Where the next one may be, when the last two were in the same place. */
  get guess(): Place | null {
    return this.#twice ? this.#last : null;
  }
}

const alike = (a: Place, b: Place) =>
  String(a.workflowId) === String(b.workflowId) &&
  a.amiss === b.amiss &&
  a.children.length === b.children.length &&
  a.children.every((child, i) => child === b.children[i]);
