/**
 * Snapshots of a LaunchPad in the normal form of the recorded scenarios: what differs from run to run is a placeholder that
 * keeps its type, integers and floats stay apart, dictionaries are compared without order.
 */
import { hostname } from 'node:os';
import type { Document } from 'mongodb';
import type { LaunchPad } from '../launchpad.ts';
import { isDoc, isDouble, isInt32, isLong, numberOf, TYPED } from '../values.ts';

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+\d\d:\d\d)?$/;
/** Longer texts are recorded as their length. */
const LONG = 10_000;
const TIMES = ['runtime_secs', 'reservedtime_secs', 'elapsed', 'time'];

/** The normal form of a value read with TYPED, or of a recorded one read with `fromJson`. */
export function normal(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => normal(item, key));
  if (isInt32(value)) return value.value;
  if (isLong(value)) {
    const number = value.toNumber();
    return Number.isSafeInteger(number) ? number : `long ${value.toString()}`;
  }
  if (isDouble(value)) return TIMES.includes(key) ? '<float>' : `float ${value.value}`;
  if (value instanceof Date) return '<date>';
  if (typeof value === 'string') return text(value, key);
  if ((value as { _bsontype?: string } | null)?._bsontype === 'ObjectId') return '<oid>';
  if (!isDoc(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, normal(inner, name)]));
}

function text(value: string, key: string): string {
  if (ISO.test(value)) return value.endsWith('+00:00') ? '<iso+00:00>' : '<iso>';
  if (key === 'host' || value === hostname()) return '<host>';
  if (key === 'ip') return '<ip>';
  if (/^[0-9a-f]{24}$/.test(value)) return '<oid>';
  if (value.length > LONG) return `<${value.length} characters>`;
  if (value.includes('Traceback (most recent call last)'))
    return `<traceback> ${value.trim().split('\n').at(-1)}`;
  return value
    .replace(/\/tmp\/[^\s"']*?\/(launcher_[\d-]+)/g, '<dir>/<launcher>')
    .replace(/\/tmp\/[\w./-]+/g, '<dir>');
}

/**
 * Parents and children are sets to FireWorks: it lists parents in the order in which they name the child, or by id as soon
 * as any Firework was refreshed, and the roots of what is added in the order of a Python set. And a workflow that detours
 * two parents of one child is linked to that child twice by FireWorks, so that what its leaf pushes into the child's spec is
 * pushed twice: that is not copied.
 */
function linksAsSets(workflow: Document): Document {
  const asSets = (links: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(links).map(([id, ids]) => [id, asSet(ids)]));
  return {
    ...workflow,
    links: asSets(workflow.links),
    parent_links: asSets(workflow.parent_links),
    nodes: asSet(workflow.nodes),
  };
}

const asSet = (ids: readonly number[]) => [...new Set(ids)].sort((a, b) => a - b);

/**
 * `LaunchPad.pause_fw`, `defuse_fw` and `archive_wf` of FireWorks 2.1.4 write `updated_on` of a Firework as a BSON date, and
 * everything else as an ISO string, so that a query or a sort by it misses those. Ours is a string always: not copied.
 * Archived launches are in the order in which FireWorks' server found them, which is no order.
 */
function comparable(firework: Document): Document {
  const { updated_on, archived_launches } = firework;
  return {
    ...firework,
    updated_on: updated_on === '<date>' ? '<iso+00:00>' : updated_on,
    archived_launches: asSet(archived_launches),
  };
}

/**
 * `LaunchPad.recover_offline` of FireWorks 2.1.4 leaves the dates of a launch's history as BSON dates: not copied, for a
 * lost-run sweep would never find it.
 */
function datesAsText(launch: Document): Document {
  const history = (launch.state_history as Document[]).map((entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([key, value]) => [key, value === '<date>' ? '<iso+00:00>' : value]),
    ),
  );
  return { ...launch, state_history: history };
}

/** Of a file in GridFS what both drivers write. pymongo adds `encoding`, the Node driver an empty `filename`. */
function fileInGridFs({ _id, chunkSize, length, metadata, uploadDate }: Document): Document {
  return { _id, chunkSize, length, metadata, uploadDate };
}

const COMPARABLE: Record<string, (row: Document) => Document> = {
  workflows: linksAsSets,
  fireworks: comparable,
  launches: datesAsText,
  'fw_gridfs.files': fileInGridFs,
};

export type Snapshot = Record<string, Document[]>;

/** The normal form of recorded collections. */
export function recorded(collections: Record<string, unknown[]>): Snapshot {
  return Object.fromEntries(
    Object.entries(collections).map(([name, rows]) => {
      const normalised = rows.map((row) => normal(row) as Document);
      return [name, normalised.map(COMPARABLE[name] ?? ((row) => row))];
    }),
  );
}

/** All collections of a LaunchPad as they are now. */
export async function snapshot(launchpad: LaunchPad): Promise<Snapshot> {
  const order: Record<string, (row: Document) => number> = {
    fireworks: (row) => numberOf(row.fw_id),
    launches: (row) => numberOf(row.launch_id),
    workflows: (row) => Math.min(...(row.nodes as unknown[]).map(numberOf)),
    fw_id_assigner: () => 0,
    offline_runs: (row) => numberOf(row.launch_id),
    'fw_gridfs.files': (row) => numberOf(row.metadata.launch_id),
  };
  const collections: Record<string, Document[]> = {};
  for (const [name, key] of Object.entries(order)) {
    const rows = await launchpad.db.collection(name).find({}, TYPED).toArray();
    collections[name] = rows.sort((a, b) => key(a) - key(b));
  }
  return recorded(collections);
}
