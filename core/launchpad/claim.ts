/** Taking a READY Firework: the one step in which two workers could meet. */
import type { Document } from 'mongodb';
import { jitter, sleep } from '../wait.ts';
import { shareLaunch } from './duplicates.ts';
import { ending, launchDocument } from './launch_documents.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerQuery } from './model.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isoTime, numberOf, TYPED } from './values.ts';

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
  /** Set by `complete`: when the launch was first tried to be ended. */
  endedAt?: Date;
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
 * The first write, READY to RESERVED, is atomic: it alone decides who runs it, and the second holds only while nobody has
 * touched the Firework since. Three round trips; what a crash leaves after each:
 *   RESERVED without a launch    nobody runs it; `freeUnstarted` in a lost-run sweep puts it back to READY;
 *   a launch id that is unused   harmless;
 *   RUNNING                      found by its heartbeat, as any lost run. The last three writes go out at once: when the
 *                                server dies among them, a launch without its Firework, or a Firework without its launch,
 *                                is left; the sweep frees or refreshes it.
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
    const taken = { state: 'RESERVED', updated_on: isoTime() };
    const firework = await launchpad.fireworks.findOneAndUpdate(
      query,
      { $set: taken },
      {
        sort: { 'spec._priority': -1, created_on: 1 },
        returnDocument: 'after',
        projection: { fw_id: 1, name: 1, spec: 1, launches: 1, updated_on: 1 },
        ...TYPED,
      },
    );
    if (!firework) return null;
    if (await shareLaunch(launchpad, firework)) continue;
    const begun = await begin(launchpad, fworker, o, firework, as);
    if (begun) return begun;
  }
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
  const spec = firework.spec as Doc;
  const before = (firework.launches as unknown[]).map(numberOf);
  // A reservation in a queue becomes this launch.
  const reserved =
    before.length > 0
      ? await launches.findOne({ launch_id: { $in: before }, state: 'RESERVED' }, TYPED)
      : null;
  const launchId = reserved ? numberOf(reserved.launch_id) : await launchpad.newIds('next_launch_id');
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
  const now = reserved ? before : [...before, launchId];
  const [{ matchedCount }, , marked] = await Promise.all([
    fireworks.updateOne(
      { fw_id: fwId, state: 'RESERVED', updated_on: firework.updated_on },
      { $set: { state, launches: now, updated_on: isoTime(at) } },
    ),
    reserved ? launches.replaceOne({ launch_id: launchId }, document) : launches.insertOne(document),
    state === 'RUNNING' && markRunning(launchpad, fwId),
  ]);
  if (matchedCount === 0) {
    const ours = { launch_id: launchId, state };
    await launches.updateOne(ours, ending(document, 'FIZZLED'));
    // What was deleted has no workflow to bring up to date.
    const there = await fireworks.findOne({ fw_id: fwId }, { projection: { _id: 1 } });
    if (there) await refreshFirework(launchpad, fwId);
    return null;
  }
  if (!marked && !(await named(launchpad, fwId))) {
    await setAside(launchpad, fwId, document);
    return null;
  }
  if (!marked) await refreshFirework(launchpad, fwId);
  if (reserved && state === 'RUNNING') await startSharing(launchpad, fwId, launchId);
  const tasks = (Array.isArray(spec._tasks) ? spec._tasks : [spec._tasks]) as Doc[];
  return { fwId, launchId, name: String(firework.name), spec, tasks, startedAt: at, launchDir, begun };
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
 * under it but this one state. False while the lock is held, for its holder may put back a copy that it read before: then
 * the state has to be set under the lock like any other.
 */
async function markRunning({ workflows }: LaunchPad, fwId: number): Promise<boolean> {
  const free = { nodes: fwId, locked: { $exists: false } };
  const running = { [`fw_states.${fwId}`]: 'RUNNING', updated_on: new Date() };
  const ordinary = { ...free, state: { $in: ['READY', 'RESERVED', 'RUNNING'] } };
  const first = await workflows.updateOne(ordinary, { $set: { ...running, state: 'RUNNING' } });
  if (first.matchedCount > 0) return true;
  // What is held or fizzled in it decides a workflow's state, whatever else starts.
  const amiss = { ...free, state: { $in: ['FIZZLED', 'DEFUSED', 'PAUSED'] } };
  return (await workflows.updateOne(amiss, { $set: running })).matchedCount > 0;
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
