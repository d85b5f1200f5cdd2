/** Which index a query can use: a pure choice from the filter, the sort and the indexes that there are. */
import type { Document } from 'bson';
import { afterPrefix, encodeField, isDocument, rankOf } from './keys.ts';

/** What the choice needs to know of an index. */
export interface Candidate {
  name: string;
  fields: [string, 1 | -1][];
  sparse: boolean;
  multikey: boolean;
}

export interface Range {
  from: Uint8Array;
  to: Uint8Array;
}

export interface Plan<I extends Candidate> {
  index: I;
  ranges: Range[];
  reverse: boolean;
  /** True when the documents come in the order of the sort already. */
  sorted: boolean;
  /** True when one document may come more than once. */
  repeats: boolean;
}

/** What a filter says about one field, as far as an index can use it. */
interface Condition {
  /** The field equals one of these. */
  in?: unknown[];
  above?: { value: unknown; inclusive: boolean };
  below?: { value: unknown; inclusive: boolean };
}

/** A list longer than this is looked up by another condition or a scan: one range of keys is made for each value. */
const MOST_RANGES = 20_000;

function isOperators(value: unknown): value is Record<string, unknown> {
  if (!isDocument(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => key.startsWith('$'));
}

/** The conditions of a filter that must all hold, by field. The first of several on one field wins: the rest only filters. */
export function conditionsOf(filter: Document, found = new Map<string, Condition>()): Map<string, Condition> {
  for (const [field, value] of Object.entries(filter)) {
    if (field === '$and') for (const part of value as Document[]) conditionsOf(part, found);
    if (
      field.startsWith('$') ||
      value instanceof RegExp ||
      (value as { _bsontype?: string })?._bsontype === 'BSONRegExp'
    )
      continue;
    const condition = found.get(field) ?? {};
    if (!isOperators(value)) condition.in ??= [value];
    else {
      if ('$eq' in value) condition.in ??= [value.$eq];
      if (
        Array.isArray(value.$in) &&
        value.$in.length <= MOST_RANGES &&
        !value.$in.some((v) => v instanceof RegExp)
      ) {
        condition.in ??= value.$in;
      }
      if ('$gt' in value) condition.above ??= { value: value.$gt, inclusive: false };
      if ('$gte' in value) condition.above ??= { value: value.$gte, inclusive: true };
      if ('$lt' in value) condition.below ??= { value: value.$lt, inclusive: false };
      if ('$lte' in value) condition.below ??= { value: value.$lte, inclusive: true };
    }
    if (condition.in || condition.above || condition.below) found.set(field, condition);
  }
  return found;
}

/**
 * The best index for a query, or null when only a scan will do. Equality on leading fields counts most, then an order
 * that saves sorting, then a range. An index whose keys come in the order of `sort` is used even without a condition.
 */
export function choosePlan<I extends Candidate>(
  filter: Document,
  sort: Document | undefined,
  indexes: readonly I[],
): Plan<I> | null {
  const conditions = conditionsOf(filter);
  let best: { plan: Plan<I>; score: number } | null = null;
  for (const index of indexes) {
    const found = planFor(index, conditions, sort);
    if (found && (!best || found.score > best.score)) best = found;
  }
  return best?.plan ?? null;
}

function planFor<I extends Candidate>(
  index: I,
  conditions: Map<string, Condition>,
  sort: Document | undefined,
): { plan: Plan<I>; score: number } | null {
  let prefixes: number[][] = [[]];
  let equal = 0;
  let single = true;
  for (const [field, direction] of index.fields) {
    const values = conditions.get(field)?.in;
    if (!values || prefixes.length * values.length > MOST_RANGES) break;
    // A sparse index does not hold documents without the field, which `null` matches.
    if (index.sparse && values.some((value) => value === null || value === undefined)) return null;
    prefixes = prefixes.flatMap((prefix) =>
      values.map((value) => [...prefix, ...encodeField(value, direction)]),
    );
    if (values.length !== 1) single = false;
    equal++;
  }
  if (equal === 0 && index.sparse && !conditions.get(index.fields[0]?.[0] ?? '')) return null;

  const next = index.fields[equal];
  const condition = next && conditions.get(next[0]);
  const ranged = next && condition && (condition.above !== undefined || condition.below !== undefined);
  const ranges = prefixes.map((prefix) =>
    ranged ? bounds(prefix, condition, next[1], index.multikey) : all(prefix),
  );
  const order = single && !index.multikey ? sortedBy(index.fields, equal, sort) : null;
  if (equal === 0 && !ranged && !order) return null;
  ranges.sort((a, b) => Buffer.compare(a.from, b.from));
  return {
    plan: {
      index,
      ranges,
      reverse: order === 'reverse',
      sorted: order !== null,
      repeats: index.multikey || !single,
    },
    score: equal * 10 + (order ? 5 : 0) + (ranged ? 3 : 0) - index.fields.length * 0.1,
  };
}

function all(prefix: number[]): Range {
  return { from: new Uint8Array(prefix), to: afterPrefix(prefix) };
}

/** The keys of a range condition: within the values of the same type only, as MongoDB compares. */
function bounds(prefix: number[], condition: Condition, direction: 1 | -1, multikey: boolean): Range {
  const { above } = condition;
  // Two bounds may be met by two different elements of an array: then only one of them limits the keys.
  const below = multikey && above ? undefined : condition.below;
  const rank = rankOf((above ?? below)?.value);
  const group = direction === 1 ? rank : rank ^ 0xff;
  let { from, to } = all([...prefix, group]);
  const edge = (bound: { value: unknown }) => [...prefix, ...encodeField(bound.value, direction)];
  const low = direction === 1 ? above : below;
  const high = direction === 1 ? below : above;
  if (low) from = low.inclusive ? new Uint8Array(edge(low)) : afterPrefix(edge(low));
  if (high) to = high.inclusive ? afterPrefix(edge(high)) : new Uint8Array(edge(high));
  return { from, to };
}

/** Whether keys after `equal` fixed fields come in the order of `sort`, forwards or in reverse. */
function sortedBy(
  fields: [string, 1 | -1][],
  equal: number,
  sort: Document | undefined,
): 'forward' | 'reverse' | null {
  if (!sort) return null;
  const fixed = new Set(fields.slice(0, equal).map(([field]) => field));
  const wanted = Object.entries(sort).filter(([field]) => !fixed.has(field));
  const rest = fields.slice(equal);
  if (wanted.length === 0) return 'forward';
  if (wanted.length > rest.length) return null;
  let turn: number | null = null;
  for (const [i, [field, direction]] of wanted.entries()) {
    const [indexed, way] = rest[i] as [string, 1 | -1];
    const same = Number(direction) * way;
    if (indexed !== field || (turn !== null && turn !== same)) return null;
    turn = same;
  }
  return turn === 1 ? 'forward' : 'reverse';
}
