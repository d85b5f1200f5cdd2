/** Which Fireworks or workflows a command line means. Only ids are read, in the order that was asked for. */
import type { Document } from 'mongodb';
import { BorealisError, UsageError } from '../../core/errors.ts';
import { type Doc, type LaunchPad, launchOfReservation, numberOf } from '../../core/launchpad/index.ts';
import type { Args } from './arguments.ts';
import { parseQuery } from './query.ts';
import { Fields, readOne } from './raw_documents.ts';

export interface Order {
  sort?: 'created_on' | 'updated_on';
  direction?: 1 | -1;
  /** 0: all. */
  limit: number;
}

/** What `--sort`, `--rsort` and `--max` say. */
export function orderOf(args: Args): Order {
  const [up, down] = [args.text('sort'), args.text('rsort')];
  const limit = args.number('max') ?? 0;
  if (limit < 0) throw new UsageError(`-m ${limit}: it must be 0 (all) or more`);
  const sort = (up ?? down) as Order['sort'];
  return sort ? { sort, direction: up ? 1 : -1, limit } : { limit };
}

/** The given flags of a selection, by key. `prefix` as in `selectionFlags`. */
function givenOf(args: Args, prefix: string): string[] {
  const key = (name: string) => (prefix ? `${prefix}_${name}` : name);
  return ['fw_id', 'name', 'state', 'query'].filter((name) => args.values.has(key(name)));
}

/**
 * The query that a selection stands for; `{}` when nothing was selected. `idField` is `fw_id` for Fireworks and launches,
 * `nodes` for workflows. With `one`, naming two of fw_id, name, state and query is a UsageError, as it is for `get_fws`;
 * otherwise name, state and query narrow each other.
 */
export function queryOf(
  args: Args,
  o: { prefix?: '' | 'wf' | 'fw'; idField: 'fw_id' | 'nodes'; one: boolean },
): Doc {
  const { prefix = '', idField, one } = o;
  const key = (name: string) => (prefix ? `${prefix}_${name}` : name);
  const given = givenOf(args, prefix);
  if (one && given.length > 1)
    throw new UsageError(`Give one of fw_id, name, state and query, not ${given.join(' and ')}`);
  const ids = args.ids(key('fw_id'));
  if (ids && given.length > 1) throw new UsageError('With -i, neither name nor state nor query can be given');
  if (ids) return { [idField]: { $in: ids } };
  const query = args.text(key('query'));
  const name = args.text(key('name'));
  const state = args.text(key('state'));
  return {
    ...(query !== undefined && parseQuery(query)),
    ...(name !== undefined && { name }),
    ...(state !== undefined && { state }),
  };
}

/** True when a command line names anything at all. */
export const selects = (args: Args): boolean => givenOf(args, '').length > 0 || args.values.has('qid');

/** The fw_ids of Fireworks that match, in order. */
export async function fireworkIds(launchpad: LaunchPad, query: Doc, order: Order): Promise<number[]> {
  const found: number[] = [];
  for await (const doc of ordered(launchpad.fireworks, query, order, 'fw_id'))
    found.push(numberOf(doc.fw_id));
  return found;
}

/** One fw_id, the first node, for each workflow that matches. */
export async function workflowIds(launchpad: LaunchPad, query: Doc, order: Order): Promise<number[]> {
  const found: number[] = [];
  for await (const doc of ordered(launchpad.workflows, query, order, 'nodes'))
    found.push(numberOf(doc.nodes[0]));
  return found;
}

/** The driver holds all that it made of a batch until the next one: batches as large as a message would be most of the memory. */
const BATCH = 1000;

const FIRST_NODE = new Fields(['nodes', 'name']);
const FW_ID = new Fields(['fw_id']);

/** Matching documents with only `field`. */
async function* ordered(
  collection: LaunchPad['fireworks'],
  query: Doc,
  { sort, direction = 1, limit }: Order,
  field: 'fw_id' | 'nodes',
): AsyncGenerator<Document> {
  if (sort !== 'updated_on') {
    const fields = field === 'nodes' ? FIRST_NODE : FW_ID;
    // `$slice` alone would show all the other fields: the name, which is short, says that some are shown.
    const projection = { ...fields.projection, ...(field === 'nodes' && { nodes: { $slice: 1 } }) };
    const cursor = collection.find(query as Document, { projection, batchSize: BATCH, raw: true });
    if (sort) cursor.sort({ [sort]: direction });
    for await (const bytes of cursor.limit(limit)) yield readOne(bytes as unknown as Uint8Array, fields);
    return;
  }
  // Python writes BSON dates where it pauses or defuses, and strings everywhere else: they are compared as dates.
  const asDate = { $convert: { input: '$updated_on', to: 'date', onError: '$updated_on' } };
  const stages = [
    { $match: query },
    { $project: { [field]: 1, updated_on: 1 } },
    { $set: { updated_on: asDate } },
    { $sort: { updated_on: direction } },
    ...(limit > 0 ? [{ $limit: limit }] : []),
  ];
  yield* collection.aggregate(stages, { batchSize: BATCH });
}

/** How many match; no more than the limit are counted. */
export function count(collection: LaunchPad['fireworks'], query: Doc, order: Order): Promise<number> {
  return collection.countDocuments(query as Document, order.limit > 0 ? { limit: order.limit } : {});
}

const CHUNK = 2000;

/** Fireworks whose current launches match a query about launches. */
export async function idsByLaunch(launchpad: LaunchPad, query: Doc, order: Order): Promise<number[]> {
  const launches = launchpad.launches.find(query as Document, {
    projection: { launch_id: 1, fw_id: 1, _id: 0 },
    batchSize: BATCH,
  });
  const byFirework = new Map<number, number[]>();
  for await (const launch of launches) {
    const fwId = numberOf(launch.fw_id);
    byFirework.set(fwId, [...(byFirework.get(fwId) ?? []), numberOf(launch.launch_id)]);
  }
  const ids = [...byFirework.keys()];
  const current = new Set<number>();
  for (let i = 0; i < ids.length; i += CHUNK) {
    const found = launchpad.fireworks.find(
      { fw_id: { $in: ids.slice(i, i + CHUNK) } },
      { projection: { fw_id: 1, launches: 1, _id: 0 } },
    );
    for await (const firework of found) {
      const own = new Set((firework.launches as unknown[]).map(numberOf));
      const fwId = numberOf(firework.fw_id);
      if (byFirework.get(fwId)?.some((launchId) => own.has(launchId))) current.add(fwId);
    }
  }
  const found = ids.filter((id) => current.has(id));
  if (order.sort) return await fireworkIds(launchpad, { fw_id: { $in: found } }, order);
  return order.limit > 0 ? found.slice(0, order.limit) : found;
}

/** Fireworks of a reservation in a queue. */
export async function idsByReservation(launchpad: LaunchPad, qid: string): Promise<number[]> {
  const launchId = await launchOfReservation(launchpad, qid);
  if (launchId === null) throw new BorealisError(`No launch has the reservation id ${qid}`);
  return await fireworkIds(launchpad, { launches: launchId }, { limit: 0 });
}

/** Throws BorealisError when one of `ids` is no Firework: a command that names it does nothing at all. */
export async function mustExist(launchpad: LaunchPad, ids: readonly number[]): Promise<void> {
  const found = launchpad.fireworks.find({ fw_id: { $in: [...ids] } }, { projection: { fw_id: 1, _id: 0 } });
  const known = new Set<number>();
  for await (const firework of found) known.add(numberOf(firework.fw_id));
  const missing = ids.filter((id) => !known.has(id));
  if (missing.length === 0) return;
  const [which, verb] = missing.length === 1 ? ['Firework', 'is'] : ['Fireworks', 'are'];
  throw new BorealisError(`There ${verb} no ${which} with fw_id ${missing.join(', ')}: nothing was changed`);
}

/** The Fireworks that a showing command is about: one of `-i`, `-n`, `-s` and `-q`; `-lm`, `--qid`. */
export async function shownFireworks(launchpad: LaunchPad, args: Args): Promise<number[]> {
  const qid = args.text('qid');
  if (qid !== undefined && (args.values.has('fw_id') || args.values.has('name')))
    throw new UsageError('Give one of fw_id, name and qid');
  const query = queryOf(args, { idField: 'fw_id', one: true });
  if (qid !== undefined) query.fw_id = { $in: await idsByReservation(launchpad, qid) };
  return await (args.on('launches_mode') ? idsByLaunch : fireworkIds)(launchpad, query, orderOf(args));
}

/** The Fireworks that a changing command is about (`-i`, `-n`, `-s`, `-q`, `-lm`). */
export async function selectedFireworks(launchpad: LaunchPad, args: Args): Promise<number[]> {
  const ids = args.ids('fw_id');
  const query = queryOf(args, { idField: 'fw_id', one: false });
  if (ids) {
    await mustExist(launchpad, ids);
    return [...new Set(ids)];
  }
  const order = orderOf(args);
  return args.on('launches_mode')
    ? await idsByLaunch(launchpad, query, order)
    : await fireworkIds(launchpad, query, order);
}

/**
 * One fw_id for each workflow that a changing command is about, each workflow once. (FireWorks 2.1.4 takes no notice of `-n`
 * here: `delete_wflows -n NAME` deletes every workflow. Not copied.)
 */
export async function selectedWorkflows(launchpad: LaunchPad, args: Args): Promise<number[]> {
  const ids = args.ids('fw_id');
  if (ids) await mustExist(launchpad, ids);
  return await workflowIds(launchpad, queryOf(args, { idField: 'nodes', one: false }), orderOf(args));
}
