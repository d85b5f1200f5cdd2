/**
 * One contract, many subjects: the cases of this folder say what a client may rely on, and run on the one-machine LaunchPad
 * and on a MongoDB (`MONGODB_URI=mongodb://... bun test sandbox/mongo`), which is right by definition.
 */

import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { type Collection, type Db, type Document, MongoClient, MongoServerError } from 'mongodb';

export interface Subject {
  name: string;
  uri(): Promise<string>;
  /** Cases that it cannot do, by their names, and why. */
  cannot: Readonly<Record<string, string>>;
}

/** Where a case works: a database of its own, dropped afterwards. */
export interface Ground {
  uri: string;
  client: MongoClient;
  db: Db;
  /** A collection of it. */
  c: Collection<Document>;
}

export type Cases = Readonly<Record<string, (ground: Ground) => Promise<void>>>;

export function holds(subject: Subject, title: string, cases: Cases): void {
  describe(`${subject.name}: ${title}`, () => {
    for (const [name, run] of Object.entries(cases)) {
      const reason = subject.cannot[name];
      test.skipIf(reason !== undefined)(reason ? `${name} (${reason})` : name, async () => {
        const uri = await subject.uri();
        const client = new MongoClient(uri);
        const db = client.db(`contract_${randomBytes(6).toString('hex')}`);
        try {
          await run({ uri, client, db, c: db.collection<Document>('c') });
        } finally {
          await db.dropDatabase();
          await client.close();
        }
      });
    }
  });
}

/** The code and the words with which the server refuses. Fails when it does not refuse. */
export async function refusal(
  work: Promise<unknown>,
): Promise<{ code: number; message: string; more: Document }> {
  try {
    await work;
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    return { code: Number(thrown.code), message: thrown.message, more: thrown };
  }
  throw new Error('the server did not refuse');
}

/** Documents by their `_id`s, in the order of the answer. */
export const ids = (documents: readonly Document[]) => documents.map(({ _id }) => _id);

/** Inserts documents with `_id`s 1, 2, 3... */
export async function given(c: Collection<Document>, ...documents: Document[]): Promise<void> {
  await c.insertMany(documents.map((document, i) => ({ _id: i + 1, ...document }) as Document));
}

/** Expects that each filter finds exactly these `_id`s. */
export async function finds(
  c: Collection<Document>,
  table: [filter: Document, expected: unknown[]][],
): Promise<void> {
  for (const [filter, expected] of table) {
    const found = await c.find(filter).sort({ _id: 1 }).toArray();
    expect([filter, ids(found)]).toEqual([filter, expected]);
  }
}

/** Applies each update to a document and expects what becomes of it. Number types count: they come back as BSON's classes. */
export async function becomes(
  c: Collection<Document>,
  table: [before: Document, update: Document, after: Document, options?: Document][],
): Promise<void> {
  for (const [before, update, after, options = {}] of table) {
    await c.deleteMany({});
    await c.insertOne({ _id: 1, ...before } as Document);
    const { filter = {}, ...rest } = options;
    await c.updateOne({ _id: 1, ...filter } as Document, update, rest);
    const found = await c.findOne({ _id: 1 } as Document, { projection: { _id: 0 } });
    expect([before, update, found]).toEqual([before, update, after]);
  }
}
