/** Workflows as `lpad get_wflows` shows them (`LaunchPad.get_wf_summary_dict`). */
import type { Document } from 'mongodb';
import { type Doc, type LaunchPad, numberOf, TYPED } from '../../core/launchpad/index.ts';

export type Level = 'less' | 'more' | 'all' | 'reservations';

interface Part {
  fwId: number;
  state: string;
  /** `name--fw_id` */
  label: string;
  launches: number[];
}

/** Of links the order is told as it is stored, which a JavaScript object with numbers for keys would lose. */
const LINKS = { links: { $objectToArray: '$links' }, parent_links: { $objectToArray: '$parent_links' } };

const FIELDS: Record<Level, Document> = {
  less: { state: 1, created_on: 1, name: 1, nodes: 1, _id: 0 },
  more: { state: 1, created_on: 1, name: 1, nodes: 1, updated_on: 1, _id: 0 },
  reservations: { state: 1, created_on: 1, name: 1, nodes: 1, updated_on: 1, _id: 0 },
  all: { fw_states: 0, _id: 0 },
};

/** Workflows are gathered until they have this many Fireworks, whose documents are then read together. */
const FIREWORKS_AT_ONCE = 2000;

/** The workflows of the Fireworks `ids`, each by its first node, in that order. */
export async function* workflowDicts(
  launchpad: LaunchPad,
  ids: readonly number[],
  level: Level,
): AsyncGenerator<Doc> {
  for await (const { workflows, parts, launches } of ahead(batches(launchpad, ids, level))) {
    for (const doc of workflows) {
      const own = (doc.nodes as number[]).flatMap((id) => parts.get(id) ?? []);
      own.sort((a, b) => a.fwId - b.fwId);
      yield workflowDict(doc, own, launches, level);
    }
  }
}

/** Workflows, and what is known of their Fireworks. */
interface Batch {
  workflows: Doc[];
  parts: Map<number, Part>;
  launches: Map<number, Doc>;
}

async function* batches(launchpad: LaunchPad, ids: readonly number[], level: Level): AsyncGenerator<Batch> {
  const complete = async (workflows: Doc[]): Promise<Batch> => {
    const nodes = workflows.flatMap((doc) => doc.nodes as number[]);
    const parts = await partsOf(launchpad, nodes, level);
    const launchIds = [...parts.values()].flatMap(({ launches }) => launches);
    return { workflows, parts, launches: await launchesOf(launchpad, launchIds, level) };
  };
  const CHUNK = level === 'all' ? 50 : 200;
  for (let i = 0; i < ids.length; i += CHUNK) {
    const part = ids.slice(i, i + CHUNK);
    const byNode = new Map<number, Doc>();
    const stages = [
      { $match: { nodes: { $in: part } } },
      { $project: FIELDS[level] },
      ...(level === 'all' ? [{ $set: LINKS }] : []),
    ];
    for await (const doc of launchpad.workflows.aggregate(stages, { ...TYPED, batchSize: CHUNK })) {
      doc.nodes = (doc.nodes as unknown[]).map(numberOf);
      byNode.set(doc.nodes[0] as number, doc);
    }
    let waiting: Doc[] = [];
    let fireworks = 0;
    for (const id of part) {
      const doc = byNode.get(id);
      if (!doc) continue;
      waiting.push(doc);
      fireworks += (doc.nodes as number[]).length;
      if (fireworks < FIREWORKS_AT_ONCE) continue;
      yield await complete(waiting);
      [waiting, fireworks] = [[], 0];
    }
    if (waiting.length > 0) yield await complete(waiting);
  }
}

/** The same, the next one being asked for while one is used: the LaunchPad works while this side prints. */
async function* ahead<T>(items: AsyncIterator<T>): AsyncGenerator<T> {
  for (let next = items.next(); ; ) {
    const { done, value } = await next;
    if (done) return;
    next = items.next();
    // It is heard when its turn comes.
    next.catch(() => {});
    yield value;
  }
}

async function partsOf(
  launchpad: LaunchPad,
  nodes: readonly number[],
  level: Level,
): Promise<Map<number, Part>> {
  const fields = level === 'less' ? ['fw_id', 'state'] : ['fw_id', 'state', 'name', 'launches'];
  const parts = new Map<number, Part>();
  for (let i = 0; i < nodes.length; i += FIREWORKS_AT_ONCE) {
    const query = { fw_id: { $in: nodes.slice(i, i + FIREWORKS_AT_ONCE) } };
    for (const [id, state, name, own] of await rows(launchpad.fireworks, query, fields)) {
      const fwId = numberOf(id);
      const launches = ((own ?? []) as unknown[]).map(numberOf);
      parts.set(fwId, { fwId, state: String(state), label: `${name}--${fwId}`, launches });
    }
  }
  return parts;
}

async function launchesOf(
  launchpad: LaunchPad,
  ids: readonly number[],
  level: Level,
): Promise<Map<number, Doc>> {
  const found = new Map<number, Doc>();
  if (level === 'less') return found;
  for (let i = 0; i < ids.length; i += FIREWORKS_AT_ONCE) {
    const query = { launch_id: { $in: ids.slice(i, i + FIREWORKS_AT_ONCE) } };
    if (level === 'reservations') {
      const projection = { launch_id: 1, launch_dir: 1, 'state_history.reservation_id': 1 };
      for await (const launch of launchpad.launches.find(query, { projection, ...TYPED }))
        found.set(numberOf(launch.launch_id), launch);
    } else
      for (const [id, launch_dir] of await rows(launchpad.launches, query, ['launch_id', 'launch_dir']))
        found.set(numberOf(id), { launch_dir });
  }
  return found;
}

/**
 * A few short fields of many documents, missing ones as null. They come as one document of columns: as many documents, with
 * the names of their fields in each, take three times as long to read.
 */
async function rows(
  collection: LaunchPad['fireworks'],
  query: Document,
  fields: readonly string[],
): Promise<unknown[][]> {
  const column = (field: string) => ({ $push: { $ifNull: [`$${field}`, null] } });
  const group = { _id: null, ...Object.fromEntries(fields.map((field) => [field, column(field)])) };
  const [found] = await collection.aggregate([{ $match: query }, { $group: group }]).toArray();
  const columns = fields.map((field) => (found?.[field] ?? []) as unknown[]);
  return (columns[0] as unknown[]).map((_, i) => columns.map((values) => values[i]));
}

/** One summary. The order of the keys is the stored document's, then what is worked out, as FireWorks prints them. */
export function workflowDict(
  doc: Doc,
  parts: readonly Part[],
  launches: ReadonlyMap<number, Doc>,
  level: Level,
): Doc {
  const { nodes: _, ...rest } = doc;
  const summary: Doc = { ...rest, name: `${doc.name}--${(doc.nodes as number[])[0]}` };
  if (level === 'less') {
    summary.states_list = parts
      .map(({ state }) => (state.startsWith('R') ? state.slice(0, 3) : state[0]))
      .join('-');
    return summary;
  }
  const launchesBy = (part: Part) =>
    [...part.launches]
      .sort((a, b) => a - b)
      .flatMap((id): Doc[] => (launches.has(id) ? [launches.get(id) as Doc] : []));
  const each = (value: (part: Part) => unknown) =>
    Object.fromEntries(parts.map((part) => [part.label, value(part)]));
  if (level === 'all') {
    const labels = new Map(parts.map(({ fwId, label }) => [fwId, label]));
    const named = (links: unknown) =>
      Object.fromEntries(
        ((links ?? []) as { k: string; v: unknown[] }[]).map(({ k, v }) => [
          labels.get(Number(k)) ?? k,
          v.map((other) => labels.get(numberOf(other)) ?? String(other)),
        ]),
      );
    summary.links = named(doc.links);
    summary.parent_links = named(doc.parent_links);
  }
  summary.states = each(({ state }) => state);
  if (level === 'reservations') summary.launches = each(launchesBy);
  else summary.launch_dirs = each((part) => launchesBy(part).map((launch: Doc) => launch.launch_dir));
  return summary;
}
