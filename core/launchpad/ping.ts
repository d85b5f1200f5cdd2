/** What a running launch tells of itself. */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { type Tracker, trackersDoc } from './trackers.ts';
import { type Doc, isoTime, typed } from './values.ts';

/**
 * A heartbeat (`LaunchPad.ping_launch`), with the checkpoint of the Firetask that starts and what the trackers see. False:
 * the launch is no longer ours.
 */
export async function ping(
  launchpad: LaunchPad,
  launchId: number,
  checkpoint?: Doc,
  trackers: readonly Tracker[] = [],
): Promise<boolean> {
  const set: Document = { 'state_history.$.updated_on': isoTime() };
  if (checkpoint) set['state_history.$.checkpoint'] = typed(checkpoint);
  if (trackers.length > 0) set.trackers = trackersDoc(trackers);
  const mine = { launch_id: launchId, state: 'RUNNING', state_history: { $elemMatch: { state: 'RUNNING' } } };
  const { matchedCount } = await launchpad.launches.updateOne(mine, { $set: set });
  return matchedCount === 1;
}

/** Records another folder for a launch (`LaunchPad.change_launch_dir`). */
export async function setLaunchDir(launchpad: LaunchPad, launchId: number, dir: string): Promise<void> {
  const { matchedCount } = await launchpad.launches.updateOne(
    { launch_id: launchId },
    { $set: { launch_dir: dir } },
  );
  if (matchedCount === 0) throw new BorealisError(`There is no launch ${launchId}`);
}
