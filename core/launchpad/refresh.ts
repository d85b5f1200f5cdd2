/** Refreshing a Firework: its state from its parents and launches, and what follows from it (`Workflow.refresh`). */
import type { Document } from 'mongodb';
import { applyAction } from './apply_action.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, parseFWAction, type State } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { isHeld, type LaunchState, refreshedState, representativeLaunch } from './states.ts';
import { storedAction } from './stored_action.ts';
import { type Doc, TYPED } from './values.ts';

/** Recomputes the state of `fwId` under the lock of its workflow, and of everything that depends on it. */
export async function refreshFirework(launchpad: LaunchPad, fwId: number): Promise<void> {
  await OpenWorkflow.change(launchpad, fwId, (workflow) => refresh(workflow, fwId));
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
  await Promise.all([workflow.loadNodes([fwId]), workflow.loadAround([fwId])]);
  const node = workflow.node(fwId);
  if (isHeld(node.state)) {
    workflow.setWorkflowState(fwId, node.state);
    return;
  }
  const launches: LaunchState[] = known
    ? [{ launch_id: 0, state: known.state, time_end: null }]
    : await launchStates(workflow.launchpad, node.launches);
  const before = node.state;
  const parents = workflow.parents(fwId);
  const state = refreshedState({ ...node, parents: parents.map((id) => workflow.stateOf(id)), launches });
  if (state !== 'WAITING' && node.allowFizzledParents && !node.hasFizzledParents)
    await reportFizzledParents(workflow, fwId);
  workflow.setState(fwId, state);
  if (state === before) return;
  if (state === 'COMPLETED') {
    const action = known?.action ?? (await actionOf(workflow.launchpad, launches));
    await applyAction(workflow, fwId, action);
  }
  if (state === 'COMPLETED' || state === 'FIZZLED') await refreshChildren(workflow, fwId);
}

/** Children in one go: their Fireworks, links and parents' states are read together. */
async function refreshChildren(workflow: OpenWorkflow, fwId: number): Promise<void> {
  const children = workflow.children(fwId);
  if (children.length === 0) return;
  await Promise.all([workflow.loadNodes(children), workflow.loadAround(children)]);
  for (const child of [...children]) {
    // Without launches nothing has to be read to refresh it: most children.
    await refresh(workflow, child);
  }
}

async function launchStates(launchpad: LaunchPad, ids: readonly number[]): Promise<LaunchState[]> {
  if (ids.length === 0) return [];
  const projection = { launch_id: 1, state: 1, time_end: 1 };
  const found = await launchpad.launches.find({ launch_id: { $in: [...ids] } }, { projection }).toArray();
  // In the order of the Firework's list: the first of equal rank speaks.
  return ids.flatMap((id) => found.filter((launch) => launch.launch_id === id)) as unknown as LaunchState[];
}

async function actionOf(launchpad: LaunchPad, launches: readonly LaunchState[]): Promise<FWAction> {
  const id = representativeLaunch(launches)?.launch_id as number;
  const launch = await launchpad.launches.findOne(
    { launch_id: id },
    { projection: { action: 1, launch_id: 1 }, ...TYPED },
  );
  return parseFWAction(
    await storedAction(launchpad, (launch?.action ?? {}) as Doc),
    `the action of launch ${id}`,
  );
}

/** Tells a child that allows them which of its parents are FIZZLED: whole Fireworks with their launches, as Python does. */
async function reportFizzledParents(workflow: OpenWorkflow, fwId: number): Promise<void> {
  const fizzled = workflow.parents(fwId).filter((id) => workflow.stateOf(id) === 'FIZZLED');
  if (fizzled.length === 0) return;
  const { fireworks, launches } = workflow.launchpad;
  const reports: Document[] = [];
  for (const id of fizzled) {
    const parent = await fireworks.findOne({ fw_id: id }, { projection: { _id: 0 }, ...TYPED });
    if (!parent) continue;
    const full = async (ids: unknown) => {
      const found = await launches
        .find(
          { launch_id: { $in: ids as never[] } },
          {
            projection: { _id: 0, time_start: 0, time_end: 0, runtime_secs: 0, reservedtime_secs: 0 },
            ...TYPED,
          },
        )
        .toArray();
      return found;
    };
    const { launches: own, archived_launches: archived, ...rest } = parent;
    const [now, old] = [await full(own), await full(archived)];
    reports.push({
      ...rest,
      state: 'FIZZLED',
      ...(now.length > 0 && { launches: now }),
      ...(old.length > 0 && { archived_launches: old }),
    });
  }
  await workflow.loadSpecs([fwId]);
  const node = workflow.node(fwId);
  (node.spec as Doc)._fizzled_parents = reports;
  node.hasFizzledParents = true;
  node.changed.add('spec');
}
