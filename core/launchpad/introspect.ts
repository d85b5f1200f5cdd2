/**
 * What FIZZLED runs have in common that COMPLETED ones have not (`Introspector` of fireworks/features/introspect.py): the
 * values in specs, Firetasks and metadata whose share differs, and the stack traces of launches.
 */
import type { Document } from 'mongodb';
import { toJson } from './json.ts';
import type { LaunchPad } from './launchpad.ts';
import { type Doc, isDoc, isDouble, isInt32, isLong, numberOf, TYPED } from './values.ts';

export const SUBJECTS = ['launches', 'tasks', 'fireworks', 'workflows'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** A key with a value, how often it occurs among COMPLETED and FIZZLED, and the difference of the shares in percent. */
export interface Difference {
  key: string;
  value: string;
  completed: number;
  fizzled: number;
  difference: number;
}

interface Counted {
  samples: number;
  /** By key and value, which no text can hold: a NUL is between them. */
  counts: Map<string, number>;
}

/** The differences of at least `threshold` percent among the newest `limit` of each, most completed first. */
export async function introspect(
  launchpad: LaunchPad,
  subject: Subject,
  { threshold = 10, limit = 100 } = {},
): Promise<Difference[]> {
  const fizzled = await countPairs(launchpad, subject, 'FIZZLED', limit);
  const completed =
    subject === 'launches'
      ? { samples: 0, counts: new Map<string, number>() }
      : await countPairs(launchpad, subject, 'COMPLETED', limit);
  return compare(completed, fizzled, threshold);
}

export function compare(completed: Counted, fizzled: Counted, threshold: number): Difference[] {
  const share = ({ counts, samples }: Counted, pair: string) =>
    counts.has(pair) ? ((counts.get(pair) as number) / samples) * 100 : 0;
  return [...new Set([...completed.counts.keys(), ...fizzled.counts.keys()])]
    .sort()
    .map((pair) => {
      const [key = '', value = ''] = pair.split('\0');
      const [done, failed] = [completed, fizzled].map(({ counts }) => counts.get(pair) ?? 0);
      const difference = share(completed, pair) - share(fizzled, pair);
      return { key, value, completed: done as number, fizzled: failed as number, difference };
    })
    .filter(({ difference }) => Math.abs(difference) >= threshold)
    .sort((a, b) => b.difference - a.difference);
}

const SOURCES: Record<Subject, { collection: 'fireworks' | 'workflows'; field: string } | null> = {
  launches: null,
  tasks: { collection: 'fireworks', field: 'spec._tasks' },
  fireworks: { collection: 'fireworks', field: 'spec' },
  workflows: { collection: 'workflows', field: 'metadata' },
};

async function countPairs(
  launchpad: LaunchPad,
  subject: Subject,
  state: 'FIZZLED' | 'COMPLETED',
  limit: number,
): Promise<Counted> {
  const counted: Counted = { samples: 0, counts: new Map() };
  const source = SOURCES[subject];
  const documents = source
    ? launchpad[source.collection].find(
        { state },
        { projection: { [source.field]: 1 }, sort: { updated_on: -1 }, limit, ...TYPED },
      )
    : fizzledLaunches(launchpad, limit);
  for await (const document of documents) {
    counted.samples++;
    for (const [key, value] of pairsOf(subject, document)) {
      const pair = `${key}\0${value}`;
      counted.counts.set(pair, (counted.counts.get(pair) ?? 0) + 1);
    }
  }
  return counted;
}

const CHUNK = 200;

/** The newest FIZZLED launches that are some Firework's current ones. */
async function* fizzledLaunches({ launches, fireworks }: LaunchPad, limit: number): AsyncGenerator<Document> {
  const projection = { launch_id: 1, 'action.stored_data._exception._stacktrace': 1 };
  const newest = launches.find({ state: 'FIZZLED' }, { projection, sort: { time_end: -1 } });
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  let chunk: Document[] = [];
  const current = async () => {
    const ids = chunk.map(({ launch_id }) => numberOf(launch_id));
    const held = new Set<number>();
    const holders = fireworks.find({ launches: { $in: ids } }, { projection: { launches: 1, _id: 0 } });
    for await (const holder of holders) for (const id of holder.launches) held.add(numberOf(id));
    return chunk.filter(({ launch_id }) => held.has(numberOf(launch_id))).slice(0, left);
  };
  for await (const launch of newest) {
    if (chunk.push(launch) < CHUNK) continue;
    const found = await current();
    yield* found;
    left -= found.length;
    chunk = [];
    if (left <= 0) return;
  }
  yield* await current();
}

function pairsOf(subject: Subject, document: Document): [key: string, value: string][] {
  switch (subject) {
    case 'launches': {
      const trace = document.action?.stored_data?._exception?._stacktrace ?? '<NO_STACKTRACE>';
      return [['_stacktrace', String(trace)]];
    }
    case 'tasks':
      return ((document.spec?._tasks ?? []) as Doc[]).map((task) => ['_fw_name', String(task._fw_name)]);
    default:
      return pairsIn(subject === 'fireworks' ? document.spec : document.metadata);
  }
}

/** Keys with their values, of the dictionary and of those in it; what is deeper does not count. */
export function pairsIn(dict: unknown, prefix = ''): [key: string, value: string][] {
  if (!isDoc(dict)) return [];
  return Object.entries(dict).flatMap(([name, value]): [string, string][] => {
    const key = `${prefix}${name}`;
    if (isDoc(value)) return prefix === '' ? pairsIn(value, `${key}.`) : [];
    if (!Array.isArray(value)) return [[key, asText(value)]];
    // As FireWorks: a list counts item by item up to the first that is no plain value, and then not at all.
    if (value.some((item) => isDoc(item) || Array.isArray(item))) return [];
    return value.map((item) => [key, asText(item)]);
  });
}

/** Python's `str` of a value. */
function asText(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value instanceof Date) {
    const [second = '', ms] = value.toISOString().replace('T', ' ').slice(0, -1).split('.');
    return ms === '000' ? second : `${second}.${ms}000`;
  }
  if (isInt32(value) || isDouble(value) || isLong(value)) return toJson(value);
  return String(value);
}
