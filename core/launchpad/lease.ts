/**
 * Work that one of many workers does for all: whoever holds its lease. A lease is a small document in a collection of ours
 * that FireWorks does not know, `borealis_leases`: `_id` what for, `by` whom, `until` when it is free again. Its holder takes
 * it anew before that; a dead holder's runs out.
 */
import { SECOND } from '../wait.ts';
import type { LaunchPad } from './launchpad.ts';

/** A lease that is to last for longer than this was taken by a clock that is wrong. */
const LONGEST_MS = 3600 * SECOND;

const leases = ({ db }: LaunchPad) => db.collection('borealis_leases');

/** Takes or renews a lease. False: somebody else has it. One command. */
export async function takeLease(launchpad: LaunchPad, what: string, forMs: number): Promise<boolean> {
  const by = launchpad.locks.name;
  const now = Date.now();
  const free = [
    { by },
    { until: { $lte: new Date(now) } },
    { until: { $gt: new Date(now + LONGEST_MS + forMs) } },
  ];
  try {
    // When it is held by another nothing matches, and `_id` keeps a second one from being made.
    await leases(launchpad).updateOne(
      { _id: what as never, $or: free },
      { $set: { by, until: new Date(now + forMs) } },
      { upsert: true },
    );
    return true;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === DUPLICATE_KEY) return false;
    throw thrown;
  }
}

const DUPLICATE_KEY = 11000;

/** Gives a lease back, when it is ours: the next one need not wait for its end. */
export async function releaseLease(launchpad: LaunchPad, what: string): Promise<void> {
  await leases(launchpad).deleteOne({ _id: what as never, by: launchpad.locks.name });
}
