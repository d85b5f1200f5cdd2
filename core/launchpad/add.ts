/** Adding workflows (`LaunchPad.add_wf`). Accepts the dictionaries that FireWorks' files and FWActions hold. */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import type { State } from './model.ts';
import { parentLinks } from './states.ts';
import { type Doc, isDoc, isoTime, numberOf, plain, timeOf, typed } from './values.ts';

/** A Firework that has no place in a database yet. Ids are the author's own: they tell Fireworks of one workflow apart. */
export interface NewFirework {
  fwId: number;
  name: string;
  spec: Doc;
  createdOn?: string;
}

export interface NewWorkflow {
  fireworks: NewFirework[];
  links: Map<number, number[]>;
  roots: number[];
  name: string;
  metadata: Doc;
  createdOn?: Date;
}

/**
 * Reads a workflow dictionary `{fws, links, name, metadata}` or a single Firework's `{spec: {_tasks}, ...}`.
 * Throws BorealisError for what cannot be run: no Fireworks, an id twice, links to nowhere, a cycle. The place of what is
 * wrong is named as `fws[3].spec._tasks`.
 */
export function newWorkflow(dict: Doc): NewWorkflow {
  if (!('fws' in dict)) return single(newFirework(dict, '', -1));
  if (!Array.isArray(dict.fws) || dict.fws.length === 0)
    throw new BorealisError('fws: a workflow needs at least one Firework');
  const fireworks = dict.fws.map((firework, i) => newFirework(firework, `fws[${i}]`, -1 - i));
  const places = new Map<number, number>();
  for (const [i, { fwId }] of fireworks.entries()) {
    if (places.has(fwId))
      throw new BorealisError(`fws[${i}].fw_id: ${fwId} is the id of fws[${places.get(fwId)}] already`);
    places.set(fwId, i);
  }
  const links = new Map(fireworks.map(({ fwId }) => [fwId, [] as number[]]));
  const raw = dict.links ?? {};
  if (!isDoc(raw)) throw new BorealisError('links: must be a dictionary {parent id: [child ids]}');
  for (const [parent, children] of Object.entries(raw)) {
    const list = links.get(Number(parent));
    if (!list) throw new BorealisError(`links.${parent}: no Firework has the fw_id ${parent}`);
    for (const child of Array.isArray(children) ? children : [children]) {
      const id = numberOf(child);
      if (!links.has(id))
        throw new BorealisError(`links.${parent}: no Firework has the fw_id ${JSON.stringify(plain(child))}`);
      list.push(id);
    }
  }
  const parents = parentLinks(Object.fromEntries(links));
  checkAcyclic(links);
  if (dict.metadata !== undefined && dict.metadata !== null && !isDoc(dict.metadata))
    throw new BorealisError('metadata: must be a dictionary');
  return {
    fireworks,
    links,
    roots: fireworks.map(({ fwId }) => fwId).filter((id) => !parents[id]),
    name: typeof dict.name === 'string' && dict.name ? dict.name : 'unnamed WF',
    metadata: (dict.metadata ?? {}) as Doc,
    createdOn: timeOf(dict.created_on) ?? undefined,
  };
}

function single(firework: NewFirework): NewWorkflow {
  const { fwId, name } = firework;
  return { fireworks: [firework], links: new Map([[fwId, []]]), roots: [fwId], name, metadata: {} };
}

function newFirework(value: unknown, path: string, fallbackId: number): NewFirework {
  const at = (key: string) => (path ? `${path}.${key}` : key);
  if (!isDoc(value)) throw new BorealisError(`${path || 'Firework'}: must be a dictionary with a spec`);
  if (!isDoc(value.spec)) throw new BorealisError(`${at('spec')}: must be a dictionary with _tasks`);
  const tasks = isDoc(value.spec._tasks) ? [value.spec._tasks] : value.spec._tasks;
  if (!Array.isArray(tasks)) throw new BorealisError(`${at('spec._tasks')}: must be a list of Firetasks`);
  for (const [i, task] of tasks.entries()) {
    if (!isDoc(task))
      throw new BorealisError(`${at(`spec._tasks[${i}]`)}: must be a dictionary with a _fw_name`);
    if (typeof task._fw_name !== 'string')
      throw new BorealisError(`${at(`spec._tasks[${i}]._fw_name`)}: must be the name of a Firetask`);
  }
  const id = value.fw_id === undefined || value.fw_id === null ? fallbackId : numberOf(value.fw_id);
  if (!Number.isInteger(id)) throw new BorealisError(`${at('fw_id')}: must be an integer`);
  const created = timeOf(value.created_on);
  return {
    fwId: id,
    name: typeof value.name === 'string' && value.name ? value.name : 'Unnamed FW',
    spec: { ...value.spec, _tasks: tasks },
    createdOn: created ? isoTime(created) : undefined,
  };
}

/** Throws for a cycle, and names the Fireworks on it. */
function checkAcyclic(links: ReadonlyMap<number, readonly number[]>): void {
  const state = new Map<number, 'open' | 'done'>();
  for (const start of links.keys()) {
    // By hand rather than by recursion: a chain of 10,000 must not exhaust the stack.
    const path: { id: number; next: number }[] = state.has(start) ? [] : [{ id: start, next: 0 }];
    while (path.length > 0) {
      const top = path.at(-1) as { id: number; next: number };
      state.set(top.id, 'open');
      const child = links.get(top.id)?.[top.next++];
      if (child === undefined) {
        state.set(top.id, 'done');
        path.pop();
      } else if (state.get(child) === 'open') {
        const ids = path.map(({ id }) => id);
        throw new BorealisError(
          `links: a cycle, ${[...ids.slice(ids.indexOf(child)), child].join(' -> ')}: a Firework cannot wait for itself`,
        );
      } else if (!state.has(child)) path.push({ id: child, next: 0 });
    }
  }
}

/** The document of a new Firework (`Firework.to_db_dict`), WAITING. */
export function fireworkDocument(
  firework: NewFirework,
  fwId: number,
  state: State = 'WAITING',
): Document & { fw_id: number } {
  const now = isoTime();
  return {
    spec: typed(firework.spec),
    fw_id: fwId,
    created_on: firework.createdOn ?? now,
    updated_on: now,
    name: firework.name,
    launches: [],
    archived_launches: [],
    state,
  };
}

/** How many Fireworks go to the server in one insert. */
const BATCH = 1000;

/**
 * Adds workflows and returns, for each, the new id of every Firework by its old one. Roots become READY at once.
 *
 * Fireworks are written before the workflow that names them, as FireWorks does. A crash in between leaves Fireworks
 * without a workflow; to keep such ones from being run, they are written WAITING and the roots made READY at the end. A crash
 * before that leaves a workflow that does not start: `lpad refresh` of its roots starts it.
 */
export async function addWorkflows(
  launchpad: LaunchPad,
  workflows: readonly NewWorkflow[],
): Promise<Map<number, number>[]> {
  const count = workflows.reduce((sum, workflow) => sum + workflow.fireworks.length, 0);
  if (count === 0) return [];
  let next = await launchpad.newIds('next_fw_id', count);
  const maps: Map<number, number>[] = [];
  let batch: Document[] = [];
  const flush = async () => {
    if (batch.length > 0) await launchpad.fireworks.insertMany(batch, { ordered: false });
    batch = [];
  };
  const documents: Document[] = [];
  const roots: number[] = [];
  for (const workflow of workflows) {
    const ids = new Map<number, number>();
    for (const firework of [...workflow.fireworks].sort((a, b) => a.fwId - b.fwId)) {
      ids.set(firework.fwId, next);
      batch.push(fireworkDocument(firework, next++));
      if (batch.length >= BATCH) await flush();
    }
    maps.push(ids);
    roots.push(...workflow.roots.map((id) => ids.get(id) as number));
    documents.push(workflowDocument(workflow, ids));
  }
  await flush();
  for (let i = 0; i < documents.length; i += BATCH)
    await launchpad.workflows.insertMany(documents.slice(i, i + BATCH));
  await launchpad.fireworks.updateMany({ fw_id: { $in: roots } }, { $set: { state: 'READY' } });
  return maps;
}

/** The document of a new workflow (`Workflow.to_db_dict`), its Fireworks under their new ids. */
function workflowDocument(workflow: NewWorkflow, ids: ReadonlyMap<number, number>): Document {
  const idOf = (old: number) => ids.get(old) as number;
  const links = Object.fromEntries(
    [...workflow.links].map(([parent, children]) => [idOf(parent), children.map(idOf)]),
  );
  const ready = new Set(workflow.roots.map(idOf));
  const nodes = [...ids.values()];
  return {
    links,
    parent_links: parentLinks(links),
    nodes,
    metadata: typed(workflow.metadata),
    state: 'READY',
    name: workflow.name,
    created_on: workflow.createdOn ?? new Date(),
    updated_on: new Date(),
    fw_states: Object.fromEntries(nodes.map((id) => [id, ready.has(id) ? 'READY' : 'WAITING'])),
  };
}
