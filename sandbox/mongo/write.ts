/** Commands that write: insert, update, delete, findAndModify. Each runs in the transaction that the server opened. */
import { type Document, deserialize, ObjectId } from 'bson';
import { type Command, type Context, nameOf } from './command.ts';
import { badValue, failedToParse, MongoAnswer } from './errors.ts';
import { isDocument } from './keys.ts';
import { checkFilter } from './match.ts';
import { projector } from './project.ts';
import { type Found, run } from './query.ts';
import { type Collection, TYPED } from './store.ts';
import { applyUpdate, isReplacement } from './update.ts';

interface WriteError {
  index: number;
  code: number;
  errmsg: string;
}

/** Runs one write after the other. A failed one is undone and reported; ordered bulks stop there. */
function each<T>(
  context: Context,
  items: readonly T[],
  work: (item: T, index: number) => void,
): WriteError[] {
  const errors: WriteError[] = [];
  for (const [index, item] of items.entries()) {
    try {
      context.store.savepoint(() => work(item, index));
    } catch (thrown) {
      if (!(thrown instanceof MongoAnswer)) throw thrown;
      errors.push({ index, code: thrown.code, errmsg: thrown.message, ...thrown.fields });
      if (context.body.ordered !== false) break;
    }
  }
  return errors;
}

const withErrors = (errors: WriteError[]) => (errors.length > 0 ? { writeErrors: errors } : {});

/** `_id` first, made here when the client did not. */
function withId(document: Document): Document {
  if ('_id' in document) {
    if (Array.isArray(document._id)) throw badValue("The '_id' value cannot be of type array");
    if (Object.keys(document)[0] === '_id') return document;
  }
  const { _id = new ObjectId(), ...rest } = document;
  return { _id, ...rest };
}

const insert: Command = (context) => {
  const documents = context.typed.documents as Document[];
  if (!Array.isArray(documents) || documents.length === 0)
    throw badValue('Write batch sizes must be between 1 and 100000.');
  const collection = context.store.ensure(context.db, nameOf(context, 'insert'));
  let n = 0;
  const errors = each(context, documents, (document) => {
    collection.insert(withId(document));
    n++;
  });
  return { n, ...withErrors(errors) };
};

const update: Command = (context) => {
  const collection = context.store.ensure(context.db, nameOf(context, 'update'));
  let n = 0;
  let nModified = 0;
  const upserted: { index: number; _id: unknown }[] = [];
  const statements = context.body.updates as Document[];
  const errors = each(context, statements, (statement, index) => {
    const typed = context.typed.updates[index] as Document;
    if (statement.collation) throw badValue('collation is not supported');
    if (statement.multi && isReplacement(typed.u))
      throw failedToParse('multi update is not supported for replacement-style update');
    checkFilter(statement.q);
    const found = [
      ...run(collection, { filter: statement.q, limit: statement.multi ? 0 : 1, sort: statement.sort }),
    ];
    for (const one of found) {
      const { changed } = modify(collection, one, statement.q, typed.u, statement.arrayFilters);
      n++;
      if (changed) nModified++;
    }
    if (found.length === 0 && statement.upsert) {
      const document = upsert(collection, typed.q, statement.q, typed.u, statement.arrayFilters);
      upserted.push({ index, _id: document._id });
      n++;
    }
  });
  return { n, nModified, ...(upserted.length > 0 && { upserted }), ...withErrors(errors) };
};

function modify(
  collection: Collection,
  found: Found,
  filter: Document,
  change: Document,
  arrayFilters: Document[] = [],
) {
  const before = deserialize(found.bytes, TYPED);
  const after = applyUpdate(before, change, { filter, arrayFilters, inserting: false, now: new Date() });
  const changed = !Bun.deepEquals(before, after, true) || keyOrder(before) !== keyOrder(after);
  if (changed) collection.replace(found.rid, before, after);
  return { before, after, changed };
}

const keyOrder = (document: Document) => Object.keys(document).join('\0');

/** A new document from the equalities of the query and the update. */
function upsert(
  collection: Collection,
  typedQuery: Document,
  filter: Document,
  change: Document,
  arrayFilters: Document[] = [],
): Document {
  const seed: Document = {};
  if (isReplacement(change)) {
    const id = equalities(typedQuery).get('_id');
    const document = withId(id !== undefined && !('_id' in change) ? { _id: id, ...change } : change);
    collection.insert(document);
    return document;
  }
  for (const [path, value] of equalities(typedQuery)) {
    const parts = path.split('.');
    const last = parts.pop() as string;
    let at = seed;
    for (const part of parts) at = at[part] = isDocument(at[part]) ? (at[part] as Document) : {};
    at[last] = value;
  }
  const document = withId(
    applyUpdate(seed, change, { filter, arrayFilters, inserting: true, now: new Date() }),
  );
  collection.insert(document);
  return document;
}

function equalities(query: Document, found = new Map<string, unknown>()): Map<string, unknown> {
  for (const [path, value] of Object.entries(query)) {
    if (path === '$and') for (const part of value as Document[]) equalities(part, found);
    else if (path.startsWith('$')) continue;
    else if (isDocument(value) && Object.keys(value)[0]?.startsWith('$')) {
      if ('$eq' in value) found.set(path, value.$eq);
      else if (Array.isArray(value.$in) && value.$in.length === 1) found.set(path, value.$in[0]);
    } else found.set(path, value);
  }
  return found;
}

const remove: Command = (context) => {
  const collection = context.store.find(context.db, nameOf(context, 'delete'));
  let n = 0;
  const errors = each(context, context.body.deletes as Document[], (statement) => {
    checkFilter(statement.q);
    if (!collection) return;
    for (const found of [...run(collection, { filter: statement.q, limit: statement.limit ? 1 : 0 })]) {
      collection.delete(found.rid, deserialize(found.bytes, TYPED));
      n++;
    }
  });
  return { n, ...withErrors(errors) };
};

const findAndModify: Command = (context) => {
  const { body, typed } = context;
  const command = 'findAndModify' in body ? 'findAndModify' : 'findandmodify';
  const collection = context.store.ensure(context.db, nameOf(context, command));
  const filter: Document = body.query ?? {};
  checkFilter(filter);
  if (body.remove && (body.update || body.new || body.upsert))
    throw failedToParse('Cannot specify both an update and remove=true, new or upsert');
  if (!body.remove && !body.update) throw failedToParse('Either an update or remove=true must be specified');
  const project = projector(body.fields, filter) ?? ((document: Document) => document);
  const [found] = [...run(collection, { filter, sort: body.sort, limit: 1 })];
  if (body.remove) {
    if (!found) return { lastErrorObject: { n: 0 }, value: null };
    const document = deserialize(found.bytes, TYPED);
    collection.delete(found.rid, document);
    return { lastErrorObject: { n: 1 }, value: project(document) };
  }
  if (found) {
    const { before, after } = modify(collection, found, filter, typed.update, body.arrayFilters);
    return { lastErrorObject: { n: 1, updatedExisting: true }, value: project(body.new ? after : before) };
  }
  if (!body.upsert) return { lastErrorObject: { n: 0, updatedExisting: false }, value: null };
  const document = upsert(collection, typed.query ?? {}, filter, typed.update, body.arrayFilters);
  return {
    lastErrorObject: { n: 1, updatedExisting: false, upserted: document._id },
    value: body.new ? project(document) : null,
  };
};

export const writeCommands: Record<string, Command> = {
  insert,
  update,
  delete: remove,
  findAndModify,
  findandmodify: findAndModify,
};
