/** Fireworks as `lpad get_fws` shows them (`Firework.to_dict` without what the level leaves out). */
import type { Document } from 'mongodb';
import { mongodbDriver } from '../../core/launchpad/driver.ts';
import { type Doc, isDoc, type LaunchPad, numberOf, TYPED } from '../../core/launchpad/index.ts';
import { storedAction } from '../../core/launchpad/stored_action.ts';
import { show } from './show.ts';

export type Level = 'less' | 'more' | 'all';

/** How many are read together, and how many bytes of them: specs and actions may have megabytes. */
const CHUNKS: Record<Level, number> = { less: 500, more: 100, all: 25 };
const CHUNK_BYTES = 4 * 2 ** 20;

/** Prints Fireworks as `-d` says: `ids`, `count`, or documents (`reservations` is `all`, as in FireWorks). */
export async function showFireworks(
  launchpad: LaunchPad,
  ids: readonly number[],
  display: string,
  output: 'json' | 'yaml',
): Promise<void> {
  if (display === 'ids') await show(ids, output);
  else if (display === 'count') await show([ids.length], output);
  else {
    const level = display === 'reservations' ? 'all' : (display as Level);
    await show(fireworkDicts(launchpad, ids, level), output);
  }
}

/** The Fireworks `ids`, in that order; those that are gone by now are left out. */
export async function* fireworkDicts(
  launchpad: LaunchPad,
  ids: readonly number[],
  level: Level,
): AsyncGenerator<Doc> {
  const projection: Document = { _id: 0 };
  if (level !== 'all') projection.spec = 0;
  if (level === 'less') Object.assign(projection, { launches: 0, archived_launches: 0 });
  const { BSON } = await mongodbDriver();
  let chunk = level === 'all' ? 1 : CHUNKS[level];
  for (let i = 0; i < ids.length; ) {
    const part = ids.slice(i, i + chunk);
    i += part.length;
    const found = new Map<number, Doc>();
    for await (const doc of launchpad.fireworks.find({ fw_id: { $in: part } }, { projection, ...TYPED }))
      found.set(numberOf(doc.fw_id), doc);
    const launches = level === 'less' ? new Map() : await launchesOf(launchpad, [...found.values()], level);
    for (const id of part) {
      const doc = found.get(id);
      if (doc) yield await withActions(launchpad, fireworkDict(doc, level, launches));
    }
    // The next ones will be about as large as these, or twice.
    if (level !== 'all') continue;
    const read = [...found.values(), ...launches.values()];
    const bytes = read.reduce((sum, doc) => sum + BSON.calculateObjectSize(doc), 0);
    const fitting = Math.floor((CHUNK_BYTES * part.length) / Math.max(bytes, 1));
    chunk = Math.max(1, Math.min(fitting, chunk * 2, CHUNKS.all));
  }
}

async function launchesOf(
  launchpad: LaunchPad,
  fireworks: readonly Doc[],
  level: Level,
): Promise<Map<number, Doc>> {
  const lists = fireworks.flatMap((doc) => [doc.launches, level === 'all' ? doc.archived_launches : []]);
  const ids = lists.flatMap((list) => ((list ?? []) as unknown[]).map(numberOf));
  const found = new Map<number, Doc>();
  const chunk = CHUNKS[level];
  for (let i = 0; i < ids.length; i += chunk) {
    const query = { launch_id: { $in: ids.slice(i, i + chunk) } };
    for await (const launch of launchpad.launches.find(query, { projection: { _id: 0 }, ...TYPED }))
      found.set(numberOf(launch.launch_id), launchDict(launch));
  }
  return found;
}

/** Actions in GridFS are read for one Firework at a time: each is 15 MB or more. */
async function withActions(launchpad: LaunchPad, dict: Doc): Promise<Doc> {
  for (const key of ['launches', 'archived_launches']) {
    if (!(key in dict)) continue;
    const launches: Doc[] = [];
    for (const launch of dict[key] as Doc[]) {
      const action = isDoc(launch.action) ? await storedAction(launchpad, launch.action) : null;
      launches.push({ ...launch, action: action && actionDict(action) });
    }
    dict[key] = launches;
  }
  return dict;
}

/** The keys and their order are FireWorks': what is empty is left out, and a WAITING state comes last. */
export function fireworkDict(doc: Doc, level: Level, launches: ReadonlyMap<number, Doc>): Doc {
  const full = (ids: unknown) =>
    ((ids ?? []) as unknown[])
      .map(numberOf)
      .sort((a, b) => a - b)
      .flatMap((id) => launches.get(id) ?? []);
  const [own, archived] = level === 'less' ? [[], []] : [full(doc.launches), full(doc.archived_launches)];
  const waiting = doc.state === 'WAITING';
  return {
    ...(level === 'all' && { spec: doc.spec }),
    fw_id: doc.fw_id,
    created_on: doc.created_on,
    updated_on: doc.updated_on,
    ...(own.length > 0 && { launches: own }),
    ...(level === 'all' && archived.length > 0 && { archived_launches: archived }),
    ...(!waiting && { state: doc.state }),
    name: doc.name,
    ...(waiting && { state: doc.state }),
  };
}

function launchDict(launch: Doc): Doc {
  const { fworker, fw_id, launch_dir, host, ip, trackers, action, state, state_history, launch_id } = launch;
  return { fworker, fw_id, launch_dir, host, ip, trackers, action, state, state_history, launch_id };
}

/** A lone Firework that a Firetask added is stored as it is, and shown as the workflow that it became. */
function actionDict(action: Doc): Doc {
  const each = (key: string, shown: (dict: Doc) => Doc) => {
    const list = action[key];
    return Array.isArray(list) && { [key]: list.map((item) => (isDoc(item) ? shown(item) : item)) };
  };
  return {
    ...action,
    ...each('additions', workflowDict),
    ...each('detours', workflowDict),
    ...each('append_wfs', (item) => ({
      ...item,
      ...(isDoc(item.workflow) && { workflow: workflowDict(item.workflow) }),
    })),
  };
}

function workflowDict(dict: Doc): Doc {
  const { fw_id, name, created_on, updated_on } = dict;
  if ('fws' in dict || fw_id === undefined) return dict;
  return { fws: [dict], links: { [String(fw_id)]: [] }, name, metadata: {}, updated_on, created_on };
}
