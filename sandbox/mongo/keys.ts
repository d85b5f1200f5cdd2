/**
 * Index keys whose bytes sort as MongoDB sorts the values: first by type, then by value.
 * https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 *
 * A key is the encoding of each indexed field, one after the other; no encoding is the prefix of another, so that the
 * keys of an equality on the first fields are one range of bytes.
 */
import { type Binary, Decimal128, Double, Int32, Long, type ObjectId, type Timestamp } from 'bson';

/** One byte for each group of types that compare with each other. */
const RANK = {
  minKey: 0x01,
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
  if (value instanceof RegExp) return RANK.regex;
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

/** The bytes of one value. */
export function encodeValue(value: unknown): number[] {
  const out: number[] = [];
  write(value, out);
  return out;
}

function write(value: unknown, out: number[]): void {
  const rank = rankOf(value);
  out.push(rank);
  switch (rank) {
    case RANK.number:
      return writeNumber(value, out);
    case RANK.string:
      return writeBytes(utf8.encode(typeof value === 'string' ? value : String(value)), out);
    case RANK.boolean:
      out.push(value ? 1 : 0);
      return;
    case RANK.date:
      return writeInt64(BigInt((value as Date).getTime() || 0), out);
    case RANK.timestamp:
      return writeInt64((value as Timestamp).toBigInt(), out);
    case RANK.objectId:
      out.push(...(value as ObjectId).id);
      return;
    case RANK.binary: {
      const binary = value as Binary;
      writeInt64(BigInt(binary.length()), out);
      out.push(binary.sub_type);
      return writeBytes(binary.value(), out);
    }
    case RANK.regex:
      return writeBytes(utf8.encode(String(value)), out);
    case RANK.array:
      for (const element of value as unknown[]) write(element, out);
      out.push(0);
      return;
    case RANK.object:
      for (const [key, inner] of Object.entries(value as object)) {
        if (inner === undefined) continue;
        out.push(rankOf(inner));
        writeBytes(utf8.encode(key), out);
        write(inner, out);
      }
      out.push(0);
  }
}

/** Bytes with an end: 0x00 becomes 0x00 0xFF, and 0x00 0x01 ends, which sorts before every continuation. */
function writeBytes(bytes: Uint8Array, out: number[]): void {
  for (const byte of bytes) {
    out.push(byte);
    if (byte === 0) out.push(0xff);
  }
  out.push(0, 1);
}

const scratch = new DataView(new ArrayBuffer(8));

/** The nearest double with its sign folded in, then how far the exact integer is from that double. */
function writeNumber(value: unknown, out: number[]): void {
  let near: number;
  let off = 0n;
  const exact = value instanceof Long ? value.toBigInt() : typeof value === 'bigint' ? value : null;
  if (exact !== null) {
    near = Number(exact);
    off = exact - BigInt(near);
  } else if (value instanceof Int32 || value instanceof Double) near = value.value;
  else if (value instanceof Decimal128) near = Number(value.toString());
  else near = value as number;
  // NaN sorts before all other numbers; -0 equals 0.
  if (Number.isNaN(near)) {
    for (let i = 0; i < 10; i++) out.push(0);
    return;
  }
  scratch.setFloat64(0, near === 0 ? 0 : near);
  const negative = near < 0;
  for (let i = 0; i < 8; i++) {
    const byte = scratch.getUint8(i);
    out.push(negative ? byte ^ 0xff : i === 0 ? byte ^ 0x80 : byte);
  }
  // A double is at most 512 away from the 64-bit integer that it stands for.
  const shifted = Number(off) + 0x8000;
  out.push(shifted >> 8, shifted & 0xff);
}

function writeInt64(value: bigint, out: number[]): void {
  scratch.setBigInt64(0, value);
  for (let i = 0; i < 8; i++) out.push(i === 0 ? scratch.getUint8(i) ^ 0x80 : scratch.getUint8(i));
}

/** One field's bytes in an index: turned over when the field is indexed in descending order. */
export function encodeField(value: unknown, direction: 1 | -1): number[] {
  const bytes = encodeValue(value);
  return direction === 1 ? bytes : bytes.map((byte) => byte ^ 0xff);
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
  if (typeof a === 'number' && typeof b === 'number' && a !== b && !Number.isNaN(a) && !Number.isNaN(b))
    return a < b ? -1 : 1;
  return Buffer.compare(new Uint8Array(encodeValue(a)), new Uint8Array(encodeValue(b)));
}

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
        if (value.length === 0) values.push(undefined);
      } else values.push(value);
      return;
    }
    const part = parts[depth] as string;
    if (Array.isArray(value)) {
      many = true;
      if (/^\d+$/.test(part) && Number(part) < value.length) walk(value[Number(part)], parts, depth + 1);
      for (const element of value) if (isDocument(element)) walk(element, parts, depth);
      if (value.length === 0) values.push(undefined);
      return;
    }
    walk(isDocument(value) ? (value as Record<string, unknown>)[part] : undefined, parts, depth + 1);
  };
  walk(document, path.split('.'), 0);
  if (values.length === 0) values.push(undefined);
  return { values, many };
}

/** True for an embedded document; false for arrays, null and BSON's own classes. */
export function isDocument(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Date) && !(value instanceof RegExp) && !('_bsontype' in value);
}
