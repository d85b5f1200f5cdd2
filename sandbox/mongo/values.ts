/**
 * The values of a document, as the server holds them while it works on one.
 *
 * Plain JavaScript values are not enough: an object sorts keys that look like numbers (`links: {"10": ..., "9": ...}`)
 * and one number type cannot tell 1 from 1.0 or from the 64-bit 1. So a document is a Map, which keeps the order of
 * its keys, and each BSON type has one representation:
 *
 *     int32 number (always an int32)    int64 bigint    double Double    decimal Decimal128
 *     document Map    array Array    null null    undefined (deprecated) undefined    date Date
 *
 * and the classes of `bson` for the rest.
 */
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'bson';
import { badValue } from './errors.ts';

export { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Double, MaxKey, MinKey, ObjectId, Timestamp };

/** A deprecated type that nobody computes with (DBPointer, code with scope): its bytes, kept as they came. */
export class Opaque {
  constructor(
    readonly type: number,
    readonly bytes: Uint8Array,
  ) {}
}

/** An encoded document that goes into a reply as it is. */
export class Raw {
  constructor(readonly bytes: Uint8Array) {}
}

export type Document = Map<string, Value>;
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | Double
  | Decimal128
  | ObjectId
  | Binary
  | Timestamp
  | BSONRegExp
  | BSONSymbol
  | Code
  | MinKey
  | MaxKey
  | Opaque
  | Raw
  | Document
  | Value[];

/** What a path that leads nowhere gives; not the same as null or undefined, which are values. */
export const MISSING = Symbol('missing');
export type Missing = typeof MISSING;

export type Numeric = number | bigint | Double | Decimal128;

/** BSON's type numbers. */
export const Type = {
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binData: 5,
  undefined: 6,
  objectId: 7,
  bool: 8,
  date: 9,
  null: 10,
  regex: 11,
  dbPointer: 12,
  javascript: 13,
  symbol: 14,
  javascriptWithScope: 15,
  int: 16,
  timestamp: 17,
  long: 18,
  decimal: 19,
  minKey: -1,
  maxKey: 127,
} as const;

export type TypeName = keyof typeof Type;
const nameOfType = new Map<number, TypeName>(Object.entries(Type).map(([name, n]) => [n, name as TypeName]));

/** The BSON type number of a value. */
export function typeOf(value: Value): number {
  switch (typeof value) {
    case 'number':
      return Type.int;
    case 'string':
      return Type.string;
    case 'boolean':
      return Type.bool;
    case 'bigint':
      return Type.long;
    case 'undefined':
      return Type.undefined;
  }
  if (value === null) return Type.null;
  if (value instanceof Map || value instanceof Raw) return Type.object;
  if (Array.isArray(value)) return Type.array;
  if (value instanceof Date) return Type.date;
  if (value instanceof Double) return Type.double;
  if (value instanceof ObjectId) return Type.objectId;
  if (value instanceof Binary) return Type.binData;
  if (value instanceof Decimal128) return Type.decimal;
  if (value instanceof Timestamp) return Type.timestamp;
  if (value instanceof BSONRegExp) return Type.regex;
  if (value instanceof BSONSymbol) return Type.symbol;
  if (value instanceof Code) return Type.javascript;
  if (value instanceof MinKey) return Type.minKey;
  if (value instanceof MaxKey) return Type.maxKey;
  return value.type;
}

/** The name that `$type` and error messages use: `int`, `objectId`, `missing`. */
export function typeNameOf(value: Value | Missing): string {
  return value === MISSING ? 'missing' : (nameOfType.get(typeOf(value)) as string);
}

/** Type numbers in MongoDB's comparison order; types that compare with each other share one. */
export const Rank = {
  minKey: 1,
  undefined: 3,
  null: 5,
  number: 10,
  string: 15,
  object: 20,
  array: 25,
  binData: 30,
  objectId: 35,
  bool: 40,
  date: 45,
  timestamp: 47,
  regex: 50,
  dbPointer: 55,
  code: 60,
  codeWithScope: 65,
  maxKey: 127,
} as const;

const rankOfType: Record<number, number> = {
  [Type.minKey]: Rank.minKey,
  [Type.undefined]: Rank.undefined,
  [Type.null]: Rank.null,
  [Type.double]: Rank.number,
  [Type.int]: Rank.number,
  [Type.long]: Rank.number,
  [Type.decimal]: Rank.number,
  [Type.string]: Rank.string,
  [Type.symbol]: Rank.string,
  [Type.object]: Rank.object,
  [Type.array]: Rank.array,
  [Type.binData]: Rank.binData,
  [Type.objectId]: Rank.objectId,
  [Type.bool]: Rank.bool,
  [Type.date]: Rank.date,
  [Type.timestamp]: Rank.timestamp,
  [Type.regex]: Rank.regex,
  [Type.dbPointer]: Rank.dbPointer,
  [Type.javascript]: Rank.code,
  [Type.javascriptWithScope]: Rank.codeWithScope,
  [Type.maxKey]: Rank.maxKey,
};

/** Where a value's type stands in MongoDB's comparison order. */
export function rankOf(value: Value): number {
  return rankOfType[typeOf(value)] as number;
}

export const isDocument = (v: Value | Missing): v is Document => v instanceof Map;
export const isNumeric = (v: Value | Missing): v is Numeric =>
  typeof v === 'number' || typeof v === 'bigint' || v instanceof Double || v instanceof Decimal128;

/** A JavaScript number for any numeric value; large int64 and decimals are rounded. */
export function toNumber(value: Numeric): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Double ? value.value : Number(value.toString());
}

const INT32_MAX = 2147483647;
const INT64_MAX = 9223372036854775807n;
export const fitsInt32 = (n: number) => Number.isInteger(n) && n >= -INT32_MAX - 1 && n <= INT32_MAX;
export const fitsInt64 = (n: bigint) => n >= -INT64_MAX - 1n && n <= INT64_MAX;

/** An integer in the narrowest of int32 and int64; a fraction or a number beyond int64 as a double. */
export function integer(n: number): Value {
  if (fitsInt32(n) && !Object.is(n, -0)) return n;
  return Number.isSafeInteger(n) && !Object.is(n, -0) ? BigInt(n) : new Double(n);
}

/** A command's whole-number parameter, of whatever numeric type; `fallback` when absent. */
export function wholeNumber(value: Value, name: string, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  if (!isNumeric(value)) {
    throw badValue(`Field '${name}' must be a number, not ${typeNameOf(value)}`);
  }
  return Math.trunc(toNumber(value));
}

/** How MongoDB reads a boolean parameter: numbers are true unless zero, null and nothing are false. */
export function truthy(value: Value | Missing): boolean {
  if (value === MISSING || value === null || value === undefined || value === false) return false;
  return !isNumeric(value) || toNumber(value) !== 0;
}

/** A document from plain keys and values, for replies and defaults. */
export function documentOf(fields: Record<string, Value>): Document {
  return new Map(Object.entries(fields));
}

/** A deep copy of documents and arrays; other values are never changed in place and are shared. */
export function clone<T extends Value>(value: T): T {
  if (value instanceof Map) {
    const copy: Document = new Map();
    for (const [key, item] of value) copy.set(key, clone(item));
    return copy as T;
  }
  return Array.isArray(value) ? (value.map(clone) as T) : value;
}
