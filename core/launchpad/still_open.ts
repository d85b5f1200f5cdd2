/**
 * What a connection remembers of the workflows that it works on: a few Fireworks that were not COMPLETED when it last
 * looked, and for which a child waits, or the end of the whole workflow. As long as one of them is open still, the end of
 * another one changes nothing but itself: one glance at a few states then saves a look at thousands.
 *
 * Nothing here is ever believed: these are only the ones to glance at, under the lock.
 */

/** How many are remembered for each child, and for the end of a workflow. */
export const SAMPLE = 8;

/** Of how many workflows. A worker has a handful in hand; the oldest is forgotten. */
const WORKFLOWS = 64;

interface Remembered {
  /** For a child: parents of it. */
  parents: Map<number, readonly number[]>;
  /** Fireworks without children. */
  leaves: readonly number[];
}

export class StillOpen {
  readonly #workflows = new Map<string, Remembered>();

  #of(workflowId: unknown): Remembered {
    const key = String(workflowId);
    const found = this.#workflows.get(key) ?? { parents: new Map(), leaves: [] };
    this.#workflows.delete(key);
    this.#workflows.set(key, found);
    const [oldest] = this.#workflows.keys();
    if (this.#workflows.size > WORKFLOWS && oldest !== undefined) this.#workflows.delete(oldest);
    return found;
  }

  /** Parents of `child` that were open. */
  parentsOf(workflowId: unknown, child: number): readonly number[] {
    return this.#of(workflowId).parents.get(child) ?? [];
  }

  /** Leaves that were open. */
  leavesOf(workflowId: unknown): readonly number[] {
    return this.#of(workflowId).leaves;
  }

  rememberParents(workflowId: unknown, open: ReadonlyMap<number, readonly number[]>): void {
    const { parents } = this.#of(workflowId);
    for (const [child, ids] of open) {
      if (ids.length > 0) parents.set(child, ids);
      else parents.delete(child);
    }
  }

  rememberLeaves(workflowId: unknown, open: readonly number[]): void {
    this.#of(workflowId).leaves = open;
  }
}
