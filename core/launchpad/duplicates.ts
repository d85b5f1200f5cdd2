/** Fireworks that need not run because an equal one did (`LaunchPad._steal_launches`). */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isDoc, isoTime, numberOf, TYPED } from './values.ts';

/** The duplicate finder of FireWorks itself: the whole spec must be equal. Its old name is still found. */
const EXACT = ['DupeFinderExact', 'Dupe Finder Exact'];

/** A duplicate finder that is not built in, as `DupeFinderBase` of fireworks/features/dupefinder.py has it. */
export interface DuplicateFinder {
  /** The query for Fireworks that may be equal, and whether `areEqual` has to be asked about each. */
  candidates(finder: Doc, spec: Doc): Promise<{ query: Doc; verifies: boolean }>;
  areEqual(finder: Doc, spec: Doc, others: readonly Doc[]): Promise<boolean[]>;
}

/**
 * Gives a RESERVED Firework with a `_dupefinder` the launches of those that it duplicates: it is COMPLETED, FIZZLED or
 * RUNNING with them then. True when there were any. `ask` is asked for any finder but FireWorks' own; without it such a
 * Firework simply runs. What `ask` throws is thrown.
 *
 * A crash before the refresh leaves it RESERVED with launches that ended: `lpad refresh` sets it right.
 */
export async function shareLaunch(
  launchpad: LaunchPad,
  firework: Document,
  ask?: DuplicateFinder,
): Promise<boolean> {
  const finder = (firework.spec as Doc)._dupefinder;
  if (!isDoc(finder)) return false;
  const own = (firework.launches as unknown[]).map(numberOf);
  const launches = new Set(own);
  const equal = EXACT.includes(String(finder._fw_name))
    ? exactlyEqual(launchpad, firework)
    : equalBy(launchpad, firework, finder, ask);
  for await (const other of equal) for (const id of other.launches) launches.add(numberOf(id));
  if (launches.size === own.length) return false;
  await launchpad.fireworks.updateOne(
    { fw_id: firework.fw_id, state: 'RESERVED', updated_on: firework.updated_on },
    { $set: { launches: [...launches], updated_on: isoTime() } },
  );
  await refreshFirework(launchpad, numberOf(firework.fw_id));
  return true;
}

const exactlyEqual = ({ fireworks }: LaunchPad, { spec }: Document) =>
  fireworks.find({ $and: [{ launches: { $ne: [] } }, { spec }] }, { projection: { launches: 1 }, ...TYPED });

/** How many specs are compared at once: each may be large. */
const CHUNK = 100;

async function* equalBy(
  { fireworks }: LaunchPad,
  { fw_id, spec }: Document,
  finder: Doc,
  ask: DuplicateFinder | undefined,
): AsyncGenerator<Document> {
  if (!ask) return;
  const { query, verifies } = await ask.candidates(finder, spec);
  const ran = { $and: [query, { launches: { $ne: [] }, fw_id: { $ne: fw_id } }] };
  const found = fireworks.find(ran, { projection: { launches: 1, ...(verifies && { spec: 1 }) }, ...TYPED });
  if (!verifies) return yield* found;
  let chunk: Document[] = [];
  const equalOnes = async () => {
    const others = chunk;
    chunk = [];
    const equal = await ask.areEqual(
      finder,
      spec,
      others.map((other) => other.spec),
    );
    return others.filter((_, i) => equal[i]);
  };
  for await (const other of found) {
    chunk.push(other);
    if (chunk.length === CHUNK) yield* await equalOnes();
  }
  if (chunk.length > 0) yield* await equalOnes();
}
