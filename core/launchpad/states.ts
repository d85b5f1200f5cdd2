/**
 * The state machine of FireWorks, as pure functions: the tables of docs/launchpad-rules.md, row for row. Sources:
 * `Workflow.refresh`, `Workflow.state` and `Workflow._get_representative_launch` in fireworks/core/firework.py.
 *
 * A Firework is
 *   WAITING    until all its parents are COMPLETED (or FIZZLED, when its spec has `_allow_fizzled_parents`);
 *   READY      then, until a worker takes it (RESERVED for an instant, or in a queue, then RUNNING);
 *   COMPLETED  or FIZZLED as its representative launch is;
 *   PAUSED, DEFUSED, ARCHIVED by a person's or an action's wish; no refresh changes these.
 */
import { RANK, type State } from './model.ts';

export interface LaunchState {
  launch_id: number;
  state: State;
}

/**
 * The launch that speaks for a Firework: of the highest rank, among equals the first. (FireWorks means the latest of
 * several COMPLETED ones, but 2.1.4 takes the first: it collects a launch only when its rank beats all before.)
 */
export function representativeLaunch<L extends LaunchState>(launches: readonly L[]): L | null {
  let best: L | null = null;
  for (const launch of launches) {
    const rank = RANK[launch.state];
    if (rank > RANK.ARCHIVED && (!best || rank > RANK[best.state])) best = launch;
  }
  return best;
}

/** True for states that no refresh changes. */
export function isHeld(state: State): boolean {
  return state === 'DEFUSED' || state === 'ARCHIVED' || state === 'PAUSED';
}

/** True when a parent in `state` lets its child go on. */
export function isDone(state: State, allowFizzledParents: boolean): boolean {
  return state === 'COMPLETED' || (allowFizzledParents && state === 'FIZZLED');
}

/** What a Firework's state should be, from its own, its parents', and its launches'. */
export function refreshedState(firework: {
  state: State;
  allowFizzledParents: boolean;
  parents: readonly State[];
  launches: readonly LaunchState[];
}): State {
  if (isHeld(firework.state)) return firework.state;
  if (!firework.parents.every((parent) => isDone(parent, firework.allowFizzledParents))) return 'WAITING';
  return representativeLaunch(firework.launches)?.state ?? 'READY';
}

/** The state of a workflow, from what there is among its Fireworks. The first rule that applies decides. */
export function workflowState(workflow: {
  /** The states that at least one Firework is in. */
  states: ReadonlySet<State>;
  /** Whether every Firework without children is COMPLETED. */
  leavesCompleted: boolean;
  /** The children of each FIZZLED Firework: whether their specs have `_allow_fizzled_parents`. */
  childrenOfFizzled: readonly (readonly boolean[])[];
}): State {
  const { states, childrenOfFizzled } = workflow;
  if (workflow.leavesCompleted) return 'COMPLETED';
  if (states.size === 1 && states.has('ARCHIVED')) return 'ARCHIVED';
  if (states.has('DEFUSED')) return 'DEFUSED';
  if (states.has('PAUSED')) return 'PAUSED';
  // Of a FIZZLED one that has no children, or one that does not allow for it.
  const fatal = (allows: readonly boolean[]) => allows.length === 0 || !allows.every(Boolean);
  if (states.has('FIZZLED') && childrenOfFizzled.some(fatal)) return 'FIZZLED';
  if (states.has('FIZZLED')) return 'RUNNING';
  if (states.has('COMPLETED') || states.has('RUNNING')) return 'RUNNING';
  if (states.has('RESERVED')) return 'RESERVED';
  return 'READY';
}

/** `parent_links` of `links`: for each child its parents, in the order in which they name it. */
export function parentLinks(links: Readonly<Record<string, readonly number[]>>): Record<string, number[]> {
  const parents: Record<string, number[]> = {};
  for (const [parent, children] of Object.entries(links)) {
    for (const child of children) (parents[child] ??= []).push(Number(parent));
  }
  return parents;
}
