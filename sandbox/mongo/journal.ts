/**
 * What was acknowledged since the last commit of the database file. SQLite's own log gets every page that a commit changed,
 * 4 kB each, and a Firework that changes its state is on a dozen of them: 150 µs of a slow core where a record here, of what
 * changed and no more, takes 3.
 *
 * The file holds records one behind the other, each of one command and written by one write(2). All of a record's numbers
 * are little-endian:
 *
 *     u32 how many bytes of changes    u32 CRC-32 of what follows    8 bytes generation    changes
 *
 * and each of the changes
 *
 *     u8 how    u32 collection    f64 rid    REMOVE: nothing more
 *                                            PUT: u32 length, the document's bytes
 *                                            PATCH: u32 how many pieces, and for each u32 where in the document before,
 *                                            u32 how much of it goes, u32 how much comes, the bytes that come
 *
 * A generation is a random number that the database file has too, and that changes in the same transaction as the documents.
 * So a commit makes void what the journal holds, at once, and the next record is written over the first: whichever instruction
 * a crash comes at, the file holds the records that the database lacks, and perhaps others that do not count. A record that
 * was cut off has the wrong checksum, was not acknowledged, and is the last one.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { fieldEnd } from './document.ts';

const HEADER = 16;
const GENERATION = { at: 8, bytes: 8 } as const;

const PUT = 1;
const PATCH = 2;
const REMOVE = 3;

/** A document of fewer bytes is written whole. */
const SMALL = 2048;

/** A command that changes more bytes than this has no record: it is committed. */
const MOST_ADDED = 256 * 1024;

const EMPTY = Buffer.alloc(0);

/** The document `rid` of a collection after a change. */
export interface Change {
  collection: number;
  rid: number;
  /** Its bytes, made of those that it had before; null: it is gone. */
  after: ((before?: Buffer) => Buffer) | null;
}

export type Generation = Buffer;

export const newGeneration = (): Generation => randomFillSync(Buffer.alloc(GENERATION.bytes));

export class Journal {
  readonly #fd: number;
  #generation: Generation = newGeneration();
  /** How far the records of this generation go. */
  #end = 0;
  #record = Buffer.allocUnsafe(64 * 1024);
  #at = HEADER;
  /** The command that runs changes so much that it is to be committed; there is no record of it. */
  tooMuch = false;

  constructor(file: string) {
    this.#fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** The records of `generation`, the oldest first, which are all that counts from now on. */
  *read(generation: Generation): Generator<Change[]> {
    this.#generation = generation;
    this.#end = 0;
    this.discard();
    const { size } = fstatSync(this.#fd);
    const bytes = Buffer.alloc(size);
    const length = readSync(this.#fd, bytes, 0, size, 0);
    for (let record = recordAt(bytes.subarray(0, length), 0, generation); record; ) {
      yield record.changes;
      this.#end = record.end;
      record = recordAt(bytes.subarray(0, length), record.end, generation);
    }
  }

  /** Makes void what was written. */
  begin(generation: Generation): void {
    this.#generation = generation;
    this.#end = 0;
    this.discard();
  }

  /** Adds to the record of the command that runs. Null: the document was not there before, or is not there any more. */
  add(collection: number, rid: number, before: Buffer | null, after: Buffer | null): void {
    if (this.tooMuch) return;
    const patched = after && before && after.length >= SMALL ? before : null;
    this.#room(17);
    this.#at = this.#record.writeUInt8(!after ? REMOVE : patched ? PATCH : PUT, this.#at);
    this.#uint32(collection);
    this.#at = this.#record.writeDoubleLE(rid, this.#at);
    if (after && patched) this.#patch(patched, after);
    else if (after) this.#bytes(after, 0, after.length);
  }

  /** How many bytes of records there are. */
  get length(): number {
    return this.#end;
  }

  /** Forgets what the command that runs has added. */
  discard(): void {
    this.#at = HEADER;
    this.tooMuch = false;
  }

  /** Writes the record of the command that ran. When it throws, nothing was. */
  write(): void {
    const record = this.#record.subarray(0, this.#at);
    record.writeUInt32LE(this.#at - HEADER, 0);
    this.#generation.copy(record, GENERATION.at);
    record.writeUInt32LE(checksum(record.subarray(GENERATION.at)), 4);
    for (let written = 0; written < record.length; )
      written += writeSync(this.#fd, record, written, record.length - written, this.#end + written);
    this.#end += record.length;
    this.discard();
  }

  /** The last one: all is in the database file. */
  close(): void {
    ftruncateSync(this.#fd);
    closeSync(this.#fd);
  }

  #patch(before: Buffer, after: Buffer): void {
    const countAt = this.#at;
    let count = 0;
    this.#uint32(0);
    pieces(before, after, (at, gone, from, to) => {
      this.#uint32(at);
      this.#uint32(gone);
      this.#bytes(after, from, to);
      count++;
    });
    this.#record.writeUInt32LE(count, countAt);
  }

  #bytes(source: Buffer, from: number, to: number): void {
    this.tooMuch ||= this.#at + to - from > MOST_ADDED;
    if (this.tooMuch) return;
    this.#uint32(to - from);
    this.#room(to - from);
    this.#at += source.copy(this.#record, this.#at, from, to);
  }

  #uint32(value: number): void {
    this.#room(4);
    this.#at = this.#record.writeUInt32LE(value, this.#at);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#record.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#record.length * 2, this.#at + bytes));
    this.#record.copy(larger, 0, 0, this.#at);
    this.#record = larger;
  }
}

const checksum = (bytes: Uint8Array): number => Bun.hash.crc32(bytes);

function recordAt(
  bytes: Buffer,
  at: number,
  generation: Generation,
): { changes: Change[]; end: number } | null {
  if (at + HEADER > bytes.length) return null;
  const end = at + HEADER + bytes.readUInt32LE(at);
  const covered = bytes.subarray(at + GENERATION.at, end);
  const whole = end <= bytes.length && generation.equals(covered.subarray(0, GENERATION.bytes));
  if (!whole || checksum(covered) !== bytes.readUInt32LE(at + 4)) return null;
  return { changes: changesOf(bytes.subarray(at + HEADER, end)), end };
}

function changesOf(record: Buffer): Change[] {
  const changes: Change[] = [];
  let at = 0;
  const uint32 = () => {
    at += 4;
    return record.readUInt32LE(at - 4);
  };
  const bytes = () => {
    const length = uint32();
    at += length;
    return record.subarray(at - length, at);
  };
  while (at < record.length) {
    const how = record[at++];
    const collection = uint32();
    const rid = record.readDoubleLE(at);
    at += 8;
    if (how === REMOVE) changes.push({ collection, rid, after: null });
    else if (how === PUT) {
      const document = bytes();
      changes.push({ collection, rid, after: () => document });
    } else {
      const parts = Array.from({ length: uint32() }, () => ({ at: uint32(), gone: uint32(), come: bytes() }));
      changes.push({ collection, rid, after: (before = EMPTY) => patched(before, parts) });
    }
  }
  return changes;
}

function patched(before: Buffer, parts: readonly { at: number; gone: number; come: Buffer }[]): Buffer {
  const result: Buffer[] = [];
  let from = 0;
  for (const { at, gone, come } of parts) {
    result.push(before.subarray(from, at), come);
    from = at + gone;
  }
  const after = Buffer.concat([...result, before.subarray(from)]);
  after.writeInt32LE(after.length, 0);
  return after;
}

type Tell = (at: number, gone: number, from: number, to: number) => void;

/**
 * Tells where two documents differ, besides their length: `gone` bytes of `before` at `at` become those of `after` in
 * [from, to). Field by field, so that one at the beginning and one at the end are two small pieces; a document in a field
 * without its length, which would begin the piece too soon.
 */
function pieces(before: Buffer, after: Buffer, tell: Tell): void {
  let [a, b] = [4, 4];
  while (a < before.length || b < after.length) {
    const nextA = fieldEnd(before, a);
    const nextB = fieldEnd(after, b);
    const lengthAt = nextA - a === nextB - b ? null : documentIn(before, a);
    if (lengthAt !== null && lengthAt === documentIn(after, b)) {
      piece(before, a, a + lengthAt, after, b, b + lengthAt, tell);
      tell(a + lengthAt, 4, b + lengthAt, b + lengthAt + 4);
      a += lengthAt + 4;
      b += lengthAt + 4;
    }
    piece(before, a, nextA, after, b, nextB, tell);
    [a, b] = [nextA, nextB];
  }
}

/** Where the document or array in the field at `at` begins, counted from there; null: it holds none. */
function documentIn(bytes: Buffer, at: number): number | null {
  const type = bytes[at];
  return type === 3 || type === 4 ? bytes.indexOf(0, at + 1) + 1 - at : null;
}

function piece(
  before: Buffer,
  a: number,
  aEnd: number,
  after: Buffer,
  b: number,
  bEnd: number,
  tell: Tell,
): void {
  const most = Math.min(aEnd - a, bEnd - b);
  const start = commonStart(before, a, after, b, most);
  if (start === aEnd - a && start === bEnd - b) return;
  const end = commonEnd(before, aEnd, after, bEnd, most - start);
  tell(a + start, aEnd - end - a - start, b + start, bEnd - end);
}

/** As many bytes at once are compared. Native code compares some kilobytes in the time that the call takes. */
const STEPS = [4096, 256, 16];

function commonStart(a: Buffer, aFrom: number, b: Buffer, bFrom: number, most: number): number {
  let n = 0;
  for (const step of STEPS) while (n + step <= most && isSame(a, aFrom + n, b, bFrom + n, step)) n += step;
  while (n < most && a[aFrom + n] === b[bFrom + n]) n++;
  return n;
}

function commonEnd(a: Buffer, aTo: number, b: Buffer, bTo: number, most: number): number {
  let n = 0;
  for (const step of STEPS)
    while (n + step <= most && isSame(a, aTo - n - step, b, bTo - n - step, step)) n += step;
  while (n < most && a[aTo - n - 1] === b[bTo - n - 1]) n++;
  return n;
}

const isSame = (a: Buffer, aFrom: number, b: Buffer, bFrom: number, length: number) =>
  a.compare(b, bFrom, bFrom + length, aFrom, aFrom + length) === 0;
