/** Fireworks that no workflow names: what a crash while adding or deleting leaves. */
import type { LaunchPad } from './launchpad.ts';
import { numberOf } from './values.ts';

const CHUNK = 1000;

/** Those of `fwIds` that are in no workflow, in the same order. */
export async function orphansAmong({ workflows }: LaunchPad, fwIds: readonly number[]): Promise<number[]> {
  const orphans = new Set(fwIds);
  for (let i = 0; i < fwIds.length; i += CHUNK) {
    // A workflow that was met vouches for all its Fireworks: it is not read again.
    const unknown = fwIds.slice(i, i + CHUNK).filter((id) => orphans.has(id));
    if (unknown.length === 0) continue;
    const found = workflows.find({ nodes: { $in: unknown } }, { projection: { nodes: 1, _id: 0 } });
    for await (const { nodes } of found) for (const id of nodes) orphans.delete(numberOf(id));
  }
  return fwIds.filter((id) => orphans.has(id));
}
