/**
 * A few short fields of many documents, read out of the bytes in which they come. The driver would make an object of every
 * part of each document first, which takes five times as long.
 */
import { deserialize } from 'bson';
import type { Collection, Document } from 'mongodb';
import { type Doc, TYPED } from '../../core/launchpad/index.ts';

/** Top-level fields, by their names as they are in the bytes. */
export class Fields {
  readonly #bytes: Buffer[];

  constructor(readonly names: readonly string[]) {
    this.#bytes = names.map((name) => Buffer.from(name));
  }

  get projection(): Document {
    return { _id: 0, ...Object.fromEntries(this.names.map((name) => [name, 1])) };
  }

  /** The field whose name is in [from, end); undefined when it is none of these. */
  at(bytes: Buffer, from: number, end: number): string | undefined {
    for (let i = 0; i < this.#bytes.length; i++) {
      const name = this.#bytes[i] as Buffer;
      if (name.length !== end - from) continue;
      let same = 0;
      while (same < name.length && bytes[from + same] === name[same]) same++;
      if (same === name.length) return this.names[i];
    }
    return undefined;
  }
}

/** So many documents may be read for each that is wanted. */
const MOST_READ = 1.5;

/** What MongoDB says of an answer that is too large for one document, and of one that is too large to be made. */
const TOO_LARGE = [10334, 146];

/**
 * The documents whose `key`, an integer with an index, is one of `ids`. There may be others among them: where few lie between,
 * all from the lowest id to the highest are asked for, which a server reads in one go.
 */
export async function documentsAmong(
  collection: Collection<Document>,
  key: string,
  ids: readonly number[],
  fields: Fields,
): Promise<Doc[]> {
  if (ids.length === 0) return [];
  const stages = [
    { $match: { [key]: among(ids) } },
    { $project: fields.projection },
    // One document of all: those of a cursor the driver takes apart one by one.
    { $group: { _id: null, all: { $push: '$$ROOT' } } },
  ];
  try {
    const [found] = await collection.aggregate(stages, { raw: true }).toArray();
    return found ? readAll(found as Uint8Array, fields) : [];
  } catch (thrown) {
    if (!TOO_LARGE.includes((thrown as { code?: number }).code ?? 0) || ids.length === 1) throw thrown;
    const half = ids.length >> 1;
    const parts = [ids.slice(0, half), ids.slice(half)];
    return (await Promise.all(parts.map((part) => documentsAmong(collection, key, part, fields)))).flat();
  }
}

/** The condition for being one of `ids`, or lying among them. */
export function among(ids: readonly number[]): Document {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const id of ids) {
    if (id < least) least = id;
    if (id > most) most = id;
  }
  return most - least < ids.length * MOST_READ ? { $gte: least, $lte: most } : { $in: [...ids] };
}

/** The types of BSON that are read here (https://bsonspec.org/spec.html). A document with others is left to its library. */
const TYPE = {
  string: 0x02,
  document: 0x03,
  array: 0x04,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  int32: 0x10,
} as const;

/** The documents in `{_id: null, all: [{...}, ...]}`. */
export function readAll(document: Uint8Array, fields: Fields): Doc[] {
  const reader = new Reader(document, fields);
  // Behind the length and `_id: null`, and behind the type, name and length of `all`.
  reader.skipName(4 + 1);
  reader.skipName(reader.at + 1);
  return reader.documents(reader.at + 4);
}

/** A document that holds nothing but `fields`. Numbers keep their type as with `TYPED`; integers of 32 bits are plain. */
export function readOne(document: Uint8Array, fields: Fields): Doc {
  return new Reader(document, fields).document(0);
}

/** Reads what is at a place, and then stands behind it. */
class Reader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #fields: Fields;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array, fields: Fields) {
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#fields = fields;
  }

  skipName(at: number): void {
    let behind = at;
    // Names are short: quicker than `indexOf`.
    while (this.#bytes[behind] !== 0) behind++;
    this.at = behind + 1;
  }

  /** Documents that follow each other as the elements of an array. */
  documents(first: number): Doc[] {
    const found: Doc[] = [];
    for (this.at = first; this.#bytes[this.at] === TYPE.document; ) {
      this.skipName(this.at + 1);
      found.push(this.document(this.at));
    }
    return found;
  }

  document(start: number): Doc {
    const bytes = this.#bytes;
    const stop = start + bytes.readInt32LE(start);
    const doc: Doc = {};
    for (this.at = start + 4; this.at < stop - 1; ) {
      const name = this.at + 1;
      const type = bytes[this.at] as number;
      this.skipName(name);
      const field = this.#fields.at(bytes, name, this.at - 1);
      const value = this.#value(type, this.at);
      if (field === undefined || value === undefined) {
        this.at = stop;
        return deserialize(bytes.subarray(start, stop), TYPED);
      }
      doc[field] = value;
    }
    this.at = stop;
    return doc;
  }

  /** Undefined when it is of another type. */
  #value(type: number, from: number): unknown {
    const bytes = this.#bytes;
    switch (type) {
      case TYPE.int32:
        this.at = from + 4;
        return bytes.readInt32LE(from);
      case TYPE.string:
        this.at = from + 4 + bytes.readInt32LE(from);
        return bytes.toString('utf8', from + 4, this.at - 1);
      case TYPE.array:
        return this.#array(from);
      case TYPE.date:
        this.at = from + 8;
        return new Date(Number(bytes.readBigInt64LE(from)));
      case TYPE.boolean:
        this.at = from + 1;
        return bytes[from] === 1;
      case TYPE.null:
        this.at = from;
        return null;
    }
    return undefined;
  }

  #array(start: number): unknown[] | undefined {
    const stop = start + this.#bytes.readInt32LE(start);
    const values: unknown[] = [];
    for (this.at = start + 4; this.at < stop - 1; ) {
      const type = this.#bytes[this.at] as number;
      this.skipName(this.at + 1);
      const value = this.#value(type, this.at);
      if (value === undefined) return undefined;
      values.push(value);
    }
    this.at = stop;
    return values;
  }
}
