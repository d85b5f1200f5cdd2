/** What watching a workflow is about: counts of states, whether it has ended, and how long it may still take. */
import { type Doc, numberOf, type State } from '../../core/launchpad/index.ts';

/** A workflow as one poll saw it. */
export interface Seen {
  /** Its first fw_id, which commands take. */
  fwId: number;
  name: string;
  state: State;
  fwStates: ReadonlyMap<number, State>;
  createdOn: Date | null;
}

/** States in which a Firework moves without anybody's help. */
const MOVING: readonly State[] = ['READY', 'RESERVED', 'RUNNING'];

/** In the order in which they are told. */
const TOLD: readonly State[] = [
  'COMPLETED',
  'RUNNING',
  'RESERVED',
  'READY',
  'WAITING',
  'PAUSED',
  'DEFUSED',
  'FIZZLED',
  'ARCHIVED',
];

/** Reads a document with nodes (the first is enough), name, state, fw_states and created_on. */
export function seenOf(doc: Doc): Seen {
  const states = Object.entries((doc.fw_states ?? {}) as Record<string, State>);
  return {
    fwId: numberOf((doc.nodes as unknown[])[0]),
    name: String(doc.name),
    state: doc.state as State,
    fwStates: new Map(states.map(([id, state]) => [Number(id), state])),
    createdOn: doc.created_on instanceof Date ? doc.created_on : null,
  };
}

/** How many Fireworks are in each state, in the order of telling; states without any are left out. */
export function countsOf(seen: Seen): Map<State, number> {
  const counts = new Map<State, number>();
  for (const state of seen.fwStates.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  return new Map(TOLD.filter((state) => counts.has(state)).map((state) => [state, counts.get(state) ?? 0]));
}

/**
 * `going` while a Firework can move by itself or waits for somebody to resume it; else how it ended. A FIZZLED workflow
 * goes on as long as other branches run.
 */
export function endOf(seen: Seen): 'going' | State {
  const counts = countsOf(seen);
  if (MOVING.some((state) => counts.has(state))) return 'going';
  if (seen.state === 'COMPLETED' || seen.state === 'ARCHIVED') return seen.state;
  if (counts.has('FIZZLED')) return 'FIZZLED';
  if (counts.has('DEFUSED')) return 'DEFUSED';
  return [...counts.keys()].every((state) => state === 'COMPLETED') && counts.size > 0
    ? 'COMPLETED'
    : 'going';
}

/** `5 COMPLETED, 2 RUNNING` */
export function countsText(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}

/** The ids of Fireworks in one state, lowest first. */
export function idsIn(seen: Seen, state: State): number[] {
  return [...seen.fwStates].filter(([, own]) => own === state).map(([id]) => id);
}

/**
 * Milliseconds until all is done at the pace since watching began; null while too little was seen to be honest about it:
 * fewer than 5 Fireworks, or less than a tenth of all, completed before our eyes.
 */
export function remainingMs(o: {
  completedAtFirst: number;
  completed: number;
  total: number;
  watchedMs: number;
}): number | null {
  const gained = o.completed - o.completedAtFirst;
  const left = o.total - o.completed;
  if (left <= 0 || gained < 5 || gained < o.total / 10 || o.watchedMs < 3000) return null;
  return (o.watchedMs / gained) * left;
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const secs = Math.round(ms / 1000);
  if (secs < 60) return `${secs} s`;
  const mins = Math.floor(secs / 60);
  if (mins < 60) return secs % 60 === 0 || mins >= 10 ? `${mins} min` : `${mins} min ${secs % 60} s`;
  return mins % 60 === 0 ? `${mins / 60} h` : `${Math.floor(mins / 60)} h ${mins % 60} min`;
}

/** How long to wait until the next poll: soon after something changed, ever longer while nothing does. */
export function nextWaitMs(o: { changed: boolean; lastMs: number; fireworks: number }): number {
  // fw_states of 10,000 Fireworks are some 200 KB: big workflows are asked for less often.
  const least = 300 + o.fireworks / 10;
  return o.changed ? least : Math.min(Math.max(o.lastMs * 1.3, least), Math.max(2000, least * 2));
}
