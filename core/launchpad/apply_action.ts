/** What a finished Firework's FWAction does to its workflow (`Workflow.apply_action`, `Workflow.append_wf`). */
import { BorealisError } from '../errors.ts';
import { fireworkDocument, type NewWorkflow, newWorkflow } from './add.ts';
import { applyMod } from './dict_mods.ts';
import { type FWAction, parseFWAction, RANK } from './model.ts';
import type { OpenWorkflow } from './open_workflow.ts';
import { representativeLaunch } from './states.ts';
import { copy, type Doc, isDoc, TYPED, typed } from './values.ts';

/** Applies `action` of Firework `fwId`: specs first, then defusals, detours, appended workflows, additions. */
export async function applyAction(workflow: OpenWorkflow, fwId: number, action: FWAction): Promise<void> {
  const updates = Object.keys(action.update_spec).length > 0 || action.mod_spec.length > 0;
  if (updates) {
    const targets = action.propagate
      ? await descendants(workflow, fwId)
      : [...new Set(workflow.children(fwId))];
    await changeSpecs(workflow, targets, action);
  }
  if (action.defuse_children) {
    await workflow.loadNodes(workflow.children(fwId));
    for (const child of workflow.children(fwId)) workflow.setState(child, 'DEFUSED');
  }
  if (action.defuse_workflow) {
    await workflow.loadWhole();
    await workflow.loadNodes(workflow.ids());
    for (const id of workflow.ids()) {
      const { state } = workflow.node(id);
      if (state !== 'FIZZLED' && state !== 'COMPLETED') workflow.setState(id, 'DEFUSED');
    }
  }
  for (const detour of action.detours) await append(workflow, newWorkflow(detour), [fwId], [true]);
  for (const { workflow: more, parents, detour } of action.append_wfs) {
    await append(
      workflow,
      newWorkflow(more),
      [fwId, ...parents],
      [detour, ...parents.map(() => false)],
      action,
      fwId,
    );
  }
  for (const addition of action.additions) await append(workflow, newWorkflow(addition), [fwId], [false]);
}

async function changeSpecs(
  workflow: OpenWorkflow,
  targets: number[],
  action: Pick<FWAction, 'update_spec' | 'mod_spec'>,
): Promise<void> {
  await workflow.loadSpecs(targets);
  for (const id of targets) {
    const node = workflow.node(id);
    changeSpec(node.spec as Doc, action);
    node.allowFizzledParents = Boolean((node.spec as Doc)._allow_fizzled_parents);
    node.changed.add('spec');
  }
}

function changeSpec(spec: Doc, action: Pick<FWAction, 'update_spec' | 'mod_spec'>): void {
  for (const [key, value] of Object.entries(action.update_spec)) spec[key] = copy(typed(value));
  for (const mod of action.mod_spec) applyMod(copy(typed(mod)) as Doc, spec);
}

/** Everything below a Firework, each once, parents before children where the walk meets them first. */
async function descendants(workflow: OpenWorkflow, fwId: number): Promise<number[]> {
  const seen = new Set<number>();
  let level = [fwId];
  while (level.length > 0) {
    const next = [...new Set(level.flatMap((id) => workflow.children(id)))].filter((id) => !seen.has(id));
    for (const id of next) seen.add(id);
    await workflow.loadAround(next);
    level = next;
  }
  return [...seen];
}

/**
 * Adds a workflow below `parents`. Where `detours` says so, the parent's own children wait for its leaves as well. With
 * `pull`, what completed parents changed in their children's specs is changed in its roots too.
 */
export async function append(
  workflow: OpenWorkflow,
  addition: NewWorkflow,
  parents: number[],
  detours: boolean[],
  own?: FWAction,
  ownId?: number,
  pull = own !== undefined,
): Promise<number[]> {
  await workflow.loadWhole();
  for (const [i, parent] of parents.entries()) {
    if (!workflow.ids().includes(parent))
      throw new BorealisError(`Firework ${parent} is not in this workflow`);
    const late =
      detours[i] && workflow.children(parent).find((child) => RANK[workflow.stateOf(child)] > RANK.WAITING);
    if (late)
      throw new BorealisError(
        `Firework ${parent} cannot detour: its child ${late} is ${workflow.stateOf(late)} already`,
      );
  }
  const first = await workflow.launchpad.newIds('next_fw_id', addition.fireworks.length);
  // Ids are handed out in the order of the old ones (`_upsert_fws`).
  const sorted = [...addition.fireworks].sort((a, b) => a.fwId - b.fwId);
  const newId = new Map(sorted.map((firework, i) => [firework.fwId, first + i]));
  const idOf = (old: number) => newId.get(old) as number;
  const detoured = parents.flatMap((parent, i) => (detours[i] ? workflow.children(parent) : []));
  const followers = [...new Set(detoured)];
  for (const firework of sorted) {
    const children = (addition.links.get(firework.fwId) ?? []).map(idOf);
    const leaf = children.length === 0;
    workflow.add(fireworkDocument(firework, idOf(firework.fwId)), leaf ? [...followers] : children);
  }
  const roots = addition.roots.map(idOf);
  for (const parent of parents) {
    for (const root of roots) {
      workflow.link(parent, root);
      if (!pull) continue;
      const action = parent === ownId ? own : await completedAction(workflow, parent);
      if (action) changeSpec(workflow.node(root).spec as Doc, action);
    }
  }
  workflow.relink();
  const { refresh } = await import('./refresh.ts');
  for (const firework of addition.fireworks) await refresh(workflow, idOf(firework.fwId));
  return [...newId.values()];
}

async function completedAction(workflow: OpenWorkflow, fwId: number): Promise<FWAction | null> {
  await workflow.loadNodes([fwId]);
  const found = await workflow.launchpad.launches
    .find(
      { launch_id: { $in: workflow.node(fwId).launches } },
      { projection: { state: 1, time_end: 1, launch_id: 1, action: 1 }, ...TYPED },
    )
    .toArray();
  const launch = representativeLaunch(found as never[]) as { state: string; action?: Doc } | null;
  return launch?.state === 'COMPLETED' && isDoc(launch.action) ? parseFWAction(launch.action) : null;
}
