/**
 * BSON values that keep their type. Python wrote most of what is in a LaunchPad, and to Python 1 and 1.0, or a 64-bit
 * integer and its rounded neighbour, are not the same: what is copied from one document to another, or to the Python
 * bridge, is read with Int32, Double and Long left as they are.
 */
import { type Double, type Int32, Long } from 'bson';

export type Doc = Record<string, unknown>;

/** Driver options for reading documents whose values will be written again, or shown. */
export const TYPED = { promoteValues: false, promoteLongs: false, promoteBuffers: false } as const;

const bsonType = (value: unknown) => (value as { _bsontype?: string } | null | undefined)?._bsontype;

// By name, not by class: the driver loads a copy of bson of its own, whose classes are not ours.
export const isInt32 = (value: unknown): value is Int32 => bsonType(value) === 'Int32';
export const isDouble = (value: unknown): value is Double => bsonType(value) === 'Double';
export const isLong = (value: unknown): value is Long => bsonType(value) === 'Long';

/** True for a dictionary; false for arrays, null, dates and BSON's own classes. */
export function isDoc(value: unknown): value is Doc {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Date) && !(value instanceof RegExp) && !('_bsontype' in value);
}

/** The value with JavaScript's own numbers: integers beyond 2^53 become bigint, the rest number. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (isDoc(value)) return mapValues(value, plain);
  if (isInt32(value) || isDouble(value)) return value.value;
  if (isLong(value)) {
    const number = value.toNumber();
    return Number.isSafeInteger(number) ? number : value.toBigInt();
  }
  return value;
}

/** `plain` of a dictionary. */
export function plainDoc(doc: Doc): Doc {
  return plain(doc) as Doc;
}

/**
 * What the driver must write for a value made in JavaScript: integers as integers whatever their size (the driver alone
 * would make a double of anything beyond 32 bits), undefined left out.
 */
export function typed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(typed);
  if (typeof value === 'bigint') return Long.fromBigInt(value);
  if (typeof value === 'number' && Number.isSafeInteger(value) && (value | 0) !== value)
    return Long.fromNumber(value);
  if (isDoc(value)) return mapValues(value, typed);
  return value;
}

/** A number that is known to be an integer (an id, a count), from whatever BSON made of it. */
export function numberOf(value: unknown): number {
  return Number(plain(value));
}

function mapValues(doc: Doc, change: (value: unknown) => unknown): Doc {
  const to: Doc = {};
  for (const [key, value] of Object.entries(doc)) if (value !== undefined) setKey(to, key, change(value));
  return to;
}

/** Sets a key as data: `__proto__` in a document is a name like any other. */
export function setKey(doc: Doc, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(doc, key, { value, enumerable: true, configurable: true, writable: true });
  else doc[key] = value;
}

/** A deep copy of dictionaries and lists; BSON's values are never changed in place and are shared. */
export function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  return isDoc(value) ? (mapValues(value, copy) as T) : value;
}

/** The time as FireWorks stores it in Fireworks and launches: an ISO string in UTC with microseconds and +00:00. */
export function isoTime(at: Date = new Date()): string {
  // Python's isoformat leaves a fraction of 0 out, and its lpad shows what it has parsed: so nothing else may be stored.
  return at.toISOString().replace('Z', '000+00:00').replace('.000000', '');
}

/** The time in a FireWorks date string, which may have an offset or none (then it is UTC), or a BSON date. */
export function timeOf(value: unknown): Date | null {
  if (value instanceof Date) return value;
  if (typeof value !== 'string') return null;
  const withZone = /(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`;
  const at = new Date(withZone.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(at.getTime()) ? null : at;
}
