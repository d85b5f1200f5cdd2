/** The end of a launch (`LaunchPad.complete_launch`), and giving one back. */
import type { Document } from 'mongodb';
import { type ChainedWrite, writeChained } from './bulk_write.ts';
import type { Claim, Place } from './claim.ts';
import { mongodbDriver } from './driver.ts';
import { interruptionsOf, preemptedAction } from './interruptions.ts';
import { completion, completionExpressions, ending } from './launch_documents.ts';
import type { LaunchPad } from './launchpad.ts';
import { whenFree } from './lock.ts';
import { changesNothing, type FWAction, fwAction } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { lookAround, type QuietEnd, type QuietWrites, quietEnd, taken, writeQuietly } from './quiet_end.ts';
import { prepare, refresh, refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { type Doc, isoTime, numberOf, TYPED, typed } from './values.ts';

/** A launch document may be 16 MiB; an action near that goes to GridFS, as Python FireWorks does. */
const LARGEST_ACTION = 15 * 1024 * 1024;

/**
 * The launch to end. All of a claim is best: with `startedAt` the launch need not be read again, with `spec` it is known
 * whether other Fireworks may share it. `endedAt` is set here: a second attempt, after the LaunchPad was away, knows by it
 * that the first one's write arrived.
 */
export type Ending = Pick<Claim, 'fwId' | 'launchId'> &
  Partial<Pick<Claim, 'spec' | 'startedAt' | 'endedAt' | 'place'>>;

/**
 * Ends a RUNNING launch and brings its Firework and workflow up to date. `action` null leaves the launch without one
 * (`mark_fizzled`). False when the launch is not RUNNING any more, or its Firework was rerun meanwhile: it may be running
 * elsewhere, these results are not wanted, and nothing but the launch itself can have been written.
 *
 * Four round trips: the launch is ended while the lock is taken; the Firework, its children and what they wait for are
 * read; Fireworks are written; the workflow is written and unlocked. One, and no lock, when nothing but the Firework itself
 * changes (`quiet_end.ts`); three where the server does not know chained writes; more while somebody else holds the lock. A
 * crash after the launch is written leaves its Firework RUNNING: `detectLostRuns` finds that and finishes the job. One before
 * it, with the lock taken, leaves a lost run.
 */
export async function complete(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
): Promise<boolean> {
  const place = quietPlace(claim, action, state);
  const quiet = place && quietEnd(launchpad, claim, place);
  let { end, workflow }: Tried = quiet
    ? { end: await endQuietly(launchpad, claim, action, quiet), workflow: null }
    : await endAndOpen(launchpad, claim, action, state, place);
  // Refused, or somebody holds the lock.
  if (end === 'needs the lock' && !workflow && place) end = await endWhenFree(launchpad, claim, place);
  if (end === 'not running') return false;
  let current = end === 'done';
  if (end === 'needs the lock') {
    workflow ??= await OpenWorkflow.open(launchpad, claim.fwId, claim.place?.workflowId);
    try {
      current = await endIn(workflow, claim, action, state);
    } catch (thrown) {
      await workflow.abandon();
      throw thrown;
    }
  }
  if (current && (claim.spec === undefined || '_dupefinder' in claim.spec))
    await refreshSharing(launchpad, claim);
  return current;
}

/** How far it came. `workflow`: where the lock was taken meanwhile. */
interface Tried {
  end: QuietEnd | 'not running';
  workflow: OpenWorkflow | null;
}

/** Ends the launch while the lock is taken. With a `place` it may be done without the lock as well: that is not waited for. */
async function endAndOpen(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
  place: Place | null,
): Promise<Tried> {
  const { fwId } = claim;
  const [ended, opened] = await Promise.allSettled([
    endLaunch(launchpad, claim, action, state),
    place
      ? OpenWorkflow.openIfFree(launchpad, fwId, place.workflowId)
      : OpenWorkflow.open(launchpad, fwId, claim.place?.workflowId),
  ]);
  const workflow = opened.status === 'fulfilled' ? opened.value : null;
  if (ended.status === 'fulfilled' && ended.value) {
    if (opened.status === 'rejected') throw opened.reason;
    return { end: 'needs the lock', workflow };
  }
  await workflow?.abandon();
  if (ended.status === 'rejected') throw ended.reason;
  // When it cannot be opened, it was deleted while it ran: nobody wants its results.
  return { end: 'not running', workflow: null };
}

/** Where to end it without the lock; null: not to be tried. */
function quietPlace(
  { place }: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
): Place | null {
  if (!place || state === 'FIZZLED') return null;
  return action === null || changesNothing(action) ? place : null;
}

/** Ends a launch as COMPLETED, and its Firework without the lock: in one round trip, where the server can, else in three. */
async function endQuietly(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  quiet: QuietWrites,
): Promise<QuietEnd | 'not running'> {
  const end = await endAtOnce(launchpad, claim, action, quiet);
  if (end !== null) return end;
  if (!(await endLaunch(launchpad, claim, action, 'COMPLETED'))) return 'not running';
  return await writeQuietly(launchpad, claim.fwId, quiet);
}

/**
 * Ends the Firework of a launch that has ended: without the lock, once nobody holds it, if nothing follows. Whom to glance at is
 * asked anew: nothing was known, or what was known is old.
 */
async function endWhenFree(launchpad: LaunchPad, claim: Ending, place: Place): Promise<QuietEnd> {
  await lookAround(launchpad, claim.fwId, place);
  const quiet = quietEnd(launchpad, claim, place);
  if (!quiet) return 'needs the lock';
  const end = await whenFree(launchpad, { _id: place.workflowId }, async () => {
    const written = await writeQuietly(launchpad, claim.fwId, quiet);
    return written === 'needs the lock' ? null : written;
  });
  return end ?? 'needs the lock';
}

/** Null when it has to be done one by one: the server cannot, or this is a second attempt, of which some may be done. */
async function endAtOnce(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  { workflow, firework }: QuietWrites,
): Promise<QuietEnd | 'not running' | null> {
  const { fwId, launchId, startedAt } = claim;
  if (!launchpad.bulks || !startedAt || claim.endedAt) return null;
  const stored = action && (await fitting(launchpad, launchId, typed(action) as Doc));
  claim.endedAt = new Date();
  const launch: ChainedWrite = {
    to: launchpad.launches,
    filter: { launch_id: launchId },
    when: { $eq: ['$state', 'RUNNING'] },
    set: completionExpressions(startedAt, claim.endedAt, stored),
  };
  const found = await writeChained(launchpad, [launch, workflow, firework]);
  if (found === null) {
    claim.endedAt = undefined;
    return null;
  }
  const [ended = 0, known = 0, own = 0] = found;
  if (ended === 0) return 'not running';
  if (known === 0) return 'needs the lock';
  return own > 0 ? 'done' : await taken(launchpad, fwId);
}

/**
 * True when, as far as is known without asking, nothing becomes READY by the end of this launch: whoever flies one rocket after
 * the other need not wait for `complete` before the next claim, for no claim can depend on it. To be asked before `complete`.
 */
export function endsAlone(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
): boolean {
  const place = quietPlace(claim, action, state);
  return place !== null && quietEnd(launchpad, claim, place) !== null;
}

/** Ends a Firework in its open workflow, with all that follows. False when the launch is no longer its own. */
async function endIn(
  workflow: OpenWorkflow,
  { fwId, launchId }: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
): Promise<boolean> {
  await prepare(workflow, fwId, { state, action });
  const current = workflow.node(fwId).launches.includes(launchId);
  if (current) {
    await refresh(workflow, fwId, { state, action: action ?? fwAction() });
    await workflow.commit(fwId);
  } else await workflow.abandon();
  return current;
}

/** Writes the end of the launch, when it is RUNNING still. True also when an earlier attempt wrote it. */
async function endLaunch(
  launchpad: LaunchPad,
  claim: Ending,
  action: FWAction | null,
  state: 'COMPLETED' | 'FIZZLED',
): Promise<boolean> {
  const { launches } = launchpad;
  const { launchId, startedAt } = claim;
  const written = async () => {
    const mine = { launch_id: launchId, state, time_end: isoTime(claim.endedAt) };
    return (await launches.findOne(mine, { projection: { _id: 1 } })) !== null;
  };
  const second = claim.endedAt !== undefined;
  // Before anything of it is replaced: its action may be in GridFS.
  if (second && (await written())) return true;
  const stored = action && (await fitting(launchpad, launchId, typed(action) as Doc));
  claim.endedAt ??= new Date();
  const running: Document = { launch_id: launchId, state: 'RUNNING' };
  let update: Document;
  if (state === 'COMPLETED' && startedAt) update = completion(startedAt, claim.endedAt);
  else {
    const projection = { state_history: 1, time_start: 1 };
    const launch = await launches.findOne(running, { projection, ...TYPED });
    update = launch ? ending(launch, state, claim.endedAt) : {};
  }
  if (update.$set) {
    const set = { ...update.$set, ...(stored && { action: stored }) };
    if ((await launches.updateOne(running, { ...update, $set: set })).matchedCount > 0) return true;
  }
  return second && (await written());
}

/**
 * Takes back the end of a launch whose action could not be applied to its workflow, so that it can end otherwise
 * (`LaunchPad.restore_backup_data`). A crash after it leaves a lost run.
 */
export async function retract(launchpad: LaunchPad, claim: Ending): Promise<void> {
  if (!claim.endedAt) return;
  await launchpad.launches.updateOne(
    { launch_id: claim.launchId, state: 'COMPLETED', time_end: isoTime(claim.endedAt) },
    {
      $set: { state: 'RUNNING', action: null, time_end: null, runtime_secs: null },
      $pop: { state_history: 1 },
    },
  );
  claim.endedAt = undefined;
}

async function fitting(launchpad: LaunchPad, launchId: number, action: Doc): Promise<Doc> {
  const { BSON, GridFSBucket } = await mongodbDriver();
  if (BSON.calculateObjectSize(action) < LARGEST_ACTION) return action;
  const { toJson } = await import('./json.ts');
  const bucket = new GridFSBucket(launchpad.db, { bucketName: 'fw_gridfs' });
  // A second attempt (the LaunchPad was away) replaces the first: the index allows one file for a launch.
  for await (const old of bucket.find({ 'metadata.launch_id': launchId })) await bucket.delete(old._id);
  const upload = bucket.openUploadStream('', { metadata: { launch_id: launchId } });
  await new Promise<void>((resolve, reject) => {
    upload.once('finish', () => resolve());
    upload.once('error', reject);
    upload.end(Buffer.from(toJson(action)));
  });
  return { gridfs_id: upload.id.toString() };
}

/**
 * Other Fireworks that share this launch follow it. A duplicate finder of Python's own may have found this Firework though
 * its spec names none: such a thief stays RUNNING with an ended launch until the next lost-run sweep.
 */
async function refreshSharing(launchpad: LaunchPad, { fwId, launchId }: Ending): Promise<void> {
  const others = { launches: launchId, fw_id: { $ne: fwId } };
  for await (const { fw_id } of launchpad.fireworks.find(others, { projection: { fw_id: 1 } }))
    await refreshFirework(launchpad, numberOf(fw_id));
}

/**
 * Gives a Firework back unfinished: its worker must stop (preempted, told to quit at once). The launch is kept in the
 * history as FIZZLED with the reason, and the Firework, which then knows how often it was preempted, is READY again at once.
 * False when it was no longer ours. May be called again after the LaunchPad was away.
 *
 * A crash after the first write leaves a FIZZLED launch of a RUNNING Firework, which a lost-run sweep reruns.
 */
export async function giveUp(
  launchpad: LaunchPad,
  claim: Pick<Claim, 'fwId' | 'launchId'>,
  why: string,
): Promise<boolean> {
  const { fwId, launchId } = claim;
  if (!(await endPreempted(launchpad, launchId, why))) return false;
  const { preempted } = await interruptionsOf(launchpad, fwId);
  const mine = { fw_id: fwId, launches: launchId };
  await launchpad.fireworks.updateOne(mine, { $set: { preemptions: preempted } });
  await rerun(launchpad, fwId, { holding: launchId });
  return true;
}

/** Ends a launch as preempted, when it is RUNNING still. True also when an earlier attempt wrote it. */
async function endPreempted({ launches }: LaunchPad, launchId: number, why: string): Promise<boolean> {
  const running = { launch_id: launchId, state: 'RUNNING' };
  const projection = { state_history: 1, time_start: 1 };
  const launch = await launches.findOne(running, { projection, ...TYPED });
  if (launch) {
    const { $set } = ending(launch, 'FIZZLED');
    const ended = await launches.updateOne(running, { $set: { action: preemptedAction(why), ...$set } });
    if (ended.matchedCount > 0) return true;
  }
  const before = { launch_id: launchId, state: 'FIZZLED', 'action.stored_data._preempted': true };
  return (await launches.findOne(before, { projection: { _id: 1 } })) !== null;
}
