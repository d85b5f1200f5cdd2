/**
 * Writes to several documents in one round trip, each on the condition that the one before it was done: what would else be as
 * many round trips, for there is no other way to learn whether the next one may be written.
 *
 * It is the command `bulkWrite` of MongoDB 8.0, which stops at the first write that fails; a write whose condition does not hold
 * is made to fail. No transaction: a crash in between leaves what a crash between the same writes, one by one, leaves.
 * https://www.mongodb.com/docs/manual/reference/command/bulkWrite/
 */
import type { Collection, Document } from 'mongodb';
import { mongodbDriver } from './driver.ts';
import { isAway, type LaunchPad } from './launchpad.ts';

/** A write of one document. */
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

interface Answer {
  cursor: { firstBatch: { ok: number; n: number; code?: number; errmsg?: string }[] };
}

/**
 * How many documents each write found, for as many as were done: fewer than `writes` when the condition of the next one did not
 * hold. Null, and nothing is written, when the server does not know how. Throws what else the server says of a write.
 */
export async function writeChained(
  launchpad: LaunchPad,
  writes: readonly ChainedWrite[],
): Promise<number[] | null> {
  const { client, db } = launchpad;
  const { w, wtimeoutMS, journal } = db.writeConcern ?? {};
  if (!launchpad.chains || w === 0) return null;
  const names = [...new Set(writes.map(({ to }) => to.namespace))];
  const concern = {
    ...(w !== undefined && { w }),
    ...(wtimeoutMS !== undefined && { wtimeout: wtimeoutMS }),
    ...(journal !== undefined && { j: journal }),
  };
  const command = {
    bulkWrite: 1,
    ops: writes.map(({ to, filter, when, set }) => ({
      update: names.indexOf(to.namespace),
      filter,
      updateMods: when ? [{ $set: guarded(set, when) }] : { $set: set },
    })),
    nsInfo: names.map((ns) => ({ ns })),
    ...(Object.keys(concern).length > 0 && { writeConcern: concern }),
  };
  let answer: Answer;
  try {
    answer = (await client.db('admin').command(command)) as unknown as Answer;
  } catch (thrown) {
    if (isAway(thrown)) throw thrown;
    // An older server, or a user who may not: the same one by one.
    launchpad.chains = false;
    return null;
  }
  const done = answer.cursor.firstBatch;
  const failed = done.find(({ ok }) => ok !== 1);
  if (failed && failed.code !== CONVERSION_FAILURE) {
    const { MongoServerError } = await mongodbDriver();
    throw new MongoServerError(failed);
  }
  return done.filter(({ ok }) => ok === 1).map(({ n }) => n);
}

/** The fields, of which the first fails to be computed unless `when` holds. */
function guarded(set: Document, when: Document): Document {
  const [[field, value], ...others] = Object.entries(set) as [[string, unknown], ...[string, unknown][]];
  return { [field]: { $cond: [when, value, REFUSED] }, ...Object.fromEntries(others) };
}
