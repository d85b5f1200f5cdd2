/** Workflows as `lpad get_wflows` shows them (`LaunchPad.get_wf_summary_dict`). */
import { type Doc, type LaunchPad, numberOf, TYPED } from '../../core/launchpad/index.ts';
import { documentsAmong, Fields, readOne } from './raw_documents.ts';

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

const WORKFLOW: Record<Exclude<Level, 'all'>, Fields> = {
  less: new Fields(['state', 'created_on', 'name', 'nodes']),
  more: new Fields(['state', 'created_on', 'name', 'nodes', 'updated_on']),
  reservations: new Fields(['state', 'created_on', 'name', 'nodes', 'updated_on']),
};
const STATE = new Fields(['fw_id', 'state']);
const PART = new Fields(['fw_id', 'state', 'name', 'launches']);
const FOLDER = new Fields(['launch_id', 'launch_dir']);

/**
 * Workflows are gathered until they have so many Fireworks, whose documents are then read together: few at first, so that
 * both sides have something to do soon, then more, as each command costs the driver 1 ms and more.
 */
const FIRST_FIREWORKS = 1000;
const MOST_FIREWORKS = 4000;

/** So many of these are read while the ones before them are shown. */
const AHEAD = 2;

/** So many workflows are looked up together. Those of `all` have links. */
const WORKFLOWS_AT_ONCE = { less: 250, more: 250, reservations: 250, all: 50 };

/** The workflows of the Fireworks `ids`, each by its first node, in that order. */
export async function* workflowDicts(
  launchpad: LaunchPad,
  ids: readonly number[],
  level: Level,
): AsyncGenerator<Doc> {
  const batches = ahead(groups(launchpad, ids, level), (workflows) => batchOf(launchpad, workflows, level));
  for await (const { workflows, parts, launches } of batches) {
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

async function batchOf(launchpad: LaunchPad, workflows: Doc[], level: Level): Promise<Batch> {
  const nodes = workflows.flatMap((doc) => doc.nodes as number[]);
  const parts = await partsOf(launchpad, nodes, level);
  const launchIds = nodes.flatMap((id) => parts.get(id)?.launches ?? []);
  return { workflows, parts, launches: await launchesOf(launchpad, launchIds, level) };
}

/** The documents of the workflows, so many together as are looked up together. */
async function* groups(launchpad: LaunchPad, ids: readonly number[], level: Level): AsyncGenerator<Doc[]> {
  const chunk = WORKFLOWS_AT_ONCE[level];
  let most = FIRST_FIREWORKS;
  let waiting: Doc[] = [];
  let fireworks = 0;
  for (let i = 0; i < ids.length; i += chunk) {
    const part = ids.slice(i, i + chunk);
    const byNode = new Map<number, Doc>();
    for await (const doc of workflowsOf(launchpad, part, level)) {
      doc.nodes = (doc.nodes as unknown[]).map(numberOf);
      byNode.set((doc.nodes as number[])[0] as number, doc);
    }
    for (const id of part) {
      const doc = byNode.get(id);
      if (!doc) continue;
      waiting.push(doc);
      fireworks += (doc.nodes as number[]).length;
      if (fireworks < most) continue;
      yield waiting;
      [waiting, fireworks] = [[], 0];
      most = Math.min(most * 2, MOST_FIREWORKS);
    }
  }
  if (waiting.length > 0) yield waiting;
}

async function* workflowsOf(
  { workflows }: LaunchPad,
  nodes: readonly number[],
  level: Level,
): AsyncGenerator<Doc> {
  const filter = { nodes: { $in: nodes } };
  const batchSize = nodes.length;
  if (level === 'all') {
    const stages = [{ $match: filter }, { $project: { fw_states: 0, _id: 0 } }, { $set: LINKS }];
    yield* workflows.aggregate(stages, { ...TYPED, batchSize });
    return;
  }
  const fields = WORKFLOW[level];
  const { projection } = fields;
  for await (const bytes of workflows.find(filter, { projection, batchSize, raw: true }))
    yield readOne(bytes as unknown as Uint8Array, fields);
}

/** What `work` makes of the items, in their order. It is begun for the next ones while one is used: the LaunchPad works while this side prints. */
async function* ahead<T, R>(items: AsyncIterable<T>, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    // A failure is heard when its turn comes.
    result.catch(() => {});
    if (begun.push(result) > AHEAD) yield await (begun.shift() as Promise<R>);
  }
  for (const result of begun) yield await result;
}

async function partsOf(
  launchpad: LaunchPad,
  nodes: readonly number[],
  level: Level,
): Promise<Map<number, Part>> {
  const fields = level === 'less' ? STATE : PART;
  const parts = new Map<number, Part>();
  for (let i = 0; i < nodes.length; i += MOST_FIREWORKS) {
    const some = nodes.slice(i, i + MOST_FIREWORKS);
    for (const doc of await documentsAmong(launchpad.fireworks, 'fw_id', some, fields)) {
      const fwId = numberOf(doc.fw_id);
      const launches = ((doc.launches ?? []) as unknown[]).map(numberOf);
      parts.set(fwId, {
        fwId,
        state: String(doc.state ?? null),
        label: `${doc.name ?? null}--${fwId}`,
        launches,
      });
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
  for (let i = 0; i < ids.length; i += MOST_FIREWORKS) {
    const some = ids.slice(i, i + MOST_FIREWORKS);
    if (level === 'reservations') {
      const projection = { launch_id: 1, launch_dir: 1, 'state_history.reservation_id': 1 };
      for await (const launch of launchpad.launches.find(
        { launch_id: { $in: some } },
        { projection, ...TYPED },
      ))
        found.set(numberOf(launch.launch_id), launch);
    } else
      for (const launch of await documentsAmong(launchpad.launches, 'launch_id', some, FOLDER))
        found.set(numberOf(launch.launch_id), launch);
  }
  return found;
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
  // Names that no other workflow has: an object of them takes longer to be made than all the rest.
  const each = (value: (part: Part) => unknown) => new Map(parts.map((part) => [part.label, value(part)]));
  if (level === 'all') {
    const labels = new Map(parts.map(({ fwId, label }) => [fwId, label]));
    const named = (links: unknown) =>
      new Map(
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
  else summary.launch_dirs = each((part) => launchesBy(part).map((launch) => launch.launch_dir ?? null));
  return summary;
}
