/** What a finished Firework's FWAction does to its workflow (`Workflow.apply_action`, `Workflow.append_wf`). */
import { BorealisError } from '../errors.ts';
import { fireworkDocument, type NewFirework, type NewWorkflow, newWorkflow } from './add.ts';
import { applyMod } from './dict_mods.ts';
import type { LaunchPad } from './launchpad.ts';
import { changesSpecs, type FWAction, parseFWAction, RANK } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { representativeLaunch } from './states.ts';
import { storedAction } from './stored_action.ts';
import { copy, type Doc, isDoc, setKey, TYPED, typed } from './values.ts';

/** Applies `action` of Firework `fwId`: specs first, then defusals, detours, appended workflows, additions. */
export async function applyAction(workflow: OpenWorkflow, fwId: number, action: FWAction): Promise<void> {
  // What this action added before a crash is not meant by the rest of it.
  const grown = workflow.grownBy(fwId);
  const meant = (ids: readonly number[]) => [...new Set(ids)].filter((id) => !grown?.has(id));
  const children = meant(workflow.children(fwId));
  if (changesSpecs(action)) {
    const targets = action.propagate ? meant(await descendants(workflow, fwId)) : children;
    await changeSpecs(workflow, targets, action);
  }
  if (action.defuse_children) {
    await workflow.loadNodes(children);
    for (const child of children) workflow.setState(child, 'DEFUSED');
  }
  if (action.defuse_workflow) {
    await workflow.loadWhole();
    await workflow.loadNodes(workflow.ids());
    for (const id of meant(workflow.ids())) {
      const { state } = workflow.node(id);
      if (state !== 'FIZZLED' && state !== 'COMPLETED') workflow.setState(id, 'DEFUSED');
    }
  }
  if (grown) return;
  const additions: Addition[] = [
    ...action.detours.map((dict) => ({ workflow: newWorkflow(dict), parents: [fwId], detours: [true] })),
    ...action.append_wfs.map(({ workflow: dict, parents, detour }) => ({
      workflow: newWorkflow(dict),
      parents: [fwId, ...parents],
      detours: [detour, ...parents.map(() => false)],
      pull: { own: action, ownId: fwId },
    })),
    ...action.additions.map((dict) => ({ workflow: newWorkflow(dict), parents: [fwId], detours: [false] })),
  ];
  await appendAll(workflow, additions);
}

/** A workflow that is added below `parents`. Where `detours` says so, a parent's own children wait for its leaves as well. */
interface Addition {
  workflow: NewWorkflow;
  parents: number[];
  detours: boolean[];
  /** Its roots get what completed parents changed in their children's specs; `own` is what `ownId` changes just now. */
  pull?: { own?: FWAction; ownId?: number };
}

/** Ids are handed out in the order of the old ones, for all that one action adds together (`_upsert_fws`). */
async function idsFor(
  launchpad: LaunchPad,
  additions: readonly Addition[],
): Promise<Map<NewFirework, number>> {
  const all = additions.flatMap(({ workflow }) => workflow.fireworks).sort((a, b) => a.fwId - b.fwId);
  if (all.length === 0) return new Map();
  const first = await launchpad.newIds('next_fw_id', all.length);
  return new Map(all.map((firework, i) => [firework, first + i]));
}

/**
 * Adds a workflow below Fireworks of one that is there (`LaunchPad.append_wf`). With `detour` their children wait for it too.
 * With `pull`, as usual, its roots get what completed parents changed in their children's specs. Returns the new ids.
 */
export async function appendWorkflow(
  launchpad: LaunchPad,
  addition: NewWorkflow,
  parents: number[],
  o: { detour?: boolean; pull?: boolean } = {},
): Promise<number[]> {
  const { detour = false, pull = true } = o;
  const [first] = parents;
  if (first === undefined) throw new BorealisError('A workflow is appended to at least one Firework');
  const added = {
    workflow: addition,
    parents,
    detours: parents.map(() => detour),
    ...(pull && { pull: {} }),
  };
  return await OpenWorkflow.change(launchpad, first, (workflow) => appendAll(workflow, [added]));
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
  for (const [key, value] of Object.entries(action.update_spec)) setKey(spec, key, copy(typed(value)));
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

async function appendAll(workflow: OpenWorkflow, additions: readonly Addition[]): Promise<number[]> {
  if (additions.length === 0) return [];
  await workflow.loadWhole();
  for (const addition of additions) mustFit(workflow, addition);
  const ids = await idsFor(workflow.launchpad, additions);
  const added: number[] = [];
  for (const addition of additions) added.push(...(await append(workflow, addition, ids)));
  return added;
}

/** What an earlier detour or addition of the same action brought does not count: it neither hinders nor waits for another. */
const childrenBefore = (workflow: OpenWorkflow, parent: number) =>
  workflow.children(parent).filter((child) => !workflow.isNew(child));

/** Throws BorealisError for a parent that is not there, or a detour of what has started already. */
function mustFit(workflow: OpenWorkflow, { parents, detours }: Addition): void {
  for (const [i, parent] of parents.entries()) {
    if (!workflow.has(parent)) throw new BorealisError(`Firework ${parent} is not in this workflow`);
    const started = (child: number) => RANK[workflow.stateOf(child)] > RANK.WAITING;
    const late = detours[i] && childrenBefore(workflow, parent).find(started);
    if (late)
      throw new BorealisError(
        `Firework ${parent} cannot detour: its child ${late} is ${workflow.stateOf(late)} already`,
      );
  }
}

async function append(
  workflow: OpenWorkflow,
  addition: Addition,
  ids: ReadonlyMap<NewFirework, number>,
): Promise<number[]> {
  const { parents, detours, pull } = addition;
  const { fireworks, links, roots } = addition.workflow;
  const newId = new Map(fireworks.map((firework) => [firework.fwId, ids.get(firework) as number]));
  const idOf = (old: number) => newId.get(old) as number;
  const detoured = parents.flatMap((parent, i) => (detours[i] ? childrenBefore(workflow, parent) : []));
  const followers = [...new Set(detoured)];
  for (const firework of [...fireworks].sort((a, b) => a.fwId - b.fwId)) {
    const children = (links.get(firework.fwId) ?? []).map(idOf);
    const leaf = children.length === 0;
    workflow.add(fireworkDocument(firework, idOf(firework.fwId)), leaf ? [...followers] : children);
  }
  for (const parent of parents) {
    for (const root of roots.map(idOf)) {
      workflow.link(parent, root);
      if (!pull) continue;
      const action = parent === pull.ownId ? pull.own : await completedAction(workflow, parent);
      if (action) changeSpec(workflow.node(root).spec as Doc, action);
    }
  }
  const { refresh } = await import('./refresh.ts');
  for (const firework of fireworks) await refresh(workflow, idOf(firework.fwId));
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
  if (launch?.state !== 'COMPLETED' || !isDoc(launch.action)) return null;
  return parseFWAction(await storedAction(workflow.launchpad, launch.action));
}
