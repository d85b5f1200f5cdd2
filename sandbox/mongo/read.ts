/** Commands that read: find, getMore, killCursors, count, distinct, aggregate, explain. */
import { Int32, Long } from 'bson';
import { isNumber, numberOf } from './arithmetic.ts';
import {
  type Command,
  type Context,
  collectionOf,
  documentAt,
  documentsAt,
  nameOf,
  numberAt,
} from './command.ts';
import { Doc } from './document.ts';
import { badValue, failedToParse, MongoAnswer, typeMismatch } from './errors.ts';
import { distinctValues } from './expression.ts';
import { matcher, valuesAtPath } from './match.ts';
import { compilePipeline } from './pipeline.ts';
import { projector } from './project.ts';
import { explain, type Query, run } from './query.ts';

const UNSUPPORTED = ['tailable', 'awaitData', 'collation', 'min', 'max', 'returnKey', 'showRecordId'];

const find: Command = (context) => {
  const { body, command } = context;
  const name = nameOf(context, 'find');
  const stranger = UNSUPPORTED.find((field) => body[field]);
  if (stranger) throw badValue(`find with '${stranger}' is not supported`);
  const query = queryOf(command);
  const show = projector(documentAt(command, 'projection'), query.filter);
  matcher(query.filter);
  const collection = context.store.find(context.db, name);
  const documents = function* () {
    if (collection) for (const { document } of run(collection, query)) yield show ? show(document) : document;
  };
  const ns = `${context.db}.${name}`;
  const { id, batch } = context.cursors.first(ns, documents(), batchSizeOf(body), body.singleBatch === true);
  return { cursor: { firstBatch: batch, id, ns } };
};

function batchSizeOf({ batchSize }: Record<string, unknown>): number | undefined {
  if (batchSize === undefined) return undefined;
  if (Number(batchSize) < 0)
    throw badValue(`BSON field 'batchSize' value must be >= 0, actual value '${batchSize}'`);
  return Number(batchSize);
}

function queryOf(command: Doc): Query & { filter: Doc } {
  const hint = command.get('hint');
  return {
    filter: documentAt(command, 'filter') ?? documentAt(command, 'query') ?? new Doc(),
    sort: documentAt(command, 'sort'),
    skip: numberAt(command, 'skip'),
    limit: Math.abs(numberAt(command, 'limit')),
    // Older drivers send an empty hint for none.
    hint: hint instanceof Doc && hint.size === 0 ? undefined : hint,
  };
}

const getMore: Command = (context) => {
  const id = cursorId(context.command.get('getMore'));
  const ns = `${context.db}.${String(context.body.collection)}`;
  const { id: left, batch } = context.cursors.more(id, ns, batchSizeOf(context.body));
  return { cursor: { nextBatch: batch, id: left, ns } };
};

function cursorId(value: unknown): bigint {
  if (!isNumber(value)) throw typeMismatch("a cursor's id must be of type 'long'");
  return BigInt(String(value));
}

const killCursors: Command = ({ command, cursors }) => {
  const asked = command.get('cursors');
  if (!Array.isArray(asked))
    throw typeMismatch("BSON field 'killCursors.cursors' is the wrong type, expected type 'array'");
  const ids = asked.map(cursorId);
  const { killed, missing } = cursors.kill(ids);
  const longs = (some: bigint[]) => some.map((id) => Long.fromBigInt(id));
  return {
    cursorsKilled: longs(killed),
    cursorsNotFound: longs(missing),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
};

const count: Command = (context) => {
  const query = queryOf(context.command);
  matcher(query.filter);
  const collection = collectionOf(context, 'count');
  if (!collection) return { n: 0 };
  if (query.filter.size === 0 && !query.skip && !query.limit) return { n: collection.count() };
  let n = 0;
  for (const _ of run(collection, query)) n++;
  return { n };
};

const distinct: Command = (context) => {
  const { filter } = queryOf(context.command);
  const key = context.body.key;
  if (typeof key !== 'string')
    throw typeMismatch("BSON field 'distinct.key' is the wrong type, expected type 'string'");
  matcher(filter);
  const collection = collectionOf(context, 'distinct');
  let values: unknown[] = [];
  for (const { document } of collection ? run(collection, { filter }) : []) {
    const found = valuesAtPath(document, key.split('.')).flat();
    values.push(...found.filter((value) => value !== undefined));
    if (values.length > 10_000) values = distinctValues(values);
  }
  return { values: distinctValues(values) };
};

const aggregate: Command = (context) => {
  const { body, command } = context;
  const onCollection = typeof body.aggregate === 'string';
  const name = onCollection ? nameOf(context, 'aggregate') : '$cmd.aggregate';
  if (body.collation) throw badValue('aggregate with a collation is not supported');
  if (!command.has('cursor') && !body.explain)
    throw failedToParse("The 'cursor' option is required, except for aggregate with the explain argument");
  const pipeline = compilePipeline(command.get('pipeline'), (other) => context.store.find(context.db, other));
  const collection = onCollection ? context.store.find(context.db, name) : undefined;
  const ns = `${context.db}.${name}`;
  const cursor = (body.cursor ?? {}) as Record<string, unknown>;
  const documents = pipeline.run(collection, command.get('hint'));
  const { id, batch } = context.cursors.first(ns, documents, batchSizeOf(cursor));
  return { cursor: { firstBatch: batch, id, ns } };
};

const explainCommand: Command = (context) => {
  const inner = context.command.get('explain');
  if (!(inner instanceof Doc))
    throw typeMismatch("BSON field 'explain' is the wrong type, expected type 'object'");
  const command = inner.firstKey() ?? '';
  const name = String(inner.get(command));
  const collection = context.store.find(context.db, name);
  if (!collection) {
    return {
      explainVersion: '1',
      queryPlanner: { namespace: `${context.db}.${name}`, winningPlan: { stage: 'EOF' }, rejectedPlans: [] },
      executionStats: { executionSuccess: true, nReturned: 0, totalKeysExamined: 0, totalDocsExamined: 0 },
    };
  }
  return explain(collection, explained(context, command, inner));
};

/** The query of a command that is explained; of an aggregation, what its leading stages amount to. */
function explained(context: Context, command: string, inner: Doc): Query {
  if (command === 'find' || command === 'count') return queryOf(inner);
  if (command === 'distinct') return { filter: queryOf(inner).filter };
  if (command === 'findAndModify' || command === 'findandmodify') return { ...queryOf(inner), limit: 1 };
  if (command === 'update' || command === 'delete') {
    const [statement = new Doc()] = documentsAt(inner, command === 'update' ? 'updates' : 'deletes');
    const one =
      command === 'update' ? !statement.get('multi') : numberOf(statement.get('limit') ?? new Int32(0)) === 1;
    return { filter: documentAt(statement, 'q'), limit: one ? 1 : 0 };
  }
  if (command === 'aggregate')
    return compilePipeline(inner.get('pipeline'), (other) => context.store.find(context.db, other)).query;
  throw new MongoAnswer(59, 'CommandNotFound', `Explain failed due to unknown command: ${command}`);
}

export const readCommands: Record<string, Command> = {
  find,
  getMore,
  killCursors,
  count,
  distinct,
  aggregate,
  explain: explainCommand,
};
