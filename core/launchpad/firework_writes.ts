/** How the changed Fireworks of a workflow are written: the fewest statements, each only where nobody was faster. */
import type { AnyBulkWriteOperation, Document } from 'mongodb';
import type { State } from './model.ts';
import { type Doc, isoTime } from './values.ts';

/** A Firework of an open workflow. `spec` is typed, and there only after `loadSpecs`. */
export interface Node {
  fwId: number;
  state: State;
  /** The state it was read in. */
  readonly stateBefore: State;
  launches: number[];
  readonly launchesBefore: readonly number[];
  archivedLaunches: number[];
  allowFizzledParents: boolean;
  hasFizzledParents: boolean;
  spec?: Doc;
  /** What has to be written. */
  changed: Set<'state' | 'spec' | 'launches'>;
}

/**
 * One bulk write in the order of `nodes`. Each statement names the state that the Firework was read in: people pause and
 * defuse, and workers claim, without the workflow's lock, and what they did since is not overwritten. Their own refresh
 * waits for the lock and sets right what follows from it.
 */
export function writesOf(nodes: readonly Node[]): AnyBulkWriteOperation<Document>[] {
  const updated_on = isoTime();
  const writes: AnyBulkWriteOperation<Document>[] = [];
  let together: { key: string; ids: number[] } | undefined;
  for (const node of nodes) {
    const { fwId, state, stateBefore, changed } = node;
    if (changed.size === 0) continue;
    if (changed.size === 1 && changed.has('state')) {
      // Neighbours that only change their state change it together: a fan-out of thousands is one statement.
      const key = `${stateBefore} ${state}`;
      if (together?.key === key) {
        together.ids.push(fwId);
        continue;
      }
      const ids = [fwId];
      together = { key, ids };
      const filter = { fw_id: { $in: ids }, state: stateBefore };
      writes.push({ updateMany: { filter, update: { $set: { state, updated_on } } } });
      continue;
    }
    together = undefined;
    const set: Document = { updated_on };
    if (changed.has('state')) set.state = state;
    if (changed.has('spec')) set.spec = node.spec;
    if (changed.has('launches'))
      Object.assign(set, { launches: node.launches, archived_launches: node.archivedLaunches });
    // A rocket that ends without the lock does not keep its Firework from being rerun: what counts then is the launch.
    const found = changed.has('launches')
      ? { launches: node.launchesBefore, state: { $in: [stateBefore, 'COMPLETED'] } }
      : { state: stateBefore };
    writes.push({ updateOne: { filter: { fw_id: fwId, ...found }, update: { $set: set } } });
  }
  return writes;
}
