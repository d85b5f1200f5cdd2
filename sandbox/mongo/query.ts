/** Runs a query: the plan's candidates, then the filter, then order, skip and limit. */
import { numberOf } from './arithmetic.ts';
import { Doc } from './document.ts';
import { badValue } from './errors.ts';
import { compareValues, valuesAt } from './keys.ts';
import { type Matcher, matcher } from './match.ts';
import { choosePlan, type Plan, type Range } from './plan.ts';
import { type Collection, FEW, type Index, type Stored } from './store.ts';

export interface Query {
  filter?: Doc;
  /** Fields and directions, 1 or -1. */
  sort?: Doc;
  skip?: number;
  limit?: number;
  /** What the client asked to use: an index's name or key, or `{$natural: 1}` for none. */
  hint?: unknown;
}

const ALL = new Doc();

function planOf(collection: Collection, { filter = ALL, sort, hint }: Query): Plan<Index> | null {
  if (hint === undefined) return choosePlan(filter, sort, collection.indexes);
  if (hint instanceof Doc && hint.has('$natural')) return null;
  const named = collection.indexes.filter((index) =>
    typeof hint === 'string' ? index.name === hint : hint instanceof Doc && sameKey(index, hint),
  );
  if (named.length === 0)
    throw badValue('error processing query: hint provided does not correspond to an existing index');
  return choosePlan(filter, sort, named);
}

const sameKey = (index: Index, hint: Doc) =>
  JSON.stringify(index.fields) ===
  JSON.stringify([...hint.entries()].map(([field, way]) => [field, numberOf(way)]));

/** The documents that match, in the order asked for, read as they are consumed where no sorting is needed. */
export function run(collection: Collection, query: Query): Generator<Stored> {
  const { filter = ALL, skip = 0, limit = 0 } = query;
  const sort = query.sort && query.sort.size > 0 && !query.sort.has('$natural') ? query.sort : undefined;
  if (skip < 0) throw badValue(`BSON field 'skip' value must be >= 0, actual value '${skip}'`);
  // All that can be wrong with a query is found here, before the first document is asked for.
  const order = sort && orderOf(sort);
  const matches = matcher(filter);
  const plan = planOf(collection, { ...query, sort });
  const backwards = query.sort?.has('$natural') === true && numberOf(query.sort.get('$natural')) < 0;
  return (function* () {
    const { changes } = collection;
    // A key that was read before a change may not be the document's any more.
    const told = () => plan?.exact === true && collection.changes === changes;
    const few = limit > 0 && (!order || plan?.sorted) ? Math.min(FEW, skip + limit) : FEW;
    let documents = filtered(candidates(collection, plan, order, backwards, few), matches, told);
    if (order && !plan?.sorted) documents = sorted(documents, order, limit > 0 ? skip + limit : 0);
    let passed = 0;
    let given = 0;
    for (const found of documents) {
      if (passed++ < skip) continue;
      yield found;
      if (limit > 0 && ++given >= limit) return;
    }
  })();
}

function candidates(
  collection: Collection,
  plan: Plan<Index> | null,
  order: Order | undefined,
  backwards: boolean,
  few: number,
): Generator<Stored> {
  if (!plan) return collection.scan(backwards);
  const { index, ranges, reverse, points, repeats } = plan;
  // A generator around another costs as much as the reading itself: there are no more of them than needed.
  const documents =
    order && plan.sorted
      ? merged(ranges.map(part), order)
      : points
        ? collection.points(index, ranges)
        : inTurn(ranges.map(part));
  return repeats ? once(documents) : documents;

  function part(range: Range): Generator<Stored> {
    return points ? collection.points(index, [range]) : collection.range(index, range, reverse, few);
  }
}

/** Each document the first time only. */
function* once(documents: Iterable<Stored>): Generator<Stored> {
  const seen = new Set<number>();
  for (const stored of documents) {
    if (seen.has(stored.rid)) continue;
    seen.add(stored.rid);
    yield stored;
  }
}

function inTurn(parts: readonly Generator<Stored>[]): Generator<Stored> {
  const [first] = parts;
  return first && parts.length === 1 ? first : oneByOne(parts);
}

function* oneByOne(parts: readonly Generator<Stored>[]): Generator<Stored> {
  for (const part of parts) yield* part;
}

/** One sorted sequence of several. Of each no more is read than is needed to know which comes next. */
function* merged(parts: readonly Generator<Stored>[], order: Order): Generator<Stored> {
  if (parts.length === 1) return yield* inTurn(parts);
  const { keyOf, compare } = comparator(order);
  const next = (part: Generator<Stored>) => {
    const { value } = part.next();
    return value ? [{ part, stored: value as Stored, key: keyOf(value.document) }] : [];
  };
  let heads = parts.flatMap(next);
  while (heads.length > 0) {
    const first = heads.reduce((best, head) => (compare(head.key, best.key) < 0 ? head : best));
    yield first.stored;
    heads = heads.flatMap((head) => (head === first ? next(head.part) : [head]));
  }
}

/** Those that match; as long as the keys have told so, they are not asked. */
function* filtered(documents: Iterable<Stored>, matches: Matcher, told: () => boolean): Generator<Stored> {
  for (const stored of documents) if (told() || matches(stored.document)) yield stored;
}

export type Order = readonly (readonly [string, 1 | -1])[];

export function orderOf(sort: Doc): Order {
  return [...sort.entries()].map(([path, way]) => {
    const direction = numberOf(way);
    if (direction !== 1 && direction !== -1)
      throw badValue(`$sort key ordering must be 1 (for ascending) or -1 (for descending): ${path}`);
    return [path, direction] as const;
  });
}

/** Sorts rows by their documents. The lowest of an array's values stands for it in ascending order, else the highest. */
export function comparator(order: Order): {
  keyOf(document: Doc): unknown[];
  compare(a: unknown[], b: unknown[]): number;
} {
  return {
    keyOf: (document) =>
      order.map(([path, direction]) => {
        const { values, many } = valuesAt(document, path);
        const own = many ? values.filter((value) => !Array.isArray(value)) : values;
        return own.reduce(
          (best, value) => (direction * compareValues(value, best) < 0 ? value : best),
          own[0],
        );
      }),
    compare(a, b) {
      for (const [i, [, direction]] of order.entries()) {
        const by = direction * compareValues(a[i], b[i]);
        if (by !== 0) return by;
      }
      return 0;
    },
  };
}

function* sorted(documents: Iterable<Stored>, order: Order, keep: number): Generator<Stored> {
  const { keyOf, compare } = comparator(order);
  const byKey = (a: { key: unknown[] }, b: { key: unknown[] }) => compare(a.key, b.key);
  let rows: { key: unknown[]; found: Stored }[] = [];
  for (const found of documents) {
    rows.push({ key: keyOf(found.document), found });
    // With a limit only the best are kept: memory does not grow with the collection.
    if (keep > 0 && rows.length >= 2 * keep + 1000) rows = rows.sort(byKey).slice(0, keep);
  }
  for (const row of rows.sort(byKey)) yield row.found;
}

/** What `explain` tells: the stage, the index, and how much was looked at. */
export function explain(collection: Collection, query: Query): Record<string, unknown> {
  const sort = query.sort && query.sort.size > 0 ? query.sort : undefined;
  const plan = planOf(collection, { ...query, sort });
  const scan = plan
    ? {
        stage: 'FETCH',
        inputStage: {
          stage: 'IXSCAN',
          keyPattern: plan.index.key,
          indexName: plan.index.name,
          isMultiKey: plan.index.multikey,
          isUnique: plan.index.unique,
          isSparse: plan.index.sparse,
          direction: plan.reverse ? 'backward' : 'forward',
        },
      }
    : { stage: 'COLLSCAN', direction: 'forward' };
  const winningPlan = sort && !plan?.sorted ? { stage: 'SORT', sortPattern: sort, inputStage: scan } : scan;
  const before = { ...collection.work };
  let nReturned = 0;
  for (const _ of run(collection, query)) nReturned++;
  return {
    explainVersion: '1',
    queryPlanner: {
      namespace: collection.ns,
      parsedQuery: query.filter ?? ALL,
      winningPlan,
      rejectedPlans: [],
    },
    executionStats: {
      executionSuccess: true,
      nReturned,
      executionTimeMillis: 0,
      totalKeysExamined: collection.work.keysExamined - before.keysExamined,
      totalDocsExamined: collection.work.docsExamined - before.docsExamined,
    },
  };
}
