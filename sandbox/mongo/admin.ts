/** Commands about collections, indexes, databases and the server itself. */
import { Long } from 'bson';
import { isNumber, numberOf } from './arithmetic.ts';
import { type Command, type Context, collectionOf, documentsAt, nameOf } from './command.ts';
import { Doc, docOf } from './document.ts';
import {
  badValue,
  failedToParse,
  indexNotFound,
  MongoAnswer,
  namespaceExists,
  namespaceNotFound,
} from './errors.ts';
import { truthy } from './expression.ts';
import { matcher } from './match.ts';
import type { Collection, IndexSpec } from './store.ts';
import { MAX_MESSAGE } from './wire.ts';

/** What this server says it is: MongoDB 8.0, wire version 25, alone (no replica set, so no sessions' retryable writes). */
const VERSION = '8.0.4';
const WIRE = 25;

export function helloAnswer(legacyName: boolean): Record<string, unknown> {
  return {
    helloOk: true,
    ...(legacyName ? { ismaster: true } : { isWritablePrimary: true }),
    maxBsonObjectSize: 16 * 1024 * 1024,
    maxMessageSizeBytes: MAX_MESSAGE,
    maxWriteBatchSize: 100_000,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: 30,
    connectionId: 1,
    minWireVersion: 0,
    maxWireVersion: WIRE,
    readOnly: false,
  };
}

const buildInfo: Command = () => ({
  version: VERSION,
  gitVersion: 'none',
  modules: [],
  sysInfo: 'one-machine LaunchPad on SQLite',
  versionArray: [8, 0, 4, 0],
  bits: 64,
  debug: false,
  maxBsonObjectSize: 16 * 1024 * 1024,
  storageEngines: ['sqlite'],
});

const createIndexes: Command = (context) => {
  const name = nameOf(context, 'createIndexes');
  const created = context.store.find(context.db, name) === undefined;
  const collection = context.store.ensure(context.db, name);
  const before = collection.indexes.length;
  const wanted: IndexSpec[] = [];
  for (const asked of documentsAt(context.command, 'indexes')) {
    const spec = indexSpec(asked);
    const named = collection.indexes.find((index) => index.name === spec.name);
    const twin = collection.indexes.find((index) => sameKey(index, spec));
    const alike =
      twin && ((twin.unique === spec.unique && twin.sparse === spec.sparse) || twin.name === '_id_');
    if (named && !(named === twin && alike)) {
      throw new MongoAnswer(
        86,
        'IndexKeySpecsConflict',
        `An existing index has the same name as the requested index. Requested index: ${spec.name}`,
      );
    }
    if (twin && twin !== named && twin.name !== '_id_') {
      const how = alike ? `a different name: ${twin.name}` : `different options: ${twin.name}`;
      throw new MongoAnswer(85, 'IndexOptionsConflict', `Index already exists with ${how}`);
    }
    if (!twin && !wanted.some((other) => sameKey(other, spec))) wanted.push(spec);
  }
  context.store.createIndexes(collection, wanted);
  const after = collection.indexes.length;
  return {
    numIndexesBefore: before,
    numIndexesAfter: after,
    createdCollectionAutomatically: created,
    ...(before === after && { note: 'all indexes already exist' }),
  };
};

const sameKey = (a: IndexSpec, b: IndexSpec) =>
  JSON.stringify(Object.entries(a.key)) === JSON.stringify(Object.entries(b.key));

const cannotCreate = (message: string) => new MongoAnswer(67, 'CannotCreateIndex', message);

/** What does not change which documents an index holds. */
const HARMLESS = new Set(['key', 'name', 'unique', 'sparse', 'background', 'v', 'ns']);

function indexSpec(asked: Doc): IndexSpec {
  const key = asked.get('key');
  const name = asked.get('name');
  if (!(key instanceof Doc) || key.size === 0) throw cannotCreate('Index keys cannot be an empty object');
  if (typeof name !== 'string')
    throw failedToParse("The 'name' field is a required property of an index specification");
  for (const [field, direction] of key.entries()) {
    if (!isNumber(direction) || Math.abs(numberOf(direction)) !== 1)
      throw cannotCreate(
        `Values in v:2 index key pattern must be 1 or -1 here; '${field}' has '${String(direction)}'`,
      );
  }
  // A time limit would delete documents, a filter would leave some out: to ignore either would be a wrong answer.
  const option = asked.keys().find((field) => !HARMLESS.has(field));
  if (option) throw cannotCreate(`index option '${option}' is not supported`);
  const fields = [...key.entries()].map(([field, direction]) => [field, numberOf(direction) as 1 | -1]);
  const flag = (field: string) => truthy(asked.get(field));
  return { name, key: Object.fromEntries(fields), unique: flag('unique'), sparse: flag('sparse') };
}

function shown(index: IndexSpec): object {
  return {
    v: 2,
    key: index.key,
    name: index.name,
    ...(index.unique && index.name !== '_id_' && { unique: true }),
    ...(index.sparse && { sparse: true }),
  };
}

function batchOf(context: Context, ns: string, documents: readonly object[]): Record<string, unknown> {
  return { cursor: { id: Long.ZERO, ns: `${context.db}.${ns}`, firstBatch: documents } };
}

function existing(context: Context, command: string): Collection {
  const collection = collectionOf(context, command);
  if (!collection) throw namespaceNotFound(`ns does not exist: ${context.db}.${nameOf(context, command)}`);
  return collection;
}

const listIndexes: Command = (context) => {
  const collection = existing(context, 'listIndexes');
  return batchOf(context, `$cmd.listIndexes.${collection.name}`, collection.indexes.map(shown));
};

const dropIndexes: Command = (context) => {
  const collection = collectionOf(context, context.body.dropIndexes ? 'dropIndexes' : 'deleteIndexes');
  if (!collection) throw namespaceNotFound('ns not found');
  const nIndexesWas = collection.indexes.length;
  const wanted = context.body.index as unknown;
  if (wanted === '*') {
    for (const index of collection.indexes.filter((index) => index.name !== '_id_'))
      context.store.dropIndex(collection, index);
    return { nIndexesWas, msg: 'non-_id indexes dropped for collection' };
  }
  for (const one of Array.isArray(wanted) ? wanted : [wanted]) {
    const index = collection.indexes.find((index) =>
      typeof one === 'string' ? index.name === one : JSON.stringify(index.key) === JSON.stringify(one),
    );
    if (!index) throw indexNotFound(`index not found with name [${String(one)}]`);
    if (index.name === '_id_') throw new MongoAnswer(72, 'InvalidOptions', 'cannot drop _id index');
    context.store.dropIndex(collection, index);
  }
  return { nIndexesWas };
};

const create: Command = (context) => {
  const name = nameOf(context, 'create');
  if (context.store.find(context.db, name))
    throw namespaceExists(`Collection ${context.db}.${name} already exists.`);
  for (const option of ['viewOn', 'timeseries', 'validator', 'capped', 'clusteredIndex']) {
    if (context.body[option])
      throw new MongoAnswer(72, 'InvalidOptions', `create with '${option}' is not supported`);
  }
  context.store.ensure(context.db, name);
  return {};
};

const drop: Command = (context) => {
  const collection = collectionOf(context, 'drop');
  if (!collection) throw namespaceNotFound('ns not found');
  const nIndexesWas = collection.indexes.length;
  context.store.drop(collection);
  context.cursors.sweep(collection.ns);
  return { nIndexesWas, ns: collection.ns };
};

const dropDatabase: Command = ({ store, db }) => {
  const collections = store.collections(db);
  for (const collection of collections) store.drop(collection);
  return collections.length > 0 ? { dropped: db } : {};
};

const renameCollection: Command = ({ store, body }) => {
  const split = (ns: unknown) =>
    [String(ns).split('.')[0] as string, String(ns).split('.').slice(1).join('.')] as const;
  const from = store.find(...split(body.renameCollection));
  if (!from) throw namespaceNotFound(`Source collection ${String(body.renameCollection)} does not exist`);
  const target = store.find(...split(body.to));
  if (target && !body.dropTarget) throw namespaceExists('target namespace exists');
  if (target) store.drop(target);
  store.rename(from, ...split(body.to));
  return {};
};

const listCollections: Command = (context) => {
  const matches = matcher(context.command.get('filter') ?? new Doc());
  const rows = context.store.collections(context.db).map((collection) => ({
    name: collection.name,
    type: 'collection',
    options: {},
    info: { readOnly: false },
    idIndex: { v: 2, key: { _id: 1 }, name: '_id_' },
  }));
  const found = rows
    .filter((row) => matches(docOf(row)))
    .map((row) => (context.body.nameOnly ? { name: row.name, type: row.type } : row));
  return batchOf(context, '$cmd.listCollections', found);
};

const listDatabases: Command = ({ store, body, command }) => {
  const names = [...new Set(store.collections().map((collection) => collection.db))].sort();
  const matches = matcher(command.get('filter') ?? new Doc());
  const size = (db: string) => store.collections(db).reduce((sum, collection) => sum + collection.size(), 0);
  const rows = names.map((name) =>
    body.nameOnly ? { name } : { name, sizeOnDisk: size(name), empty: false },
  );
  const databases = rows.filter((row) => matches(docOf(row)));
  return body.nameOnly
    ? { databases }
    : { databases, totalSize: databases.reduce((sum, row) => sum + (row.sizeOnDisk ?? 0), 0) };
};

const collStats: Command = (context) => {
  const collection = collectionOf(context, context.body.collStats ? 'collStats' : 'collstats');
  const [count, size] = collection ? [collection.count(), collection.size()] : [0, 0];
  const ns = `${context.db}.${context.body.collStats ?? context.body.collstats}`;
  return {
    ns,
    count,
    size,
    storageSize: size,
    avgObjSize: count ? Math.floor(size / count) : 0,
    nindexes: collection?.indexes.length ?? 0,
  };
};

const dbStats: Command = ({ store, db }) => {
  const collections = store.collections(db);
  const objects = collections.reduce((sum, collection) => sum + collection.count(), 0);
  const dataSize = collections.reduce((sum, collection) => sum + collection.size(), 0);
  return {
    db,
    collections: collections.length,
    views: 0,
    objects,
    dataSize,
    storageSize: dataSize,
    indexes: collections.reduce((sum, c) => sum + c.indexes.length, 0),
  };
};

function opcounters(counters: Record<string, number>, inserted: number): Record<string, Long> {
  const { insert: _, find = 0, update = 0, delete: deleted = 0, getMore = 0, ...others } = counters;
  const command = Object.values(others).reduce((sum, n) => sum + n, 0);
  const counts = { insert: inserted, query: find, update, delete: deleted, getmore: getMore, command };
  return Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, Long.fromNumber(n)]));
}

const serverStatus: Command = ({ store, counters, cursors }) => ({
  host: '127.0.0.1',
  version: VERSION,
  process: 'mongod',
  pid: process.pid,
  uptime: Math.floor(process.uptime()),
  localTime: new Date(),
  opcounters: opcounters(counters, store.work.docsInserted),
  metrics: {
    commands: Object.fromEntries(
      Object.entries(counters).map(([name, total]) => [name, { total: Long.fromNumber(total) }]),
    ),
    queryExecutor: { scanned: store.work.keysExamined, scannedObjects: store.work.docsExamined },
    cursor: { open: { total: cursors.size } },
  },
});

const validate: Command = (context) => {
  const collection = existing(context, 'validate');
  return {
    ns: collection.ns,
    nrecords: collection.count(),
    nIndexes: collection.indexes.length,
    valid: true,
    errors: [],
    warnings: [],
  };
};

const getParameter: Command = ({ body }) => {
  const known: Record<string, unknown> = {
    featureCompatibilityVersion: { version: '8.0' },
    authenticationMechanisms: ['SCRAM-SHA-256'],
  };
  const found = Object.entries(known).filter(([name]) => body.getParameter === '*' || name in body);
  if (found.length === 0) throw badValue('no option found to get');
  return Object.fromEntries(found);
};

const nothing: Command = () => ({});

/** Commands that change collections or indexes: they run in a transaction. */
export const schemaCommands: Record<string, Command> = {
  createIndexes,
  dropIndexes,
  deleteIndexes: dropIndexes,
  create,
  drop,
  dropDatabase,
  renameCollection,
};

export const serverCommands: Record<string, Command> = {
  hello: () => helloAnswer(false),
  ismaster: () => helloAnswer(true),
  isMaster: () => helloAnswer(true),
  ping: nothing,
  buildInfo,
  buildinfo: buildInfo,
  listIndexes,
  listCollections,
  listDatabases,
  collStats,
  collstats: collStats,
  dbStats,
  dbstats: dbStats,
  serverStatus,
  validate,
  getParameter,
  compact: (context) => ({ bytesFreed: 0, ns: existing(context, 'compact').ns }),
  hostInfo: () => ({
    system: { hostname: '127.0.0.1', cpuAddrSize: 64 },
    os: { type: process.platform },
    extra: {},
  }),
  getLog: () => ({ totalLinesWritten: 0, log: [] }),
  getCmdLineOpts: () => ({ argv: [], parsed: {} }),
  whatsmyuri: () => ({ you: '127.0.0.1:0' }),
  connectionStatus: () => ({ authInfo: { authenticatedUsers: [], authenticatedUserRoles: [] } }),
  // Sessions are accepted: nothing here outlives one command, so that there is nothing to keep for them.
  startSession: () => ({ id: { id: crypto.randomUUID() }, timeoutMinutes: 30 }),
  endSessions: nothing,
  killSessions: nothing,
  killAllSessions: nothing,
  refreshSessions: nothing,
  logout: nothing,
};
