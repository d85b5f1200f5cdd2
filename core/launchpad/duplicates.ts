/** Fireworks that need not run because an equal one did (`LaunchPad._steal_launches`). */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isDoc, isoTime, numberOf, TYPED } from './values.ts';

/** The duplicate finder of FireWorks itself: the whole spec must be equal. Its old name is still found. */
const EXACT = ['DupeFinderExact', 'Dupe Finder Exact'];

/**
 * Gives a RESERVED Firework with a `_dupefinder` the launches of those that it duplicates: it is COMPLETED, FIZZLED or
 * RUNNING with them then. True when there were any. Other duplicate finders are Python code: only Python can ask them, and
 * here such a Firework simply runs.
 *
 * A crash before the refresh leaves it RESERVED with launches that ended: `lpad refresh` sets it right.
 */
export async function shareLaunch(launchpad: LaunchPad, firework: Document): Promise<boolean> {
  const spec = firework.spec as Doc;
  const finder = spec._dupefinder;
  if (!isDoc(finder) || !EXACT.includes(String(finder._fw_name))) return false;
  const own = (firework.launches as unknown[]).map(numberOf);
  const launches = new Set(own);
  const equal = launchpad.fireworks.find(
    { $and: [{ launches: { $ne: [] } }, { spec }] },
    { projection: { launches: 1 }, ...TYPED },
  );
  for await (const other of equal) for (const id of other.launches) launches.add(numberOf(id));
  if (launches.size === own.length) return false;
  await launchpad.fireworks.updateOne(
    { fw_id: firework.fw_id, state: 'RESERVED', updated_on: firework.updated_on },
    { $set: { launches: [...launches], updated_on: isoTime() } },
  );
  await refreshFirework(launchpad, numberOf(firework.fw_id));
  return true;
}
