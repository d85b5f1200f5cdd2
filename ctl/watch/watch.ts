/** Watching workflows until they end. */
import { BorealisError, messageOf } from '../../core/errors.ts';
import { isAway, type LaunchPad } from '../../core/launchpad/index.ts';
import { jitter, sleep } from '../../core/wait.ts';
import { type Choice, findWorkflows, look, Names } from './poll.ts';
import type { Screen, View } from './screen.ts';
import { countsOf, endOf, idsIn, nextWaitMs, remainingMs, type Seen } from './workflow.ts';

/** How many names of running Fireworks are shown. */
const NAMES = 6;

/** New workflows are looked for this often. */
const FIND_EVERY_MS = 3000;

interface Watched {
  id: unknown;
  seen: Seen;
  firstSeenAt: number;
  completedAtFirst: number;
  /** What of it was last shown. */
  shown: string;
}

export interface WatchOutcome {
  /** Every workflow that was watched, as last seen; null where it was deleted meanwhile. */
  workflows: { seen: Seen; deleted: boolean }[];
  /** False when the signal cut it short. */
  whole: boolean;
}

/**
 * Shows the chosen workflows on `screen` until all have ended or `signal` aborts. A LaunchPad that goes away is waited for.
 * Throws BorealisError when the choice means no workflow.
 */
export async function watch(
  launchpad: LaunchPad,
  choice: Choice,
  screen: Screen,
  signal: AbortSignal,
): Promise<WatchOutcome> {
  const watched = new Map<string, Watched>();
  const deleted = new Set<string>();
  const names = new Names(() => launchpad);
  let waitMs = 0;
  let foundAt = Number.NEGATIVE_INFINITY;
  const outcome = (whole: boolean) => ({
    workflows: [...watched].map(([key, { seen }]) => ({ seen, deleted: deleted.has(key) })),
    whole,
  });
  while (!signal.aborted) {
    try {
      const started = performance.now();
      const due = watched.size === 0 || (!('fwIds' in choice) && started - foundAt > FIND_EVERY_MS);
      const more = due ? await findWorkflows(launchpad, choice) : [];
      if (due) foundAt = started;
      const ids = [...[...watched.values()].map(({ id }) => id), ...more];
      if (ids.length === 0) throw new BorealisError(NOTHING[kindOf(choice)]);
      const open = ids.filter((id) => isOpen(watched.get(String(id)), deleted.has(String(id))));
      const changed = take(await look(launchpad, open), open, watched, deleted);
      const views: View[] = [];
      const places = new Set<number>();
      for (const [key, one] of watched) {
        if (changed.has(key)) places.add(views.length);
        views.push(await viewOf(one, names));
      }
      screen.show(views, places);
      if ([...watched].every(([key, one]) => !isOpen(one, deleted.has(key)))) return outcome(true);
      const fireworks = [...watched.values()].reduce((sum, { seen }) => sum + seen.fwStates.size, 0);
      waitMs = nextWaitMs({ changed: changed.size > 0, lastMs: waitMs, fireworks });
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
      screen.tell(`The LaunchPad does not answer; trying again (${messageOf(thrown).split('\n')[0]})`);
      waitMs = 2000;
    }
    await sleep(jitter(waitMs), signal);
  }
  return outcome(false);
}

const NOTHING = {
  fwIds: 'No workflow was named',
  query: 'No workflow matches the query',
  all: 'There is nothing to watch: every workflow has ended. Add one: borealisctl lpad add FILE',
};

const kindOf = (choice: Choice) => ('fwIds' in choice ? 'fwIds' : 'query' in choice ? 'query' : 'all');

function isOpen(one: Watched | undefined, deleted: boolean): boolean {
  return !deleted && (one === undefined || endOf(one.seen) === 'going');
}

/** Takes over what a poll saw, and returns the keys of what differs from what was last shown. */
function take(
  found: ReadonlyMap<string, Seen>,
  asked: readonly unknown[],
  watched: Map<string, Watched>,
  deleted: Set<string>,
): Set<string> {
  const changed = new Set<string>();
  for (const id of asked) {
    const key = String(id);
    const seen = found.get(key);
    const known = watched.get(key);
    if (!seen) {
      if (known) deleted.add(key);
      continue;
    }
    const shown = JSON.stringify([seen.state, [...countsOf(seen)], idsIn(seen, 'RUNNING').slice(0, NAMES)]);
    if (known?.shown !== shown) changed.add(key);
    watched.set(key, {
      id,
      seen,
      shown,
      firstSeenAt: known?.firstSeenAt ?? performance.now(),
      completedAtFirst: known?.completedAtFirst ?? countsOf(seen).get('COMPLETED') ?? 0,
    });
  }
  return changed;
}

async function viewOf(one: Watched, names: Names): Promise<View> {
  const { seen } = one;
  const running = idsIn(seen, 'RUNNING');
  const watchedMs = performance.now() - one.firstSeenAt;
  return {
    seen,
    running: await names.of(running.slice(0, NAMES)),
    runningCount: running.length,
    elapsedMs: watchedMs,
    remainingMs: remainingMs({
      completedAtFirst: one.completedAtFirst,
      completed: countsOf(seen).get('COMPLETED') ?? 0,
      total: seen.fwStates.size,
      watchedMs,
    }),
  };
}
