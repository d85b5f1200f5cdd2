/** Commands that read: find, getMore, killCursors, count, distinct, aggregate, explain. */
import { type Document, deserialize, Long, serialize } from 'bson';
import { Aggregator } from 'mingo';
import { type Command, type Context, collectionOf, nameOf } from './command.ts';
import { badValue, MongoAnswer } from './errors.ts';
import { compareValues, isDocument, valuesAt } from './keys.ts';
import { checkFilter } from './match.ts';
import { projector } from './project.ts';
import { explain, type Query, run } from './query.ts';
import { type Collection, TYPED } from './store.ts';
import { Raw } from './wire.ts';

const find: Command = (context) => {
  const { body } = context;
  const name = nameOf(context, 'find');
  const collection = context.store.find(context.db, name);
  for (const field of ['tailable', 'collation', 'min', 'max', 'returnKey', 'showRecordId']) {
    if (body[field]) throw badValue(`find with '${field}' is not supported`);
  }
  const query = queryOf(body);
  // A negative limit asks for one batch only.
  const single = body.singleBatch === true;
  const ns = `${context.db}.${name}`;
  checkFilter(query.filter ?? {});
  const documents = collection ? bytesOf(collection, query, body.projection) : [].values();
  const { id, batch } = context.cursors.first(ns, documents, body.batchSize, single);
  return { cursor: { firstBatch: new Raw(batch), id, ns } };
};

function queryOf(body: Document): Query {
  return {
    filter: body.filter ?? {},
    sort: body.sort,
    skip: Number(body.skip ?? 0),
    limit: Math.abs(Number(body.limit ?? 0)),
    useIndexes: !(isDocument(body.hint) && '$natural' in body.hint),
  };
}

function* bytesOf(collection: Collection, query: Query, projection?: Document): Generator<Uint8Array> {
  const project = projector(projection, query.filter);
  for (const { bytes } of run(collection, query)) {
    yield project ? serialize(project(deserialize(bytes, TYPED))) : bytes;
  }
}

const getMore: Command = ({ body, cursors }) => {
  const { id, batch, ns } = cursors.more(bigint(body.getMore), body.batchSize);
  return { cursor: { nextBatch: new Raw(batch), id, ns } };
};

const killCursors: Command = ({ body, cursors }) => {
  const { killed, missing } = cursors.kill((body.cursors as unknown[]).map(bigint));
  const longs = (ids: bigint[]) => ids.map((id) => Long.fromBigInt(id));
  return {
    cursorsKilled: longs(killed),
    cursorsNotFound: longs(missing),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
};

const bigint = (value: unknown) => BigInt(String(value));

const count: Command = (context) => {
  const collection = collectionOf(context, 'count');
  if (!collection) return { n: 0 };
  const { query: filter = {}, skip, limit } = context.body;
  if (Object.keys(filter).length === 0 && !skip && !limit) return { n: collection.count() };
  let n = 0;
  for (const _ of run(collection, { filter, skip, limit: Math.abs(Number(limit ?? 0)) })) n++;
  return { n };
};

const distinct: Command = (context) => {
  const collection = collectionOf(context, 'distinct');
  const { key, query: filter = {} } = context.body;
  const values: unknown[] = [];
  const seen = new Set<string>();
  for (const { bytes } of collection ? run(collection, { filter }) : []) {
    for (const value of valuesAt(deserialize(bytes, TYPED), String(key)).values) {
      if (value === undefined || Array.isArray(value)) continue;
      const id = Buffer.from(serialize({ value })).toString('latin1');
      if (!seen.has(id)) values.push(value);
      seen.add(id);
    }
  }
  values.sort(compareValues);
  return { values: values.filter((value, i) => i === 0 || compareValues(value, values[i - 1]) !== 0) };
};

/** The stages that were tried against MongoDB's documentation; another answers as an unknown one does. */
const STAGES = new Set([
  ...[
    '$match',
    '$group',
    '$sort',
    '$project',
    '$unwind',
    '$lookup',
    '$count',
    '$limit',
    '$skip',
    '$addFields',
    '$set',
  ],
  ...['$unset', '$replaceRoot', '$replaceWith', '$sortByCount', '$facet', '$sample', '$bucket', '$unionWith'],
]);

const aggregate: Command = (context) => {
  const { body } = context;
  const name = typeof body.aggregate === 'string' ? body.aggregate : '$cmd.aggregate';
  if (!Array.isArray(body.pipeline))
    throw new MongoAnswer(14, 'TypeMismatch', "'pipeline' option must be specified as an array");
  const pipeline = [...(body.pipeline as Document[])];
  checkPipeline(pipeline);
  const collection = context.store.find(context.db, name);
  // Leading stages that a query can do are done by one: with indexes, and without changing a number's type.
  const query: Query = {};
  while (pipeline.length > 0) {
    const stage = pipeline[0] as Document;
    if (stage.$match && !query.filter && !query.sort && query.limit === undefined)
      query.filter = stage.$match;
    else if (stage.$sort && !query.sort && query.limit === undefined) query.sort = stage.$sort;
    else if (stage.$limit && query.limit === undefined) query.limit = Number(stage.$limit);
    else break;
    pipeline.shift();
  }
  const ns = `${context.db}.${name}`;
  const documents = collection ? aggregated(context, collection, query, pipeline) : [].values();
  const { id, batch } = context.cursors.first(ns, documents, body.cursor?.batchSize);
  return { cursor: { firstBatch: new Raw(batch), id, ns } };
};

function checkPipeline(pipeline: Document[]): void {
  for (const stage of pipeline) {
    const names = isDocument(stage) ? Object.keys(stage) : [];
    if (names.length !== 1)
      throw new MongoAnswer(
        40323,
        'Location40323',
        'A pipeline stage specification object must contain exactly one field.',
      );
    const [name] = names as [string];
    if (!STAGES.has(name))
      throw new MongoAnswer(40324, 'Location40324', `Unrecognized pipeline stage name: '${name}'`);
    if (name === '$match') checkFilter(stage.$match);
    if (name === '$facet')
      for (const inner of Object.values(stage.$facet as Document)) checkPipeline(inner as Document[]);
  }
}

function* aggregated(
  context: Context,
  collection: Collection,
  query: Query,
  pipeline: Document[],
): Generator<Uint8Array> {
  if (pipeline.length === 0) {
    yield* bytesOf(collection, query);
    return;
  }
  const documents = function* () {
    for (const { plain } of run(collection, query)) yield plain;
  };
  const all = (name: string) => {
    const other = context.store.find(context.db, name);
    return other ? [...run(other, {})].map((found) => found.plain) : [];
  };
  try {
    const aggregator = new Aggregator(pipeline, { collectionResolver: all });
    for (const document of aggregator.stream(documents()).collect<Document>())
      yield serialize(document, { ignoreUndefined: true });
  } catch (thrown) {
    if (thrown instanceof MongoAnswer) throw thrown;
    throw badValue(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

const explainCommand: Command = (context) => {
  const inner = context.body.explain as Document;
  const [command, name] = Object.entries(inner)[0] as [string, string];
  const collection = context.store.find(context.db, name);
  if (!['find', 'count', 'distinct', 'aggregate'].includes(command))
    throw badValue(`explain of ${command} is not supported`);
  const filter =
    command === 'aggregate' ? (inner.pipeline?.[0]?.$match ?? {}) : (inner.filter ?? inner.query ?? {});
  if (!collection)
    return {
      queryPlanner: { winningPlan: { stage: 'EOF' } },
      executionStats: { nReturned: 0, totalDocsExamined: 0, totalKeysExamined: 0 },
    };
  return explain(collection, { ...queryOf(inner), filter }, context.db, context.store.work);
};

export const readCommands: Record<string, Command> = {
  find,
  getMore,
  killCursors,
  count,
  distinct,
  aggregate,
  explain: explainCommand,
};
