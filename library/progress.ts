/** How far workflows are, told as it changes. */
import { isAway, type LaunchPad, type State } from '../core/launchpad/index.ts';
import { jitter, SECOND, sleep } from '../core/wait.ts';
import { findWorkflows, look } from '../ctl/watch/poll.ts';
import { countsOf, endOf, idsIn, nextWaitMs, type Seen } from '../ctl/watch/workflow.ts';

/** One workflow at one time. */
export interface Progress {
  /** The first of its ids. */
  fwId: number;
  name: string;
  state: State;
  /** How many Fireworks it has now: some add others. */
  total: number;
  completed: number;
  /** How many are in each state; states without any are left out. */
  counts: Partial<Record<State, number>>;
  /** The ids of the RUNNING ones. */
  running: number[];
  /** The ids of the FIZZLED ones; `launchpad.failures` says why. */
  fizzled: number[];
  /** Nothing in it moves any more without somebody's help. */
  ended: boolean;
}

export interface WatchOptions {
  /** Ends the watching, not the workflows. */
  signal?: AbortSignal;
}

/** The workflows of the Fireworks `fwIds`: each at first, and again whenever it has changed, until all have ended. */
export async function* watchWorkflows(
  launchpad: LaunchPad,
  fwIds: readonly number[],
  { signal }: WatchOptions = {},
): AsyncGenerator<Progress> {
  const open = new Map<string, { id: unknown; told: string }>();
  for (const id of await findWorkflows(launchpad, { fwIds: [...fwIds] }))
    open.set(String(id), { id, told: '' });
  for (let waitMs = 0; open.size > 0 && !signal?.aborted; ) {
    const news: Progress[] = [];
    let fireworks = 0;
    try {
      const found = await look(
        launchpad,
        [...open.values()].map(({ id }) => id),
      );
      for (const [key, one] of open) {
        const seen = found.get(key);
        // Deleted meanwhile: there is nothing more to tell.
        if (!seen) open.delete(key);
        else {
          fireworks += seen.fwStates.size;
          const progress = progressOf(seen);
          const told = JSON.stringify(progress);
          if (told !== one.told) news.push(progress);
          one.told = told;
          if (progress.ended) open.delete(key);
        }
      }
      waitMs = nextWaitMs({ changed: news.length > 0, lastMs: waitMs, fireworks });
    } catch (thrown) {
      // It comes back: so workers expect, too.
      if (!isAway(thrown)) throw thrown;
      waitMs = 2 * SECOND;
    }
    yield* news;
    if (open.size > 0) await sleep(jitter(waitMs), signal);
  }
}

function progressOf(seen: Seen): Progress {
  const counts = countsOf(seen);
  return {
    fwId: seen.fwId,
    name: seen.name,
    state: seen.state,
    total: seen.fwStates.size,
    completed: counts.get('COMPLETED') ?? 0,
    counts: Object.fromEntries(counts),
    running: idsIn(seen, 'RUNNING'),
    fizzled: idsIn(seen, 'FIZZLED'),
    ended: endOf(seen) !== 'going',
  };
}
