/**
 * BSON to `Document` and back. `bson`'s own codec is not used, only its value classes: it reads documents into plain
 * objects, which reorders keys that look like numbers, and it cannot copy an already encoded document into a reply.
 */

import { MongoFailure } from './errors.ts';
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  type Document,
  Double,
  fitsInt32,
  fitsInt64,
  MaxKey,
  MinKey,
  ObjectId,
  Opaque,
  Raw,
  Timestamp,
  Type,
  type Value,
} from './values.ts';

/** The largest document that a client may store. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 200;

const invalid = (why: string) => new MongoFailure(22, `Invalid BSON: ${why}`);
const tooDeep = () => new MongoFailure(15, `BSON object exceeds the maximum nesting depth of ${MAX_DEPTH}`);

/** Reads the document that begins at `at`. Throws InvalidBSON (22) when the bytes are not one. */
export function decode(bytes: Uint8Array, at = 0): Document {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = sizeAt(buffer, at);
  try {
    return new Reader(buffer, at + size).document(at, 0);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw invalid('it ends in the middle of a value');
    throw thrown;
  }
}

/** The size in bytes of the document that begins at `at`, checked against what there is. */
export function sizeAt(buffer: Buffer, at: number): number {
  if (at + 5 > buffer.length) throw invalid('shorter than an empty document');
  const size = buffer.readInt32LE(at);
  if (size < 5 || at + size > buffer.length)
    throw invalid(`document of ${size} bytes in ${buffer.length - at}`);
  if (buffer[at + size - 1] !== 0) throw invalid('document without its last zero byte');
  return size;
}

class Reader {
  #at = 0;
  constructor(
    readonly buffer: Buffer,
    readonly limit: number,
  ) {}

  document(start: number, depth: number): Document {
    const into: Document = new Map();
    this.#fields(start, depth, (key, value) => into.set(key, value));
    return into;
  }

  array(start: number, depth: number): Value[] {
    const into: Value[] = [];
    this.#fields(start, depth, (_key, value) => into.push(value));
    return into;
  }

  #fields(start: number, depth: number, add: (key: string, value: Value) => void): void {
    if (depth > MAX_DEPTH) throw tooDeep();
    const end = start + sizeAt(this.buffer, start) - 1;
    if (end >= this.limit) throw invalid('inner document larger than the outer one');
    this.#at = start + 4;
    while (this.#at < end) {
      const type = this.buffer[this.#at++] as number;
      const key = this.#cstring();
      add(key, this.#value(type, depth));
    }
    if (this.#at !== end) throw invalid('fields do not fill their document');
    this.#at = end + 1;
  }

  #cstring(): string {
    const end = this.buffer.indexOf(0, this.#at);
    if (end < 0 || end >= this.limit) throw invalid('a name without its zero byte');
    const text = this.buffer.utf8Slice(this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #string(): string {
    const size = this.buffer.readInt32LE(this.#at);
    const from = this.#at + 4;
    if (size < 1 || from + size > this.limit || this.buffer[from + size - 1] !== 0)
      throw invalid('string size');
    this.#at = from + size;
    return this.buffer.utf8Slice(from, from + size - 1);
  }

  #take(size: number): Buffer {
    if (size < 0 || this.#at + size > this.limit) throw invalid('value larger than its document');
    const part = this.buffer.subarray(this.#at, this.#at + size);
    this.#at += size;
    return part;
  }

  #value(type: number, depth: number): Value {
    const { buffer } = this;
    switch (type) {
      case Type.double: {
        const value = buffer.readDoubleLE(this.#at);
        this.#at += 8;
        return new Double(value);
      }
      case Type.string:
        return this.#string();
      case Type.object:
        return this.document(this.#at, depth + 1);
      case Type.array:
        return this.array(this.#at, depth + 1);
      case Type.binData: {
        const size = buffer.readInt32LE(this.#at);
        const subtype = buffer[this.#at + 4] as number;
        this.#at += 5;
        return new Binary(Uint8Array.from(this.#take(size)), subtype);
      }
      case Type.undefined:
        return undefined;
      case Type.objectId:
        return new ObjectId(Uint8Array.from(this.#take(12)));
      case Type.bool: {
        const byte = buffer[this.#at++] as number;
        if (byte > 1) throw invalid('boolean that is neither 0 nor 1');
        return byte === 1;
      }
      case Type.date: {
        const ms = buffer.readBigInt64LE(this.#at);
        this.#at += 8;
        const date = new Date(Number(ms));
        // Beyond the year 275760 JavaScript has no date; MongoDB would keep the number.
        if (Number.isNaN(date.getTime())) throw invalid(`date ${ms} is out of range`);
        return date;
      }
      case Type.null:
        return null;
      case Type.regex: {
        const pattern = this.#cstring();
        return new BSONRegExp(pattern, this.#cstring());
      }
      case Type.dbPointer:
        return new Opaque(type, Uint8Array.from(this.#take(4 + buffer.readInt32LE(this.#at) + 12)));
      case Type.javascriptWithScope:
        return new Opaque(type, Uint8Array.from(this.#take(buffer.readInt32LE(this.#at))));
      case Type.javascript:
        return new Code(this.#string());
      case Type.symbol:
        return new BSONSymbol(this.#string());
      case Type.int: {
        const value = buffer.readInt32LE(this.#at);
        this.#at += 4;
        return value;
      }
      case Type.timestamp: {
        const i = buffer.readUInt32LE(this.#at);
        const t = buffer.readUInt32LE(this.#at + 4);
        this.#at += 8;
        return new Timestamp({ t, i });
      }
      case Type.long: {
        const value = buffer.readBigInt64LE(this.#at);
        this.#at += 8;
        return value;
      }
      case Type.decimal:
        return new Decimal128(Uint8Array.from(this.#take(16)));
      case 255:
        return new MinKey();
      case Type.maxKey:
        return new MaxKey();
      default:
        throw invalid(`unknown type ${type}`);
    }
  }
}

// One buffer for all encoding: the server is single-threaded and an encoding is never interrupted by another.
let out = Buffer.allocUnsafeSlow(256 * 1024);
let at = 0;

function room(size: number): void {
  if (at + size <= out.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, at + size));
  out.copy(larger, 0, 0, at);
  out = larger;
}

/** The bytes of a document, after `headroom` bytes that the caller fills (a message header). */
export function encode(document: Document, headroom = 0): Buffer {
  at = headroom;
  room(headroom);
  writeDocument(document, 0);
  const bytes = Buffer.from(out.subarray(0, at));
  // One large reply should not hold its memory for good.
  if (out.length > 32 * 1024 * 1024) out = Buffer.allocUnsafeSlow(256 * 1024);
  return bytes;
}

function writeDocument(document: Document, depth: number): void {
  if (depth > MAX_DEPTH) throw tooDeep();
  const start = at;
  room(5);
  at += 4;
  for (const [key, value] of document) writeField(key, value, depth);
  room(1);
  out[at++] = 0;
  out.writeInt32LE(at - start, start);
}

function writeArray(items: readonly Value[], depth: number): void {
  if (depth > MAX_DEPTH) throw tooDeep();
  const start = at;
  room(5);
  at += 4;
  for (let i = 0; i < items.length; i++) writeField(String(i), items[i], depth);
  room(1);
  out[at++] = 0;
  out.writeInt32LE(at - start, start);
}

function writeText(text: string): void {
  room(text.length * 3 + 1);
  at += out.utf8Write(text, at);
  out[at++] = 0;
}

function writeCstring(text: string): void {
  if (text.includes('\0')) throw invalid('a name with a zero byte');
  writeText(text);
}

function writeString(text: string): void {
  room(4);
  const start = at;
  at += 4;
  writeText(text);
  out.writeInt32LE(at - start - 4, start);
}

function writeBytes(bytes: Uint8Array): void {
  room(bytes.length);
  out.set(bytes, at);
  at += bytes.length;
}

function writeField(key: string, value: Value, depth: number): void {
  room(1);
  const typeAt = at++;
  writeCstring(key);
  out[typeAt] = writeValue(value, depth);
}

/** Writes a value; returns its type byte. */
function writeValue(value: Value, depth: number): number {
  switch (typeof value) {
    case 'string':
      writeString(value);
      return Type.string;
    case 'number':
      if (!fitsInt32(value)) throw new TypeError(`${value} is not an int32`);
      room(4);
      at = out.writeInt32LE(value, at);
      return Type.int;
    case 'bigint':
      if (!fitsInt64(value)) throw new TypeError(`${value} is not an int64`);
      room(8);
      at = out.writeBigInt64LE(value, at);
      return Type.long;
    case 'boolean':
      room(1);
      out[at++] = value ? 1 : 0;
      return Type.bool;
    case 'undefined':
      return Type.undefined;
  }
  if (value === null) return Type.null;
  if (value instanceof Map) {
    writeDocument(value, depth + 1);
    return Type.object;
  }
  if (Array.isArray(value)) {
    writeArray(value, depth + 1);
    return Type.array;
  }
  if (value instanceof Raw) {
    writeBytes(value.bytes);
    return Type.object;
  }
  if (value instanceof Double) {
    room(8);
    at = out.writeDoubleLE(value.value, at);
    return Type.double;
  }
  if (value instanceof Date) {
    room(8);
    at = out.writeBigInt64LE(BigInt(value.getTime()), at);
    return Type.date;
  }
  if (value instanceof ObjectId) {
    writeBytes(value.id);
    return Type.objectId;
  }
  if (value instanceof Binary) {
    room(5);
    at = out.writeInt32LE(value.position, at);
    out[at++] = value.sub_type;
    writeBytes(value.buffer.subarray(0, value.position));
    return Type.binData;
  }
  if (value instanceof Decimal128) {
    writeBytes(value.bytes);
    return Type.decimal;
  }
  if (value instanceof Timestamp) {
    room(8);
    at = out.writeUInt32LE(value.i, at);
    at = out.writeUInt32LE(value.t, at);
    return Type.timestamp;
  }
  if (value instanceof BSONRegExp) {
    writeCstring(value.pattern);
    writeCstring(value.options);
    return Type.regex;
  }
  if (value instanceof BSONSymbol) {
    writeString(value.value);
    return Type.symbol;
  }
  if (value instanceof Code) {
    writeString(value.code);
    return Type.javascript;
  }
  if (value instanceof MinKey) return 255;
  if (value instanceof MaxKey) return Type.maxKey;
  writeBytes(value.bytes);
  return value.type;
}
