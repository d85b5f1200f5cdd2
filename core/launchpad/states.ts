/**
 * The state machine of FireWorks, as pure functions. Sources: `Workflow.refresh`, `Workflow.state` and
 * `Workflow._get_representative_launch` in fireworks/core/firework.py.
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
  time_end: string | null;
}

/** The launch that speaks for a Firework: of the highest rank; among COMPLETED ones the latest. */
export function representativeLaunch<L extends LaunchState>(launches: readonly L[]): L | null {
  let best: L | null = null;
  for (const launch of launches) {
    const rank = RANK[launch.state];
    if (rank <= RANK.ARCHIVED) continue;
    if (!best || rank > RANK[best.state]) best = launch;
    else if (
      launch.state === 'COMPLETED' &&
      best.state === 'COMPLETED' &&
      (launch.time_end ?? '') > (best.time_end ?? '')
    )
      best = launch;
  }
  return best;
}

/** True for states that no refresh changes. */
export function isHeld(state: State): boolean {
  return state === 'DEFUSED' || state === 'ARCHIVED' || state === 'PAUSED';
}

/** What a Firework's state should be, from its own, its parents', and its launches'. */
export function refreshedState(firework: {
  state: State;
  allowFizzledParents: boolean;
  parents: readonly State[];
  launches: readonly LaunchState[];
}): State {
  if (isHeld(firework.state)) return firework.state;
  const done = (parent: State) =>
    parent === 'COMPLETED' || (firework.allowFizzledParents && parent === 'FIZZLED');
  if (!firework.parents.every(done)) return 'WAITING';
  return representativeLaunch(firework.launches)?.state ?? 'READY';
}

/** The state of a workflow, from its Fireworks'. The first rule that applies decides. */
export function workflowState(workflow: {
  links: Readonly<Record<string, readonly number[]>>;
  states: Readonly<Record<string, State>>;
  /** Whether a Firework's spec has `_allow_fizzled_parents`: asked only for children of FIZZLED ones. */
  allowsFizzledParents: (id: number) => boolean;
}): State {
  const { links, states } = workflow;
  const all = Object.values(states);
  const leaves = Object.keys(links).filter((id) => links[id]?.length === 0);
  const any = (state: State) => all.includes(state);
  if (leaves.every((id) => states[id] === 'COMPLETED')) return 'COMPLETED';
  if (all.every((state) => state === 'ARCHIVED')) return 'ARCHIVED';
  if (any('DEFUSED')) return 'DEFUSED';
  if (any('PAUSED')) return 'PAUSED';
  if (any('FIZZLED')) {
    const fatal = ([id, state]: [string, State]) => {
      const children = links[id] ?? [];
      return state === 'FIZZLED' && (children.length === 0 || !children.every(workflow.allowsFizzledParents));
    };
    return Object.entries(states).some(fatal) ? 'FIZZLED' : 'RUNNING';
  }
  if (any('COMPLETED') || any('RUNNING')) return 'RUNNING';
  if (any('RESERVED')) return 'RESERVED';
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
