/** Commands that write: insert, update, delete, findAndModify. Each runs in the transaction that the server opened. */
import { ObjectId } from 'bson';
import { type Command, type Context, documentAt, documentsAt, nameOf } from './command.ts';
import { Doc } from './document.ts';
import { badValue, failedToParse, MongoAnswer } from './errors.ts';
import { truthy } from './expression.ts';
import { isOperators } from './match.ts';
import { compileUpdatePipeline } from './pipeline.ts';
import { projector, put } from './project.ts';
import { run } from './query.ts';
import type { Collection, Stored } from './store.ts';
import { applyPipeline, applyUpdate, checkUpdate, isReplacement } from './update.ts';

interface WriteError {
  index: number;
  code: number;
  errmsg: string;
}

/** Runs one write after the other. A failed one is reported; ordered bulks stop there. */
function each(context: Context, field: string, work: (item: Doc, index: number) => void): WriteError[] {
  const items = documentsAt(context.command, field);
  if (items.length === 0 || items.length > MOST_WRITES) {
    throw new MongoAnswer(
      16,
      'InvalidLength',
      `Write batch sizes must be between 1 and ${MOST_WRITES}. Got ${items.length} operations.`,
    );
  }
  const errors: WriteError[] = [];
  for (const [index, item] of items.entries()) {
    try {
      work(item, index);
    } catch (thrown) {
      if (!(thrown instanceof MongoAnswer)) throw thrown;
      errors.push({ index, code: thrown.code, errmsg: thrown.message, ...thrown.fields });
      if (context.body.ordered !== false) break;
    }
  }
  return errors;
}

export const MOST_WRITES = 100_000;

const withErrors = (errors: WriteError[]) => (errors.length > 0 ? { writeErrors: errors } : {});

/** `_id` first, made here when the client did not. */
export function withId(document: Doc): Doc {
  const id = document.get('_id');
  if (Array.isArray(id)) throw badValue("The '_id' value cannot be of type array");
  if (isOperators(id))
    throw new MongoAnswer(
      52,
      'DollarPrefixedFieldName',
      "The '_id' value cannot have fields that start with '$'",
    );
  if (document.firstKey() === '_id') return document;
  const result = new Doc();
  if (id === undefined) result.set('_id', new ObjectId());
  else result.take('_id', document);
  for (const key of document.keys()) if (key !== '_id') result.take(key, document);
  return result;
}

const insert: Command = (context) => {
  const collection = context.store.ensure(context.db, nameOf(context, 'insert'));
  let n = 0;
  const errors = each(context, 'documents', (document) => {
    collection.insert(withId(document));
    n++;
  });
  return { n, ...withErrors(errors) };
};

/** What an update statement, or a findAndModify, says. */
export interface Change {
  filter: Doc;
  /** The document after it; `document` stays as it was. */
  apply: (document: Doc, inserting: boolean) => Doc;
  replaces: boolean;
}

/** `filter`, `update`: the names of its fields. */
export function changeOf(statement: Doc, filter: string, update: string): Change {
  if (statement.get('collation')) throw badValue('collation is not supported');
  const asked = documentAt(statement, filter) ?? new Doc();
  const change = statement.get(update);
  const arrayFilters = documentsAt(statement, 'arrayFilters');
  const context = (inserting: boolean) => ({ filter: asked, arrayFilters, inserting, now: new Date() });
  if (Array.isArray(change)) {
    if (arrayFilters.length > 0)
      throw failedToParse('Cannot specify arrayFilters and a pipeline update at the same time');
    const become = compileUpdatePipeline(change);
    const apply = (document: Doc, inserting: boolean) => applyPipeline(document, become, context(inserting));
    return { filter: asked, apply, replaces: false };
  }
  if (change !== undefined) checkUpdate(change);
  const apply = (document: Doc, inserting: boolean) => applyUpdate(document, change, context(inserting));
  return { filter: asked, apply, replaces: isReplacement(change) };
}

/** What an update statement did. */
export interface Updated {
  n: number;
  nModified: number;
  /** The `_id` of what it inserted. */
  upserted?: unknown;
}

/** One update statement, whose options have the same names in every command that carries one. */
export function updateBy(collection: Collection, change: Change, statement: Doc): Updated {
  const multi = truthy(statement.get('multi'));
  if (multi && change.replaces)
    throw failedToParse('multi update is not supported for replacement-style update');
  const query = {
    filter: change.filter,
    limit: multi ? 0 : 1,
    sort: documentAt(statement, 'sort'),
    hint: statement.get('hint'),
  };
  const found = [...run(collection, query)];
  let nModified = 0;
  // As in MongoDB, where one of many fails the ones before it stay as they were written.
  for (const one of found) if (modify(collection, one, change).changed) nModified++;
  if (found.length > 0 || !truthy(statement.get('upsert'))) return { n: found.length, nModified };
  return { n: 1, nModified, upserted: upsert(collection, change).get('_id') };
}

const update: Command = (context) => {
  const collection = context.store.ensure(context.db, nameOf(context, 'update'));
  let n = 0;
  let nModified = 0;
  const upserted: { index: number; _id: unknown }[] = [];
  const errors = each(context, 'updates', (statement, index) => {
    const done = updateBy(collection, changeOf(statement, 'q', 'u'), statement);
    n += done.n;
    nModified += done.nModified;
    if (done.upserted !== undefined) upserted.push({ index, _id: done.upserted });
  });
  return { n, nModified, ...(upserted.length > 0 && { upserted }), ...withErrors(errors) };
};

function modify(collection: Collection, { rid, document }: Stored, { apply }: Change) {
  const after = apply(document, false);
  const changed = after !== document && !after.bytes.equals(document.bytes);
  if (changed) collection.replace(rid, document, after);
  return { after, changed };
}

/** Puts a new document in, made of the equalities of the query and the update. */
function upsert(collection: Collection, { filter, apply, replaces }: Change): Doc {
  const known = equalities(filter);
  let seed = new Doc();
  if (replaces) {
    if (known.has('_id')) seed.set('_id', known.get('_id'));
  } else for (const [path, value] of known) seed = put(seed, path.split('.'), value);
  const document = withId(apply(seed, true));
  collection.insert(document);
  return document;
}

function equalities(query: Doc, found = new Map<string, unknown>()): Map<string, unknown> {
  for (const [path, value] of query.entries()) {
    if (path === '$and' || (path === '$or' && (value as Doc[]).length === 1))
      for (const part of value as Doc[]) equalities(part, found);
    else if (path.startsWith('$')) continue;
    else if (isOperators(value)) {
      const one = value.get('$in') ?? value.get('$all');
      if (value.has('$eq')) found.set(path, value.get('$eq'));
      else if (Array.isArray(one) && one.length === 1) found.set(path, one[0]);
    } else found.set(path, value);
  }
  return found;
}

const remove: Command = (context) => {
  const collection = context.store.find(context.db, nameOf(context, 'delete'));
  let n = 0;
  const errors = each(context, 'deletes', (statement) => {
    const filter = documentAt(statement, 'q') ?? new Doc();
    n += deleteBy(collection, filter, truthy(statement.get('limit')) ? 1 : 0, statement.get('hint'));
  });
  return { n, ...withErrors(errors) };
};

/** Deletes what matches, `limit` at most unless it is 0. Returns how many. */
export function deleteBy(
  collection: Collection | undefined,
  filter: Doc,
  limit: number,
  hint: unknown,
): number {
  const found = collection ? [...run(collection, { filter, limit, hint })] : [];
  for (const one of found) collection?.delete(one);
  return found.length;
}

const findAndModify: Command = (context) => {
  const { body, command } = context;
  const name = nameOf(context, command.has('findAndModify') ? 'findAndModify' : 'findandmodify');
  if (body.remove && (body.update || body.new || body.upsert))
    throw failedToParse('Cannot specify both an update and remove=true, new or upsert');
  if (!body.remove && !body.update) throw failedToParse('Either an update or remove=true must be specified');
  const collection = context.store.ensure(context.db, name);
  const change = changeOf(command, 'query', 'update');
  const { filter } = change;
  const show = projector(documentAt(command, 'fields'), filter) ?? ((document: Doc) => document);
  const sort = documentAt(command, 'sort');
  const [found] = run(collection, { filter, sort, limit: 1, hint: command.get('hint') });
  if (body.remove) {
    if (!found) return { lastErrorObject: { n: 0 }, value: null };
    collection.delete(found);
    return { lastErrorObject: { n: 1 }, value: show(found.document) };
  }
  if (found) {
    const { after } = modify(collection, found, change);
    const value = show(body.new ? after : found.document);
    return { lastErrorObject: { n: 1, updatedExisting: true }, value };
  }
  if (!body.upsert) return { lastErrorObject: { n: 0, updatedExisting: false }, value: null };
  const document = upsert(collection, change);
  return {
    lastErrorObject: { n: 1, updatedExisting: false, upserted: document.get('_id') },
    value: body.new ? show(document) : null,
  };
};

export const writeCommands: Record<string, Command> = {
  insert,
  update,
  delete: remove,
  findAndModify,
  findandmodify: findAndModify,
};
