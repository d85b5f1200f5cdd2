/** Runs a query: the plan's candidates, then the filter, then order, skip and limit. */
import { type Document, deserialize } from 'bson';
import { badValue } from './errors.ts';
import { compareValues, valuesAt } from './keys.ts';
import { matcher } from './match.ts';
import { choosePlan, type Plan } from './plan.ts';
import type { Collection, Index, Stored } from './store.ts';

export interface Query {
  filter?: Document;
  sort?: Document;
  skip?: number;
  limit?: number;
  /** False forbids indexes (`hint: {$natural: 1}`). */
  useIndexes?: boolean;
}

export interface Found extends Stored {
  /** The document with numbers promoted, as the filter saw it. */
  plain: Document;
}

export function planOf(collection: Collection, query: Query): Plan<Index> | null {
  if (query.useIndexes === false) return null;
  return choosePlan(query.filter ?? {}, query.sort, collection.indexes);
}

/** The documents that match, in the order asked for, read as they are consumed where no sorting is needed. */
export function* run(collection: Collection, query: Query): Generator<Found> {
  const filter = query.filter ?? {};
  const sort = query.sort && Object.keys(query.sort).length > 0 ? query.sort : undefined;
  const plan = planOf(collection, { ...query, sort });
  const matches = matcher(filter);
  const { skip = 0, limit = 0 } = query;
  if (skip < 0) throw badValue(`Field 'skip' value must be >= 0, actual value '${skip}'`);
  let documents = filtered(candidates(collection, plan), matches);
  if (sort && !(plan?.sorted && !('$natural' in sort)))
    documents = sorted(documents, sort, limit > 0 ? skip + limit : 0);
  let passed = 0;
  let given = 0;
  for (const found of documents) {
    if (passed++ < skip) continue;
    yield found;
    if (limit > 0 && ++given >= limit) return;
  }
}

function* candidates(collection: Collection, plan: Plan<Index> | null): Generator<Stored> {
  if (!plan) {
    yield* collection.scan();
    return;
  }
  const seen = plan.repeats ? new Set<number>() : null;
  for (const { from, to } of plan.reverse ? [...plan.ranges].reverse() : plan.ranges) {
    for (const stored of collection.range(plan.index, from, to, plan.reverse)) {
      if (seen?.has(stored.rid)) continue;
      seen?.add(stored.rid);
      yield stored;
    }
  }
}

function* filtered(documents: Iterable<Stored>, matches: (document: Document) => boolean): Generator<Found> {
  for (const { rid, bytes } of documents) {
    const plain = deserialize(bytes);
    if (matches(plain)) yield { rid, bytes, plain };
  }
}

function* sorted(documents: Iterable<Found>, sort: Document, keep: number): Generator<Found> {
  const order = Object.entries(sort).map(([path, direction]) => [path, Number(direction)] as const);
  for (const [path, direction] of order) {
    if (direction !== 1 && direction !== -1)
      throw badValue(`$sort key ordering must be 1 (for ascending) or -1 (for descending): ${path}`);
  }
  // The lowest of an array's values stands for it in ascending order, the highest in descending order.
  const keyOf = (document: Document) =>
    order.map(([path, direction]) => {
      const { values, many } = valuesAt(document, path);
      const own = many ? values.filter((value) => !Array.isArray(value)) : values;
      return own.reduce((best, value) => (direction * compareValues(value, best) < 0 ? value : best), own[0]);
    });
  const compare = (a: { key: unknown[] }, b: { key: unknown[] }) => {
    for (const [i, [, direction]] of order.entries()) {
      const by = direction * compareValues(a.key[i], b.key[i]);
      if (by !== 0) return by;
    }
    return 0;
  };
  let rows: { key: unknown[]; found: Found }[] = [];
  for (const found of documents) {
    rows.push({ key: keyOf(found.plain), found });
    // With a limit only the best are kept: memory does not grow with the collection.
    if (keep > 0 && rows.length >= 2 * keep + 1000) rows = rows.sort(compare).slice(0, keep);
  }
  for (const row of rows.sort(compare)) yield row.found;
}

/** What `explain` tells: the stage, the index, and how much was looked at. */
export function explain(
  collection: Collection,
  query: Query,
  db: string,
  work: { docsExamined: number; keysExamined: number },
): Document {
  const plan = planOf(collection, query);
  const scan = plan
    ? {
        stage: 'FETCH',
        inputStage: {
          stage: 'IXSCAN',
          indexName: plan.index.name,
          keyPattern: plan.index.key,
          isMultiKey: plan.index.multikey,
          direction: plan.reverse ? 'backward' : 'forward',
        },
      }
    : { stage: 'COLLSCAN', direction: 'forward' };
  const winningPlan = query.sort && !plan?.sorted ? { stage: 'SORT', inputStage: scan } : scan;
  const before = { ...work };
  let nReturned = 0;
  for (const _ of run(collection, query)) nReturned++;
  return {
    explainVersion: '1',
    queryPlanner: {
      namespace: `${db}.${collection.name}`,
      parsedQuery: query.filter ?? {},
      winningPlan,
      rejectedPlans: [],
    },
    executionStats: {
      executionSuccess: true,
      nReturned,
      totalKeysExamined: work.keysExamined - before.keysExamined,
      totalDocsExamined: work.docsExamined - before.docsExamined,
    },
  };
}
