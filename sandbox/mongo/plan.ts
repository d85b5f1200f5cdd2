/** Which index a query can use: a pure choice from the filter, the sort and the indexes that there are. */
import { BSONRegExp } from 'bson';
import type { Doc } from './document.ts';
import { truthy } from './expression.ts';
import { afterPrefix, encodeField, isNaNValue, RANK, rankOf } from './keys.ts';
import { isOperators } from './match.ts';

/** What the choice needs to know of an index. */
export interface Candidate {
  fields: [string, 1 | -1][];
  unique: boolean;
  sparse: boolean;
  multikey: boolean;
  /** How many keys lie in the ranges; more than `most` are not counted. */
  count(ranges: readonly Range[], most: number): number;
}

export interface Range {
  from: Uint8Array;
  to: Uint8Array;
}

export interface Plan<I extends Candidate> {
  index: I;
  ranges: Range[];
  reverse: boolean;
  /** True when the documents of each range come in the order of the sort already. */
  sorted: boolean;
  /** True when one document may come more than once. */
  repeats: boolean;
  /** True when each range is one key, `from`, which at most one document has. */
  points: boolean;
  /** True when all that the ranges hold matches the filter: no document need be asked again. */
  exact: boolean;
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

/** So many ranges that are sorted each are merged; more are sorted together. */
const MOST_MERGED = 100;

/** Where a plan looks at fewer keys than this, no other can be much better; counting them costs less than one document. */
const FEW = 100;

/** The conditions of a filter that must all hold, by field. The first of several on one field wins: the rest only filters. */
export function conditionsOf(filter: Doc, found = new Map<string, Condition>()): Map<string, Condition> {
  for (const [field, value] of filter.entries()) {
    if (field === '$and') for (const part of value as Doc[]) conditionsOf(part, found);
    if (field.startsWith('$') || value instanceof BSONRegExp) continue;
    const condition = found.get(field) ?? {};
    if (!isOperators(value)) condition.in ??= [value];
    else {
      for (const [operator, operand] of value.entries()) {
        if (operator === '$eq') condition.in ??= [operand];
        else if (operator === '$in' && isList(operand)) condition.in ??= operand;
        // What is missing has the key of null.
        else if (operator === '$exists' && !truthy(operand)) condition.in ??= [null];
        else if (!hasNeighbours(operand)) continue;
        else if (operator === '$gt') condition.above ??= { value: operand, inclusive: false };
        else if (operator === '$gte') condition.above ??= { value: operand, inclusive: true };
        else if (operator === '$lt') condition.below ??= { value: operand, inclusive: false };
        else if (operator === '$lte') condition.below ??= { value: operand, inclusive: true };
      }
    }
    if (condition.in || condition.above || condition.below) found.set(field, condition);
  }
  return found;
}

const isList = (operand: unknown): operand is unknown[] =>
  Array.isArray(operand) &&
  operand.length <= MOST_RANGES &&
  !operand.some((value) => value instanceof BSONRegExp);

/** MinKey and MaxKey compare with values of all types, and null is what is missing too: they bound no range of keys. */
const hasNeighbours = (value: unknown) => ![RANK.minKey, RANK.maxKey, RANK.null].includes(rankOf(value) as 1);

/**
 * The best index for a query, or null when only a scan will do. One that has few keys to look at is best; among others
 * equality on leading fields counts most, then an order that saves sorting, then a range. An index whose keys come in the
 * order of `sort` is used even without a condition.
 */
export function choosePlan<I extends Candidate>(
  filter: Doc,
  sort: Doc | undefined,
  indexes: readonly I[],
): Plan<I> | null {
  const conditions = conditionsOf(filter);
  const wanted = sort && [...sort.entries()].map(([field, way]) => [field, Number(String(way))] as const);
  // One key, which one document has at most: there is nothing better, and nothing is asked for more often.
  const point = indexes.find(
    ({ unique, fields }) => unique && fields.every(([field]) => conditions.get(field)?.in?.length === 1),
  );
  const pointed = point && planFor(point, filter, conditions, wanted);
  if (pointed) return pointed.plan;
  const plans = indexes
    .flatMap((index) => planFor(index, filter, conditions, wanted) ?? [])
    .sort((a, b) => b.score - a.score);
  const [first] = plans;
  const told = new Set<string>();
  // Of several whose ranges hold the same keys the first is as good as any, and of what is alone nothing need be counted.
  const apart = plans.filter(
    (one) => one.plan.index.multikey || one.plan.index.sparse || isNew(told, one.told),
  );
  if (!first || apart.length === 1) return first?.plan ?? null;
  let best: { plan: Plan<I>; keys: number } | null = null;
  for (const { plan } of apart) {
    const keys = plan.index.count(plan.ranges, best ? best.keys : FEW);
    if (keys < (best ? best.keys : FEW)) best = { plan, keys };
    if (best && best.keys <= 1) break;
  }
  return best?.plan ?? first.plan;
}

function isNew(known: Set<string>, one: string): boolean {
  const before = known.size;
  return known.add(one).size > before;
}

type Sort = readonly (readonly [string, number])[];

function planFor<I extends Candidate>(
  index: I,
  filter: Doc,
  conditions: Map<string, Condition>,
  sort: Sort | undefined,
): { plan: Plan<I>; score: number; told: string } | null {
  const leading = conditions.get(index.fields[0]?.[0] ?? '');
  if (!leading && (!sort || index.sparse)) return null;
  let prefixes: number[][] = [[]];
  let equal = 0;
  const fixed = new Set<string>();
  for (const [field, direction] of index.fields) {
    const values = conditions.get(field)?.in;
    if (!values || prefixes.length * values.length > MOST_RANGES) break;
    // A sparse index does not hold documents without the field, which `null` matches.
    if (index.sparse && values.some((value) => value === null || value === undefined)) return null;
    prefixes = prefixes.flatMap((prefix) =>
      values.map((value) => [...prefix, ...encodeField(value, direction)]),
    );
    if (values.length === 1) fixed.add(field);
    equal++;
  }
  const next = index.fields[equal];
  const condition = next && conditions.get(next[0]);
  const ranged = next && condition && (condition.above !== undefined || condition.below !== undefined);
  const ranges = prefixes.map((prefix) =>
    ranged ? bounds(prefix, condition, next[1], index.multikey) : all(prefix),
  );
  const mergeable = !index.multikey && ranges.length <= MOST_MERGED;
  const order = mergeable ? sortedBy(index.fields.slice(equal), fixed, sort) : null;
  if (equal === 0 && !ranged && !order) return null;
  const points = index.unique && equal === index.fields.length;
  const used = index.fields.slice(0, ranged ? equal + 1 : equal).map(([field]) => field);
  ranges.sort((a, b) => Buffer.compare(a.from, b.from));
  const apart = ranges.filter(
    ({ from }, i) => i === 0 || Buffer.compare(from, (ranges[i - 1] as Range).from) !== 0,
  );
  return {
    plan: {
      index,
      ranges: apart,
      reverse: order === 'reverse',
      sorted: order !== null,
      repeats: index.multikey,
      points,
      // Of an array two elements may meet two bounds, or one that is not in the range the other one.
      exact: saysNoMore(filter, used) && !(index.multikey && ranged),
    },
    score: (points ? 100 : 0) + (equal * 10 + (order ? 5 : 0) + (ranged ? 3 : 0) - index.fields.length * 0.1),
    told: index.fields
      .slice(0, ranged ? equal + 1 : equal)
      .map(([field]) => field)
      .sort()
      .join('\0'),
  };
}

/** True when keys of `fields` alone tell whether a document matches. */
function saysNoMore(filter: Doc, fields: readonly string[]): boolean {
  return filter.size === fields.length && fields.every((field) => isToldByKeys(filter.get(field)));
}

/** True when the ranges of keys that are made of a condition hold what meets it, and nothing else. */
function isToldByKeys(condition: unknown): boolean {
  if (!isOperators(condition)) return isTold(condition);
  const operators = condition.keys();
  const operands = operators.map((operator) => condition.get(operator));
  if (operators.length === 1 && operators[0] === '$eq') return isTold(operands[0]);
  if (operators.length === 1 && operators[0] === '$in')
    return Array.isArray(operands[0]) && operands[0].every(isTold);
  const above = operators.filter((operator) => operator === '$gt' || operator === '$gte').length;
  const below = operators.filter((operator) => operator === '$lt' || operator === '$lte').length;
  const [rank, other = rank] = operands.map(rankOf);
  if (above + below !== operators.length || above > 1 || below > 1 || rank !== other) return false;
  // NaN has the lowest key of the numbers, and is below none of them.
  return operands.every(isTold) && (above === 1 || rank !== RANK.number);
}

/** True for a value whose key is that of all that equals it, and of nothing else. */
const isTold = (value: unknown) =>
  ([RANK.number, RANK.string, RANK.objectId] as number[]).includes(rankOf(value)) && !isNaNValue(value);

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

/** Whether keys come in the order of `sort` by the fields `rest`, forwards or in reverse; `fixed` have one value only. */
function sortedBy(
  rest: [string, 1 | -1][],
  fixed: ReadonlySet<string>,
  sort: Sort | undefined,
): 'forward' | 'reverse' | null {
  if (!sort) return null;
  const wanted = sort.filter(([field]) => !fixed.has(field));
  if (wanted.length === 0) return 'forward';
  if (wanted.length > rest.length) return null;
  let turn: number | null = null;
  for (const [i, [field, direction]] of wanted.entries()) {
    const [indexed, way] = rest[i] as [string, 1 | -1];
    const same = direction * way;
    if (indexed !== field || (turn !== null && turn !== same)) return null;
    turn = same;
  }
  return turn === 1 ? 'forward' : 'reverse';
}
