/** From a Firework that has been taken to a run: its launch is written, its workflow told, and nobody else may have it. */
import type { Document } from 'mongodb';
import { jitter, sleep } from '../wait.ts';
import type { Claim, ClaimOptions, Place } from './claim.ts';
import { ending, launchDocument } from './launch_documents.ts';
import type { LaunchPad } from './launchpad.ts';
import { whenFree } from './lock.ts';
import { insertLaunch, markRunning, writeBegun } from './mark_running.ts';
import type { FWorker } from './model.ts';
import { ping } from './ping.ts';
import { knowsAround, lookAround } from './quiet_end.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isoTime, numberOf, TYPED, timeOf } from './values.ts';

/** Writes the launch of a Firework that is RUNNING with it already. Null: it was taken back, or no workflow names it. */
export async function start(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  firework: Document,
  launchId: number,
): Promise<Claim | null> {
  const { claim: flown, document } = launchOf(firework, launchId, fworker, o);
  // Whether the launch is new is looked at below: it may be there already, or have been given up by a sweep.
  const place = await writeBegun(launchpad, flown.fwId, document);
  launchpad.launchIds.used(launchId);
  const takenAt = timeOf(firework.updated_on)?.getTime() ?? 0;
  if (
    Math.abs(Date.now() - takenAt) > launchpad.lock.sweptAfterMs &&
    !(await isStillOurs(launchpad, flown))
  ) {
    await takeBack(launchpad, flown.fwId, document);
    return null;
  }
  return await withPlace(launchpad, flown, document, place);
}

const FIRST_CHECKPOINT = { _task_n: 0, _all_stored_data: {}, _all_update_spec: {}, _all_mod_spec: [] };

/** Writes the launch and the Firework's new state. Null: somebody paused, reran or deleted the Firework meanwhile. */
export async function begin(
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
  const [{ matchedCount }, written, place] = await Promise.all([
    fireworks.updateOne(
      { fw_id: fwId, state: 'RESERVED', updated_on: firework.updated_on },
      { $set: { state, launches: now, updated_on: isoTime(flown.startedAt) } },
    ),
    reserved ? launches.replaceOne({ launch_id: launchId }, document) : insertLaunch(launchpad, document),
    state === 'RUNNING' ? markRunning(launchpad, fwId) : null,
  ]);
  if (matchedCount === 0 || !written) {
    await takeBack(launchpad, fwId, document);
    return null;
  }
  if (state === 'RUNNING') launchpad.lastPlaces.seen(place);
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

/**
 * Ends a launch whose Firework somebody else has changed, and lets the workflow say what is true. A Firework that names it
 * still is left to the sweep which has ended it: a refresh would make it FIZZLED, for ever when that sweep dies.
 */
async function takeBack(launchpad: LaunchPad, fwId: number, launch: Document): Promise<void> {
  const { fireworks, launches } = launchpad;
  await launches.updateOne({ launch_id: launch.launch_id, state: launch.state }, ending(launch, 'FIZZLED'));
  // What was deleted has no workflow to bring up to date.
  const others = { fw_id: fwId, launches: { $ne: launch.launch_id } };
  if (await fireworks.findOne(others, { projection: { _id: 1 } })) await refreshFirework(launchpad, fwId);
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
  if (!place && launch.state === 'RUNNING') {
    place = await whenFree(launchpad, { nodes: flown.fwId }, () => markRunning(launchpad, flown.fwId));
    if (place && (await isHeldUp(launchpad, flown, launch))) return null;
  }
  if (place) {
    // While it runs: at its end it is known then whether the lock is needed.
    if (!knowsAround(launchpad, place)) lookAround(launchpad, flown.fwId, place).catch(() => {});
    return { ...flown, place };
  }
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
  if (Math.abs(Date.now() - flown.startedAt.getTime()) <= launchpad.lock.sweptAfterMs) return false;
  if (launch.state !== 'RUNNING' || (await isStillOurs(launchpad, flown))) return false;
  await takeBack(launchpad, flown.fwId, launch);
  return true;
}

/**
 * Waits for the workflow of a Firework: Python writes Fireworks, READY already, before the workflow that names them. False:
 * it does not come, for whoever added it died.
 */
async function named({ workflows, lock }: LaunchPad, fwId: number): Promise<boolean> {
  for (const end = performance.now() + lock.namedWithinMs; ; await sleep(jitter(lock.namedWithinMs / 100))) {
    if (await workflows.findOne({ nodes: fwId }, { projection: { _id: 1 } })) return true;
    if (performance.now() > end) return false;
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
