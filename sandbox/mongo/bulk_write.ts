/**
 * The command `bulkWrite` of MongoDB 8.0: writes to several collections in one round trip. Where it is ordered, a write that
 * fails ends it, and those after it are not done.
 * https://www.mongodb.com/docs/manual/reference/command/bulkWrite/
 */
import { Long } from 'bson';
import { type Command, type Context, documentAt, documentsAt, numberAt } from './command.ts';
import { Doc } from './document.ts';
import { badValue, failedToParse, MongoAnswer, unauthorized } from './errors.ts';
import { truthy } from './expression.ts';
import type { Collection } from './store.ts';
import { changeOf, deleteBy, MOST_WRITES, updateBy, withId } from './write.ts';

/** What one write did, as the answer tells it. */
interface Done {
  n: number;
  nModified?: number;
  upserted?: { _id: unknown };
}

type Kind = 'insert' | 'update' | 'delete';

const KINDS: readonly Kind[] = ['insert', 'update', 'delete'];

export const bulkWrite: Command = (context) => {
  if (context.db !== 'admin') throw unauthorized('bulkWrite may only be run against the admin database.');
  const { body, command } = context;
  const ops = documentsAt(command, 'ops');
  if (ops.length === 0 || ops.length > MOST_WRITES)
    throw new MongoAnswer(
      16,
      'InvalidLength',
      `Write batch sizes must be between 1 and ${MOST_WRITES}. Got ${ops.length} operations.`,
    );
  const collections = namesIn(context).map((ns) => collectionAt(context, ns));
  const writes = ops.map((op) => writeOf(op, collections));
  const counts = { nErrors: 0, nInserted: 0, nMatched: 0, nModified: 0, nUpserted: 0, nDeleted: 0 };
  const told: Record<string, unknown>[] = [];
  for (const [idx, { kind, write }] of writes.entries()) {
    try {
      const done = write();
      if (kind === 'insert') counts.nInserted += done.n;
      else if (kind === 'delete') counts.nDeleted += done.n;
      else if (done.upserted) counts.nUpserted++;
      else counts.nMatched += done.n;
      counts.nModified += done.nModified ?? 0;
      if (!body.errorsOnly) told.push({ ok: 1, idx, ...done });
    } catch (thrown) {
      if (!(thrown instanceof MongoAnswer)) throw thrown;
      counts.nErrors++;
      const { code, message: errmsg, fields } = thrown;
      told.push({ ok: 0, idx, code, errmsg, ...fields, n: 0 });
      if (body.ordered !== false) break;
    }
  }
  return { cursor: { id: Long.ZERO, firstBatch: told, ns: 'admin.$cmd.bulkWrite' }, ...counts };
};

function namesIn({ command }: Context): string[] {
  return documentsAt(command, 'nsInfo').map((info) => {
    const ns = info.get('ns');
    if (typeof ns !== 'string' || !/^[^.$\0]+\.[^$\0]+$/.test(ns))
      throw new MongoAnswer(73, 'InvalidNamespace', `Invalid namespace specified '${String(ns)}'`);
    return ns;
  });
}

function collectionAt({ store }: Context, ns: string): Collection {
  const dot = ns.indexOf('.');
  return store.ensure(ns.slice(0, dot), ns.slice(dot + 1));
}

/** What is to be done; throws for what is no write before any is done. */
function writeOf(op: Doc, collections: readonly Collection[]): { kind: Kind; write: () => Done } {
  const kind = KINDS.find((one) => one === op.firstKey());
  if (!kind)
    throw failedToParse(`BSON field 'bulkWrite.ops' has an operation that is unknown: ${op.firstKey()}`);
  const collection = collections[numberAt(op, kind)];
  if (!collection) throw badValue(`BulkWrite ops entry ${String(op.get(kind))} has an invalid nsInfo index.`);
  if (kind === 'insert') {
    const document = documentAt(op, 'document') ?? new Doc();
    return {
      kind,
      write: () => {
        collection.insert(withId(document));
        return { n: 1 };
      },
    };
  }
  if (kind === 'delete') {
    const filter = documentAt(op, 'filter') ?? new Doc();
    const limit = truthy(op.get('multi')) ? 0 : 1;
    return { kind, write: () => ({ n: deleteBy(collection, filter, limit, op.get('hint')) }) };
  }
  if (op.has('constants')) throw badValue('constants are not supported');
  return {
    kind,
    write: () => {
      const { upserted, ...done } = updateBy(collection, changeOf(op, 'filter', 'updateMods'), op);
      return upserted === undefined ? done : { ...done, upserted: { _id: upserted } };
    },
  };
}
