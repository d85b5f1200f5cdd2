/**
 * Index keys whose bytes sort as MongoDB sorts the values: first by type, then by value.
 * https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 *
 * A key is the encoding of each indexed field, one after the other; no encoding is the prefix of another, so that the
 * keys of an equality on the first fields are one range of bytes.
 */
import {
  type Binary,
  type BSONRegExp,
  Decimal128,
  Double,
  Int32,
  Long,
  ObjectId,
  type Timestamp,
} from 'bson';
import { Doc } from './document.ts';

/** Changes with the bytes that this file makes: a store whose indexes have others makes them anew. */
export const KEYS_VERSION = 2;

/** One byte for each group of types that compare with each other. */
export const RANK = {
  minKey: 0x01,
  emptyArray: 0x03,
  null: 0x05,
  number: 0x0a,
  string: 0x0f,
  object: 0x14,
  array: 0x19,
  binary: 0x1e,
  objectId: 0x23,
  boolean: 0x28,
  date: 0x2d,
  timestamp: 0x2f,
  regex: 0x32,
  maxKey: 0x7f,
} as const;

const utf8 = new TextEncoder();

/** The rank byte of a value: values of different rank never match each other in a range (`$lt`, `$gte`...). */
export function rankOf(value: unknown): number {
  if (value === null || value === undefined) return RANK.null;
  if (value === EMPTY) return RANK.emptyArray;
  switch (typeof value) {
    case 'number':
    case 'bigint':
      return RANK.number;
    case 'string':
      return RANK.string;
    case 'boolean':
      return RANK.boolean;
  }
  if (Array.isArray(value)) return RANK.array;
  if (value instanceof Date) return RANK.date;
  switch ((value as { _bsontype?: string })._bsontype) {
    case 'Int32':
    case 'Double':
    case 'Long':
    case 'Decimal128':
      return RANK.number;
    case 'ObjectId':
      return RANK.objectId;
    case 'Binary':
      return RANK.binary;
    case 'Timestamp':
      return RANK.timestamp;
    case 'BSONRegExp':
      return RANK.regex;
    case 'BSONSymbol':
      return RANK.string;
    case 'MinKey':
      return RANK.minKey;
    case 'MaxKey':
      return RANK.maxKey;
  }
  return RANK.object;
}

/** Bytes that are written one behind the other; one of it serves all, since no key is made while another one is. */
class Bytes {
  #buffer = new Uint8Array(256);
  length = 0;

  push(byte: number): void {
    if (this.length === this.#buffer.length) this.#grow(1);
    this.#buffer[this.length++] = byte;
  }

  append(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#buffer.length) this.#grow(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Turns over what was written from `at` on. */
  invert(at: number): void {
    for (let i = at; i < this.length; i++) this.#buffer[i] = (this.#buffer[i] as number) ^ 0xff;
  }

  /** What was written; the next is written anew. */
  taken(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.length);
    this.length = 0;
    return bytes;
  }

  #grow(by: number): void {
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.length + by));
    larger.set(this.#buffer.subarray(0, this.length));
    this.#buffer = larger;
  }
}

const key = new Bytes();

/** The bytes of one value. */
export function encodeValue(value: unknown): Uint8Array {
  key.length = 0;
  write(value, key);
  return key.taken();
}

function write(value: unknown, out: Bytes): void {
  const rank = rankOf(value);
  out.push(rank);
  switch (rank) {
    case RANK.number:
      return writeNumber(value, out);
    case RANK.string:
      return writeText(typeof value === 'string' ? value : String(value), out);
    case RANK.boolean:
      out.push(value ? 1 : 0);
      return;
    case RANK.date:
      return writeMilliseconds((value as Date).getTime() || 0, out);
    case RANK.timestamp:
      return writeInt64((value as Timestamp).toBigInt(), out);
    case RANK.objectId:
      return out.append((value as ObjectId).id);
    case RANK.binary: {
      const binary = value as Binary;
      writeInt64(BigInt(binary.length()), out);
      out.push(binary.sub_type);
      return writeBytes(binary.value(), out);
    }
    case RANK.regex:
      writeText((value as BSONRegExp).pattern, out);
      return writeText((value as BSONRegExp).options, out);
    case RANK.array:
      for (const element of value as unknown[]) write(element, out);
      out.push(0);
      return;
    case RANK.object:
      for (const [name, inner] of value instanceof Doc ? value.entries() : Object.entries(value as object)) {
        out.push(rankOf(inner));
        writeText(name, out);
        write(inner, out);
      }
      out.push(0);
  }
}

function writeText(text: string, out: Bytes): void {
  // Most are short and have no letter of two bytes.
  if (text.length > 100) return writeBytes(utf8.encode(text), out);
  const start = out.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0 || unit > 0x7f) {
      out.length = start;
      return writeBytes(utf8.encode(text), out);
    }
    out.push(unit);
  }
  out.push(0);
  out.push(1);
}

/** Bytes with an end: 0x00 becomes 0x00 0xFF, and 0x00 0x01 ends, which sorts before every continuation. */
function writeBytes(bytes: Uint8Array, out: Bytes): void {
  for (const byte of bytes) {
    out.push(byte);
    if (byte === 0) out.push(0xff);
  }
  out.push(0);
  out.push(1);
}

const scratch = new DataView(new ArrayBuffer(8));

/**
 * The nearest double with its sign folded in; then whether the number is that double, or how far it is from it, in parts
 * of the distance to the next double.
 */
function writeNumber(value: unknown, out: Bytes): void {
  const near =
    typeof value === 'number'
      ? value
      : value instanceof Int32 || value instanceof Double
        ? value.value
        : Number(String(value));
  // NaN sorts before all other numbers; -0 equals 0.
  if (Number.isNaN(near)) {
    for (let i = 0; i < 9; i++) out.push(0);
    return;
  }
  scratch.setFloat64(0, near === 0 ? 0 : near);
  const negative = near < 0;
  for (let i = 0; i < 8; i++) {
    const byte = scratch.getUint8(i);
    out.push(negative ? byte ^ 0xff : i === 0 ? byte ^ 0x80 : byte);
  }
  const off = value instanceof Long || value instanceof Decimal128 ? distance(value, near) : 0n;
  out.push(off === 0n ? EXACT : off < 0n ? EXACT - 1 : EXACT + 1);
  if (off !== 0n) writeInt64(off, out);
}

const EXACT = 0x80;

/** How far an int64 or a decimal is from `near`, its nearest double, in 2^-62 of that double's last place. */
function distance(value: Long | Decimal128, near: number): bigint {
  if (!Number.isFinite(near) || (value instanceof Long && Number.isSafeInteger(near))) return 0n;
  const [, digits = '0', fraction = '', exponent = '0'] =
    /^(-?\d+)(?:\.(\d*))?(?:E([+-]?\d+))?$/.exec(String(value)) ?? [];
  // The number is n / d; the double is m * 2^e.
  let n = BigInt(digits + fraction);
  let d = 1n;
  const tens = Number(exponent) - fraction.length;
  if (tens >= 0) n *= 10n ** BigInt(tens);
  else d = 10n ** BigInt(-tens);
  scratch.setFloat64(0, near);
  const bits = scratch.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | (biased === 0 ? 0n : 1n << 52n);
  const m = near < 0 ? -mantissa : mantissa;
  const e = Math.max(biased, 1) - 1075;
  // (n / d - m * 2^e) * 2^(62 - e)
  const scaled = e < 62 ? (n << BigInt(62 - e)) / d : n / (d << BigInt(e - 62));
  return scaled - (m << 62n);
}

function writeInt64(value: bigint, out: Bytes): void {
  scratch.setBigInt64(0, value);
  writeScratch(out);
}

/** As an int64, without the BigInt, which takes longer than all else of a date. */
function writeMilliseconds(value: number, out: Bytes): void {
  const high = Math.floor(value / 2 ** 32);
  scratch.setInt32(0, high);
  scratch.setUint32(4, value - high * 2 ** 32);
  writeScratch(out);
}

function writeScratch(out: Bytes): void {
  for (let i = 0; i < 8; i++) out.push(i === 0 ? scratch.getUint8(i) ^ 0x80 : scratch.getUint8(i));
}

/** One field's bytes in an index: turned over when the field is indexed in descending order. */
export function encodeField(value: unknown, direction: 1 | -1): Uint8Array {
  key.length = 0;
  write(value, key);
  if (direction === -1) key.invert(0);
  return key.taken();
}

/** A field that is indexed, as the parts of its path, and its direction. */
export type IndexedField = readonly [path: readonly string[], direction: 1 | -1];

/** The only key that an index of `fields` has of a document; null where an array may make it several, and for a sparse index none. */
export function singleKey(
  document: Doc,
  fields: readonly IndexedField[],
  sparse: boolean,
): Uint8Array | null {
  key.length = 0;
  let present = false;
  for (const [path, direction] of fields) {
    let value: unknown = document;
    for (const part of path) {
      if (Array.isArray(value)) return null;
      value = value instanceof Doc ? value.get(part) : undefined;
    }
    if (Array.isArray(value)) return null;
    present ||= value !== undefined;
    const at = key.length;
    write(value, key);
    if (direction === -1) key.invert(at);
  }
  return present || !sparse ? key.taken() : null;
}

/** The first key that is not below any key that starts with `prefix`. */
export function afterPrefix(prefix: readonly number[]): Uint8Array {
  const bytes = [...prefix];
  while (bytes.length > 0 && bytes.at(-1) === 0xff) bytes.pop();
  if (bytes.length === 0) return new Uint8Array([0xff, 0xff]);
  bytes.push((bytes.pop() as number) + 1);
  return new Uint8Array(bytes);
}

/** Compares two values in MongoDB's order: below 0, 0, or above 0. */
export function compareValues(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b);
  if ((a instanceof Int32 || a instanceof Double) && (b instanceof Int32 || b instanceof Double)) {
    const [x, y] = [a.value, b.value];
    if (x === y) return 0;
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x < y ? -1 : 1;
  }
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0) return rank;
  if (a instanceof ObjectId && b instanceof ObjectId) return Buffer.compare(a.id, b.id);
  return Buffer.compare(encodeValue(a), encodeValue(b));
}

/** By code points, which is the order of the bytes in UTF-8; JavaScript's own `<` has surrogates in the wrong place. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number) => unit >= 0xd800 && unit < 0xe000;

export const isNaNValue = (value: unknown): boolean =>
  (value instanceof Double && Number.isNaN(value.value)) ||
  (value instanceof Decimal128 && String(value) === 'NaN');

/**
 * What an index holds of a document for the dotted `path`: the value there, or, where an array is on the way or at the
 * end, each element's (and the array itself). Nothing there: null.
 */
export function valuesAt(document: unknown, path: string): { values: unknown[]; many: boolean } {
  const values: unknown[] = [];
  let many = false;
  const walk = (value: unknown, parts: string[], depth: number): void => {
    if (depth === parts.length) {
      if (Array.isArray(value)) {
        many = true;
        values.push(...value, value);
        if (value.length === 0) values.push(EMPTY);
      } else values.push(value);
      return;
    }
    const part = parts[depth] as string;
    if (Array.isArray(value)) {
      many = true;
      if (isPlace(part) && Number(part) < value.length) walk(value[Number(part)], parts, depth + 1);
      for (const element of value) if (element instanceof Doc) walk(element, parts, depth);
      if (value.length === 0) values.push(undefined);
      return;
    }
    walk(value instanceof Doc ? value.get(part) : undefined, parts, depth + 1);
  };
  walk(document, path.split('.'), 0);
  if (values.length === 0) values.push(undefined);
  return { values, many };
}

/** Stands for the elements of an empty array, which sort below null. */
const EMPTY = Symbol('empty');

/** True for a part of a path that can name an element of an array. */
export const isPlace = (part: string) => /^(0|[1-9]\d*)$/.test(part);
