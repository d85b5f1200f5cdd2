/**
 * Runs that ended through no fault of their Firework, told apart by their launches. Both are FIZZLED; what their action has
 * stored says which they are, and Python's tools show it like any other:
 *
 *   _preempted   its worker had to stop, and gave the Firework back (`giveUp`);
 *   _lost        its worker fell silent, and another found that out (`detectLostRuns` of a worker);
 *   neither      it failed: `_exception` says how.
 */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, failure, fwAction } from './model.ts';
import { type Doc, isDoc, isoTime } from './values.ts';

export const preemptedAction = (why: string): FWAction =>
  fwAction({ stored_data: { _message: why, _preempted: true }, exit: true });

export const lostAction = (why: string): FWAction =>
  fwAction({ stored_data: { _message: why, _lost: true }, exit: true });

/** The end of a Firework that was lost too often: a failure, which also was a lost run. */
export function lostTooOften(why: string): FWAction {
  const { stored_data, ...rest } = failure(null, why, null);
  return { ...rest, stored_data: { ...stored_data, _message: why, _lost: true } };
}

/** What has to be read of a launch to tell what ended it. */
export const INTERRUPTION = {
  'action.exit': 1,
  'action.gridfs_id': 1,
  'action.stored_data._preempted': 1,
  'action.stored_data._lost': 1,
  'action.stored_data._exception._details': 1,
} as const;

/** What ended a launch that was read with `INTERRUPTION`. Python's sweeper leaves lost ones without an action. */
export function interruptionOf({ state, action }: Document): 'preempted' | 'lost' | null {
  if (state !== 'FIZZLED') return null;
  if (!isDoc(action)) return 'lost';
  const stored = isDoc(action.stored_data) ? action.stored_data : {};
  if ('_exception' in stored) return null;
  return stored._preempted === true ? 'preempted' : stored._lost === true ? 'lost' : null;
}

/** So many launches are looked at: a Firework that was run more often has other troubles. */
const MOST = 200;

/** How often a Firework was interrupted since it last failed or completed. */
export async function interruptionsOf(
  { launches }: LaunchPad,
  fwId: number,
): Promise<{ preempted: number; lost: number }> {
  const count = { preempted: 0, lost: 0 };
  const latest = { projection: { state: 1, ...INTERRUPTION }, sort: { launch_id: -1 }, limit: MOST } as const;
  for await (const launch of launches.find({ fw_id: fwId }, latest)) {
    // One that a rerun ended has no action either, and is nobody's fault: it neither counts nor ends the count.
    if (!isDoc(launch.action)) continue;
    const why = interruptionOf(launch);
    if (why === null) break;
    count[why]++;
  }
  return count;
}

/**
 * What a worker may take whose VM can be preempted: not what was preempted `most` times already, as `giveUp` counted it,
 * for that is better off on a VM that lasts. Unless there is none: when nobody has taken it for `waitMs`.
 */
export function seldomPreempted(most: number, waitMs: number, now = Date.now()): Doc {
  const waitedFor = { updated_on: { $lte: isoTime(new Date(now - waitMs)) } };
  return { $or: [{ preemptions: { $not: { $gte: most } } }, waitedFor] };
}
