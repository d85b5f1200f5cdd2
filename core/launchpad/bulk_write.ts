/**
 * Writes to several documents, of several collections, in one round trip: the command `bulkWrite` of MongoDB 8.0.
 * https://www.mongodb.com/docs/manual/reference/command/bulkWrite/
 */
import type { Collection, Document } from 'mongodb';
import { mongodbDriver } from './driver.ts';
import { isAway, type LaunchPad } from './launchpad.ts';

/** A write of one document. */
export type BulkWrite =
  | { insert: Document; to: Collection<Document> }
  | { update: Document | Document[]; filter: Document; to: Collection<Document> };

/** What became of one write: how many documents it found or inserted, or why it failed. */
export interface Written {
  ok: number;
  n: number;
  code?: number;
  errmsg?: string;
}

/**
 * Does the writes in their order. `ordered`: the first one that fails is the last one that is done. Null, and nothing is written,
 * when the server does not know how, as none before MongoDB 8.0 does. No transaction: a crash leaves what a crash among the same
 * writes, one by one, leaves. Not repeated by the driver when the connection breaks: it may have been done then.
 */
export async function bulkWrite(
  launchpad: LaunchPad,
  writes: readonly BulkWrite[],
  { ordered }: { ordered: boolean },
): Promise<Written[] | null> {
  const { w, wtimeoutMS, journal } = launchpad.db.writeConcern ?? {};
  if (!launchpad.bulks || w === 0) return null;
  const names = [...new Set(writes.map(({ to }) => to.namespace))];
  const concern = {
    ...(w !== undefined && { w }),
    ...(wtimeoutMS !== undefined && { wtimeout: wtimeoutMS }),
    ...(journal !== undefined && { j: journal }),
  };
  const command = {
    bulkWrite: 1,
    ops: writes.map((write) => {
      const at = names.indexOf(write.to.namespace);
      if ('insert' in write) return { insert: at, document: write.insert };
      return { update: at, filter: write.filter, updateMods: write.update };
    }),
    nsInfo: names.map((ns) => ({ ns })),
    ...(!ordered && { ordered }),
    ...(Object.keys(concern).length > 0 && { writeConcern: concern }),
  };
  try {
    const { cursor } = await launchpad.admin.command(command);
    return (cursor as { firstBatch: Written[] }).firstBatch;
  } catch (thrown) {
    if (isAway(thrown)) throw thrown;
    // An older server, or a user who may not: the same one by one.
    launchpad.bulks = false;
    return null;
  }
}

/** A write that depends on the one before it. */
export interface ChainedWrite {
  to: Collection<Document>;
  /** Finds the document. When there is none nothing is written, and the chain goes on. */
  filter: Document;
  /** An aggregation expression: unless it holds of the document, neither this write nor those after it are done. */
  when?: Document;
  /** Fields, and what they become: expressions when there is a `when`, else values. */
  set: Document;
}

/** Fails in every document, and can be told from whatever else goes wrong: ConversionFailure. */
const REFUSED = { $toInt: { $concat: ['refused: ', { $type: '$_id' }] } };
const CONVERSION_FAILURE = 241;

/**
 * Writes each on the condition that the one before it was done: what would else be as many round trips, for there is no other way
 * to learn whether the next one may be written. A write whose condition does not hold is made to fail, which ends the chain.
 *
 * Returns how many documents each write found, for as many as were done: fewer than `writes` when the condition of the next one
 * did not hold. Null, and nothing is written, when the server does not know how. Throws what else it says of a write.
 */
export async function writeChained(
  launchpad: LaunchPad,
  writes: readonly ChainedWrite[],
): Promise<number[] | null> {
  const done = await bulkWrite(
    launchpad,
    writes.map(({ to, filter, when, set }) => ({
      to,
      filter,
      update: when ? [{ $set: guarded(set, when) }] : { $set: set },
    })),
    { ordered: true },
  );
  if (done === null) return null;
  await throwFailed(done, CONVERSION_FAILURE);
  return done.filter(({ ok }) => ok === 1).map(({ n }) => n);
}

/** The fields, of which the first fails to be computed unless `when` holds. */
function guarded(set: Document, when: Document): Document {
  const [[field, value], ...others] = Object.entries(set) as [[string, unknown], ...[string, unknown][]];
  return { [field]: { $cond: [when, value, REFUSED] }, ...Object.fromEntries(others) };
}

/** Throws the error of the first write that failed, unless it failed with the code that was expected. */
export async function throwFailed(done: readonly Written[], expected: number): Promise<void> {
  const failed = done.find(({ ok, code }) => ok !== 1 && code !== expected);
  if (!failed) return;
  const { MongoServerError } = await mongodbDriver();
  throw new MongoServerError(failed);
}
