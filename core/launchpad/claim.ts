/** Taking a READY Firework: the one step in which two workers could meet. */
import type { Document } from 'mongodb';
import { jitter, SECOND, sleep } from '../wait.ts';
import { shareLaunch } from './duplicates.ts';
import { ending, launchDocument } from './launch_documents.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerQuery } from './model.ts';
import { ping } from './ping.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isoTime, numberOf, TYPED, timeOf } from './values.ts';

/** A Firework that this worker runs, and the launch that says so. */
export interface Claim {
  fwId: number;
  launchId: number;
  name: string;
  /** Types kept. */
  spec: Doc;
  tasks: Doc[];
  startedAt: Date;
  launchDir: string;
  /** The checkpoint of the first Firetask is written already. */
  begun: boolean;
  /** Where it is in its workflow, as far as that was learnt on the way: a hint, which `complete` checks. */
  place?: Place;
  /** Set by `complete`: when the launch was first tried to be ended. */
  endedAt?: Date;
}

export interface Place {
  workflowId: unknown;
  children: number[];
  /** It is the only one of its workflow. */
  alone: boolean;
}

export interface ClaimOptions {
  /** Where the rocket will run; told the launch's id, so that every launch can have a folder of its own. */
  launchDir: (launchId: number) => string;
  host?: string;
  ip?: string;
  /** Only this Firework. */
  fwId?: number;
  /** The first Firetask begins at once: its checkpoint is written with the launch, which saves a ping. */
  begins?: boolean;
}

/**
 * Checks out the READY Firework of the highest `_priority` that fits the worker (`LaunchPad.checkout_fw`). Null: none.
 * Among equals the oldest goes first (FireWorks: in no order, unless SORT_FWS says FIFO or FILO).
 *
 * The first write, from READY, is atomic: it alone decides who runs it. A worker that has a launch id in hand makes it
 * RUNNING at once, and two round trips are all; one that has none makes it RESERVED, reserves ids, and makes it RUNNING, when
 * nobody has touched it since, in a third. What a crash leaves after each:
 *   RESERVED without a launch    nobody runs it; `freeUnstarted` in a lost-run sweep puts it back to READY;
 *   a launch id that is unused   harmless;
 *   RUNNING                      found by its heartbeat, as any lost run. The launch, and what else is written with it, go out
 *                                at once: when the server dies among them, a launch without its Firework, or a Firework
 *                                without its launch, is left. The same connection's next claim takes such a Firework up, for
 *                                its launch id is still in hand; else the sweep frees or refreshes it.
 */
export async function claim(launchpad: LaunchPad, fworker: FWorker, o: ClaimOptions): Promise<Claim | null> {
  return await checkOut(launchpad, fworker, o, 'RUNNING');
}

/** `LaunchPad.checkout_fw`, for a run now or (RESERVED) in a queue. */
export async function checkOut(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  as: 'RUNNING' | 'RESERVED',
): Promise<Claim | null> {
  const query: Document =
    o.fwId === undefined
      ? { ...fworkerQuery(fworker), state: 'READY' }
      : { fw_id: o.fwId, state: { $in: ['READY', 'RESERVED'] } };
  for (;;) {
    const launchId = as === 'RUNNING' && o.fwId === undefined ? launchpad.launchIds.spare : null;
    let firework = launchId === null ? null : await takeUp(launchpad, launchId);
    if (launchId !== null && launchId !== launchpad.launchIds.spare) continue;
    firework ??= await take(launchpad, query, launchId);
    if (!firework) return null;
    if (launchId !== null) {
      if (isNew(firework)) {
        const started = await start(launchpad, fworker, o, firework, launchId);
        if (started) return started;
        continue;
      }
      firework = await reserveInstead(launchpad, firework, launchId);
      if (!firework) continue;
    }
    if (await shareLaunch(launchpad, firework)) continue;
    const begun = await begin(launchpad, fworker, o, firework, as);
    if (begun) return begun;
  }
}

const TAKEN = { projection: { fw_id: 1, name: 1, spec: 1, launches: 1, updated_on: 1 }, ...TYPED };

/**
 * The Firework that was taken with an id which is in hand still: the answer, or what came after it, was lost on the way. When
 * there is none the id is given up, for a sweep may have put it among the archived launches of a Firework already.
 */
async function takeUp({ fireworks, launchIds }: LaunchPad, launchId: number): Promise<Document | null> {
  if (!launchIds.inDoubt) return null;
  const mine = await fireworks.findOne({ launches: launchId, state: 'RUNNING' }, TAKEN);
  if (!mine) launchIds.used(launchId);
  return mine;
}

/** The best READY Firework, which is RUNNING with `launchId` then, or RESERVED when there is no id. */
async function take(
  { fireworks, launchIds }: LaunchPad,
  query: Document,
  launchId: number | null,
): Promise<Document | null> {
  const updated_on = isoTime();
  const update =
    launchId === null
      ? { $set: { state: 'RESERVED', updated_on } }
      : { $set: { state: 'RUNNING', updated_on }, $push: { launches: launchId } };
  launchIds.inDoubt = launchId !== null;
  const found = await fireworks.findOneAndUpdate(query, update as Document, {
    ...TAKEN,
    sort: { 'spec._priority': -1, created_on: 1 },
    returnDocument: 'after',
  });
  if (!found) launchIds.inDoubt = false;
  return found;
}

/** True when it has no launch but the new one, and no duplicate can have run it: nothing more has to be looked at. */
const isNew = (firework: Document) =>
  firework.launches.length === 1 && !('_dupefinder' in (firework.spec as Doc));

/** Makes a Firework that was made RUNNING too hastily RESERVED. Null: somebody changed it meanwhile. */
async function reserveInstead(
  { fireworks, launchIds }: LaunchPad,
  { fw_id }: Document,
  launchId: number,
): Promise<Document | null> {
  const reserved = await fireworks.findOneAndUpdate(
    { fw_id, state: 'RUNNING', launches: launchId },
    { $set: { state: 'RESERVED', updated_on: isoTime() }, $pull: { launches: launchId } } as Document,
    { ...TAKEN, returnDocument: 'after' },
  );
  launchIds.inDoubt = false;
  return reserved;
}

/** After this long a sweep may have judged a RUNNING Firework, or its launch, to be left by somebody who died. */
const SOON_MS = 2 * SECOND;

/** Writes the launch of a Firework that is RUNNING with it already. Null: it was taken back, or no workflow names it. */
async function start(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  firework: Document,
  launchId: number,
): Promise<Claim | null> {
  const { claim: flown, document } = launchOf(firework, launchId, fworker, o);
  const [place] = await Promise.all([
    markRunning(launchpad, flown.fwId),
    // In doubt it may be there already.
    launchpad.launches.updateOne({ launch_id: launchId }, { $setOnInsert: document }, { upsert: true }),
  ]);
  launchpad.launchIds.used(launchId);
  const takenAt = timeOf(firework.updated_on)?.getTime() ?? 0;
  if (Math.abs(Date.now() - takenAt) > SOON_MS && !(await isStillOurs(launchpad, flown))) {
    await takeBack(launchpad, flown.fwId, document);
    return null;
  }
  return await withPlace(launchpad, flown, document, place);
}

const FIRST_CHECKPOINT = { _task_n: 0, _all_stored_data: {}, _all_update_spec: {}, _all_mod_spec: [] };

/** Writes the launch and the Firework's new state. Null: somebody paused, reran or deleted the Firework meanwhile. */
async function begin(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  firework: Document,
  state: 'RUNNING' | 'RESERVED',
): Promise<Claim | null> {
  const { fireworks, launches } = launchpad;
  const fwId = numberOf(firework.fw_id);
  const before = (firework.launches as unknown[]).map(numberOf);
  // A reservation in a queue becomes this launch.
  const reserved =
    before.length > 0
      ? await launches.findOne({ launch_id: { $in: before }, state: 'RESERVED' }, TYPED)
      : null;
  const launchId = reserved ? numberOf(reserved.launch_id) : await launchpad.launchIds.next(launchpad);
  const { claim: flown, document } = launchOf(firework, launchId, fworker, o, state, reserved);
  const now = reserved ? before : [...before, launchId];
  const [{ matchedCount }, , place] = await Promise.all([
    fireworks.updateOne(
      { fw_id: fwId, state: 'RESERVED', updated_on: firework.updated_on },
      { $set: { state, launches: now, updated_on: isoTime(flown.startedAt) } },
    ),
    reserved ? launches.replaceOne({ launch_id: launchId }, document) : launches.insertOne(document),
    state === 'RUNNING' ? markRunning(launchpad, fwId) : null,
  ]);
  if (matchedCount === 0) {
    await takeBack(launchpad, fwId, document);
    return null;
  }
  const begun = await withPlace(launchpad, flown, document, place);
  if (begun && reserved && state === 'RUNNING') await startSharing(launchpad, fwId, launchId);
  return begun;
}

/** Whether nobody has taken the launch away. Its heartbeat first: a sweep that is on its way does not find it lost then. */
async function isStillOurs(launchpad: LaunchPad, { fwId, launchId }: Claim): Promise<boolean> {
  if (!(await ping(launchpad, launchId))) return false;
  const mine = { fw_id: fwId, launches: launchId };
  return (await launchpad.fireworks.findOne(mine, { projection: { _id: 1 } })) !== null;
}

/** Ends a launch whose Firework somebody else has changed, and lets the workflow say what is true. */
async function takeBack(launchpad: LaunchPad, fwId: number, launch: Document): Promise<void> {
  const { fireworks, launches } = launchpad;
  await launches.updateOne({ launch_id: launch.launch_id, state: launch.state }, ending(launch, 'FIZZLED'));
  // What was deleted has no workflow to bring up to date.
  const there = await fireworks.findOne({ fw_id: fwId }, { projection: { _id: 1 } });
  if (there) await refreshFirework(launchpad, fwId);
}

/** The launch that begins now, and the claim on it. */
function launchOf(
  firework: Document,
  launchId: number,
  fworker: FWorker,
  o: ClaimOptions,
  state: 'RUNNING' | 'RESERVED' = 'RUNNING',
  reserved: Document | null = null,
): { claim: Claim; document: Document } {
  const fwId = numberOf(firework.fw_id);
  const spec = firework.spec as Doc;
  const at = new Date();
  const launchDir = o.launchDir(launchId);
  // One that recovers begins with what its last launch had gathered: only its rocket knows.
  const begun = o.begins === true && state === 'RUNNING' && !('_recovery' in spec);
  const document = launchDocument({
    ...{ fworker, fwId, launchId, launchDir, host: o.host, ip: o.ip, state, at },
    trackers: spec._trackers,
    history: reserved?.state_history as Doc[] | undefined,
    ...(begun && { checkpoint: FIRST_CHECKPOINT }),
  });
  const tasks = (Array.isArray(spec._tasks) ? spec._tasks : [spec._tasks]) as Doc[];
  const name = String(firework.name);
  return { claim: { fwId, launchId, name, spec, tasks, startedAt: at, launchDir, begun }, document };
}

/** Null: no workflow names the Firework. Without `place` the workflow does not know yet that it runs. */
async function withPlace(
  launchpad: LaunchPad,
  flown: Claim,
  launch: Document,
  place: Place | null,
): Promise<Claim | null> {
  if (place) return { ...flown, place };
  if (!(await named(launchpad, flown.fwId))) {
    await setAside(launchpad, flown.fwId, launch);
    return null;
  }
  await refreshFirework(launchpad, flown.fwId);
  // Its workflow's lock may have been held for long, by somebody who died even; nobody heard this launch's heart meanwhile.
  return (await isHeldUp(launchpad, flown, launch)) ? null : flown;
}

/** True, and the launch has ended, when the claim took so long that a sweep found it lost. */
async function isHeldUp(launchpad: LaunchPad, flown: Claim, launch: Document): Promise<boolean> {
  if (Math.abs(Date.now() - flown.startedAt.getTime()) <= SOON_MS) return false;
  if (launch.state !== 'RUNNING' || (await isStillOurs(launchpad, flown))) return false;
  await takeBack(launchpad, flown.fwId, launch);
  return true;
}

/**
 * Waits for the workflow of a Firework: Python writes Fireworks, READY already, before the workflow that names them. False:
 * it does not come, for whoever added it died.
 */
async function named({ workflows, lock }: LaunchPad, fwId: number): Promise<boolean> {
  for (const end = Date.now() + lock.namedWithinMs; ; await sleep(jitter(lock.namedWithinMs / 100))) {
    if (await workflows.findOne({ nodes: fwId }, { projection: { _id: 1 } })) return true;
    if (Date.now() > end) return false;
  }
}

/** Holds a Firework that no workflow names, so that no worker finds it again. `lpad orphaned` shows it. */
async function setAside(launchpad: LaunchPad, fwId: number, launch: Document): Promise<void> {
  const { fireworks, launches, log } = launchpad;
  log.warning(`Firework ${fwId} is in no workflow: it is PAUSED. See lpad orphaned`);
  const set = { state: 'PAUSED', updated_on: isoTime() };
  await fireworks.updateOne({ fw_id: fwId, state: 'RUNNING', launches: launch.launch_id }, { $set: set });
  await launches.updateOne({ launch_id: launch.launch_id, state: 'RUNNING' }, ending(launch, 'FIZZLED'));
}

/**
 * Sets `fw_states` of a Firework that starts, without the lock: one atomic write that changes nothing that Python writes
 * under it but this one state. Null while the lock is held, for its holder may put back a copy that it read before: then
 * the state has to be set under the lock like any other.
 */
async function markRunning({ workflows }: LaunchPad, fwId: number): Promise<Place | null> {
  const free = { nodes: fwId, locked: { $exists: false } };
  const running = { [`fw_states.${fwId}`]: 'RUNNING', updated_on: new Date() };
  const asked = { projection: { nodes: { $slice: 2 }, [`links.${fwId}`]: 1 } };
  const ordinary = { ...free, state: { $in: ['READY', 'RESERVED', 'RUNNING'] } };
  // What is held or fizzled in it decides a workflow's state, whatever else starts.
  const amiss = { ...free, state: { $in: ['FIZZLED', 'DEFUSED', 'PAUSED'] } };
  const workflow =
    (await workflows.findOneAndUpdate(ordinary, { $set: { ...running, state: 'RUNNING' } }, asked)) ??
    (await workflows.findOneAndUpdate(amiss, { $set: running }, asked));
  if (!workflow) return null;
  const children = ((workflow.links?.[fwId] ?? []) as unknown[]).map(numberOf);
  return { workflowId: workflow._id, children, alone: workflow.nodes.length === 1 };
}

/** Fireworks that share a reservation run with it. */
async function startSharing(launchpad: LaunchPad, fwId: number, launchId: number): Promise<void> {
  const idle = { $in: ['WAITING', 'READY', 'RESERVED', 'FIZZLED'] };
  const others = { launches: launchId, fw_id: { $ne: fwId }, state: idle };
  for await (const other of launchpad.fireworks.find(others, { projection: { fw_id: 1 } })) {
    const set = { state: 'RUNNING', updated_on: isoTime() };
    await launchpad.fireworks.updateOne({ fw_id: other.fw_id, state: idle }, { $set: set });
    await refreshFirework(launchpad, numberOf(other.fw_id));
  }
}
