/** The end of a launch (`LaunchPad.complete_launch`), and giving one back. */
import type { Document } from 'mongodb';
import type { Claim } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, fwAction, type State } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { refresh } from './refresh.ts';
import { type Doc, isoTime, numberOf, TYPED, timeOf, typed } from './values.ts';

/** A launch document may be 16 MiB; an action near that goes to GridFS, as Python FireWorks does. */
const LARGEST_ACTION = 15 * 1024 * 1024;

/**
 * Ends a RUNNING launch and brings its Firework and workflow up to date. False, and nothing is written, when the launch is
 * not RUNNING any more: it was judged lost and its Firework may be running elsewhere; these results are not wanted.
 *
 * A crash after the launch is written leaves its Firework RUNNING: `detectLostRuns` finds that and finishes the job.
 */
export async function complete(
  launchpad: LaunchPad,
  claim: Pick<Claim, 'fwId' | 'launchId'>,
  action: FWAction,
  state: 'COMPLETED' | 'FIZZLED',
): Promise<boolean> {
  const { launches } = launchpad;
  const mine = { launch_id: claim.launchId, state: 'RUNNING' };
  const launch = await launches.findOne(mine, { projection: { state_history: 1, time_start: 1 }, ...TYPED });
  if (!launch) return false;
  const stored = await fitting(launchpad, claim.launchId, typed(action) as Doc);
  const ended = await launches.updateOne(mine, { $set: { action: stored, ...ending(launch, state) } });
  if (ended.matchedCount === 0) return false;
  await OpenWorkflow.change(launchpad, claim.fwId, (workflow) =>
    refresh(workflow, claim.fwId, { state, action }),
  );
  await refreshDuplicates(launchpad, claim);
  return true;
}

/** The fields that a launch gets at its end: its state, a line in its history, and how long it ran. */
export function ending(launch: Document, state: State): Document {
  const at = new Date();
  const history = [...(launch.state_history as Doc[])];
  const last = history.at(-1);
  const entry: Doc = { state, created_on: isoTime(at) };
  // The checkpoint stays with what did not complete: a rerun can recover from it.
  if (state !== 'COMPLETED' && last?.checkpoint) entry.checkpoint = last.checkpoint;
  const start = timeOf(launch.time_start);
  return {
    state,
    state_history: [...history, entry],
    time_end: isoTime(at),
    runtime_secs: start ? (at.getTime() - start.getTime()) / 1000 : null,
  };
}

async function fitting(launchpad: LaunchPad, launchId: number, action: Doc): Promise<Doc> {
  const { BSON } = await import('mongodb');
  if (BSON.calculateObjectSize(action) < LARGEST_ACTION) return action;
  const { GridFSBucket } = await import('mongodb');
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

/** Other Fireworks that share this launch (duplicates that Python found) follow it. */
async function refreshDuplicates(
  launchpad: LaunchPad,
  claim: Pick<Claim, 'fwId' | 'launchId'>,
): Promise<void> {
  const others = { launches: claim.launchId, fw_id: { $ne: claim.fwId } };
  for await (const { fw_id } of launchpad.fireworks.find(others, { projection: { fw_id: 1 } })) {
    const fwId = numberOf(fw_id);
    await OpenWorkflow.change(launchpad, fwId, (workflow) => refresh(workflow, fwId));
  }
}

/**
 * Gives a Firework back unfinished: its worker must stop (preempted, told to quit at once). The launch is kept in the
 * history as FIZZLED with the reason, and the Firework is READY again at once. False when it was no longer ours.
 *
 * A crash after the first write leaves a FIZZLED launch of a RUNNING Firework: a lost-run sweep reruns it.
 */
export async function giveUp(
  launchpad: LaunchPad,
  claim: Pick<Claim, 'fwId' | 'launchId'>,
  why: string,
): Promise<boolean> {
  const mine = { launch_id: claim.launchId, state: 'RUNNING' };
  const launch = await launchpad.launches.findOne(mine, {
    projection: { state_history: 1, time_start: 1 },
    ...TYPED,
  });
  if (!launch) return false;
  const action = fwAction({ stored_data: { _message: why, _preempted: true }, exit: true });
  const ended = await launchpad.launches.updateOne(mine, { $set: { action, ...ending(launch, 'FIZZLED') } });
  if (ended.matchedCount === 0) return false;
  const { rerun } = await import('./rerun.ts');
  await rerun(launchpad, claim.fwId);
  return true;
}
