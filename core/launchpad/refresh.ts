/** Refreshing a Firework: its state from its parents and launches, and what follows from it (`Workflow.refresh`). */
import { applyAction } from './apply_action.ts';
import type { Node } from './firework_writes.ts';
import { reportFizzledParents } from './fizzled_parents.ts';
import type { LaunchPad } from './launchpad.ts';
import { changesSpecs, type FWAction, parseFWAction, type State } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { isDone, isHeld, type LaunchState, refreshedState, representativeLaunch } from './states.ts';
import { storedAction } from './stored_action.ts';
import { othersAwaited } from './surroundings.ts';
import { type Doc, isDoc, numberOf, TYPED } from './values.ts';

/** Recomputes the state of `fwId` under the lock of its workflow, and of everything that depends on it. */
export async function refreshFirework(launchpad: LaunchPad, fwId: number): Promise<void> {
  await OpenWorkflow.change(launchpad, fwId, (workflow) => refresh(workflow, fwId));
}

/** Children that are asked about one by one; more are looked up in the whole workflow, which costs no more then. */
const FEW = 200;

/** What is known of children before they are refreshed: for which other parents of theirs they wait. */
const awaited = new WeakMap<OpenWorkflow, Promise<Map<number, number[]>>>();

/** Reads in one round trip what the end of `fwId` needs: itself, its children, and what they and the workflow depend on. */
export async function prepare(
  workflow: OpenWorkflow,
  fwId: number,
  end: { state: State; action: FWAction | null },
): Promise<void> {
  const children = [...new Set(workflow.children(fwId))];
  const few = children.length > 0 && children.length <= FEW;
  const asked =
    few && end.state === 'COMPLETED' ? othersAwaited(workflow.launchpad, workflow.id, fwId, children) : null;
  if (asked) awaited.set(workflow, asked);
  if (end.state === 'FIZZLED' || !workflow.lasts(fwId))
    workflow.foreseeState([fwId, ...(few ? children : [])]);
  const specs = end.state === 'COMPLETED' && end.action !== null && changesSpecs(end.action);
  await Promise.all([
    workflow.loadNodes(specs ? [fwId] : [fwId, ...children]),
    specs && workflow.loadNodes(children, true),
    asked,
    children.length > FEW && workflow.loadWhole(),
  ]);
}

/**
 * Refreshes one Firework of an open workflow. When it becomes COMPLETED its launch's action is applied; when it becomes
 * COMPLETED or FIZZLED its children are refreshed in turn. `known` saves reading the launch that was just written.
 */
export async function refresh(
  workflow: OpenWorkflow,
  fwId: number,
  known?: { state: State; action: FWAction },
): Promise<void> {
  await workflow.loadNodes([fwId]);
  const node = workflow.node(fwId);
  if (isHeld(node.state)) {
    workflow.setWorkflowState(fwId, node.state);
    return;
  }
  const before = node.state;
  // What was RUNNING had all its parents done when it was taken, and a parent that is rerun takes its launch away.
  // (The workflow may know of its end already, by a quiet end that was none.)
  const ranOn = known && before === 'RUNNING' && ['RUNNING', 'COMPLETED'].includes(workflow.stateOf(fwId));
  if (!ranOn) await workflow.loadAround([fwId]);
  const parents = ranOn ? [] : workflow.parents(fwId).map((id) => workflow.stateOf(id));
  const launches = known ? [{ launch_id: 0, state: known.state }] : await launchStates(workflow, node);
  const state = refreshedState({ ...node, parents, launches });
  if (!ranOn && state !== 'WAITING' && node.allowFizzledParents && !node.hasFizzledParents)
    await reportFizzledParents(workflow, fwId);
  workflow.setState(fwId, state);
  if (state === before) return;
  if (state === 'COMPLETED') {
    const action = known?.action ?? (await actionOf(workflow.launchpad, launches));
    await applyAction(workflow, fwId, action);
  }
  if (state === 'COMPLETED' || state === 'FIZZLED') await refreshChildren(workflow, fwId);
}

/** Children in one go: what their states depend on is read together. */
async function refreshChildren(workflow: OpenWorkflow, fwId: number): Promise<void> {
  const children = [...new Set(workflow.children(fwId))];
  if (children.length === 0) return;
  await workflow.loadNodes(children);
  const others = await othersOf(workflow, fwId, children);
  if (others === null) await workflow.loadAround(children);
  for (const child of children) {
    const node = workflow.node(child);
    // Most children have no launch yet and wait for all their parents: then this is all there is to know.
    const simple = others !== null && node.launches.length === 0 && !node.allowFizzledParents;
    if (!simple) await refresh(workflow, child);
    else if (isHeld(node.state)) workflow.setWorkflowState(child, node.state);
    else {
      const ready = !others.get(child)?.length && isDone(workflow.stateOf(fwId), false);
      workflow.setState(child, ready ? 'READY' : 'WAITING');
    }
  }
}

/** For which other parents `children` wait; null when what is stored does not tell, or there are too many. */
async function othersOf(
  workflow: OpenWorkflow,
  fwId: number,
  children: number[],
): Promise<ReadonlyMap<number, number[]> | null> {
  if (workflow.changedBeside(fwId) || children.length > FEW) return null;
  // They wait for this one: it does not matter for whom else.
  if (workflow.stateOf(fwId) !== 'COMPLETED') return new Map();
  const prepared = awaited.get(workflow);
  awaited.delete(workflow);
  return await (prepared ?? othersAwaited(workflow.launchpad, workflow.id, fwId, children));
}

/**
 * A RUNNING Firework whose last launch is not written was taken a moment ago: its launch is on its way, and counts as RUNNING, for
 * as READY another worker would take the Firework too. Should the launch never come, a lost-run sweep sees to it.
 */
async function launchStates(
  { launchpad }: OpenWorkflow,
  { launches: ids, state: own }: Node,
): Promise<LaunchState[]> {
  if (ids.length === 0) return [];
  const projection = { launch_id: 1, state: 1 };
  const found = await launchpad.launches.find({ launch_id: { $in: [...ids] } }, { projection }).toArray();
  const states = new Map(found.map((launch) => [numberOf(launch.launch_id), launch.state as State]));
  // In the order of the Firework's list: the first of equal rank speaks.
  return ids.flatMap((launch_id) => {
    const onItsWay = own === 'RUNNING' && launch_id === ids.at(-1);
    const state = states.get(launch_id) ?? (onItsWay ? 'RUNNING' : undefined);
    return state ? [{ launch_id, state }] : [];
  });
}

async function actionOf(launchpad: LaunchPad, launches: readonly LaunchState[]): Promise<FWAction> {
  const id = representativeLaunch(launches)?.launch_id as number;
  const launch = await launchpad.launches.findOne(
    { launch_id: id },
    { projection: { action: 1, launch_id: 1 }, ...TYPED },
  );
  const action = isDoc(launch?.action) ? await storedAction(launchpad, launch.action as Doc) : {};
  return parseFWAction(action, `the action of launch ${id}`);
}
