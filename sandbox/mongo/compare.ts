/** MongoDB's comparison order across all types. */
import { keyOf } from './keys.ts';
import {
  type Binary,
  BSONSymbol,
  Decimal128,
  type Document,
  Double,
  MISSING,
  type Missing,
  type Numeric,
  Rank,
  rankOf,
  type Value,
} from './values.ts';

/** Negative, zero or positive as `a` comes before, with or after `b`. Nothing there counts as null. */
export function compare(a: Value | Missing, b: Value | Missing): number {
  const left = a === MISSING ? null : a;
  const right = b === MISSING ? null : b;
  if (left === right) return 0;
  const rank = rankOf(left);
  const other = rankOf(right);
  return rank !== other ? rank - other : compareSame(left, right, rank);
}

export const equal = (a: Value | Missing, b: Value | Missing) => compare(a, b) === 0;

function compareSame(a: Value, b: Value, rank: number): number {
  switch (rank) {
    case Rank.undefined:
    case Rank.null:
    case Rank.minKey:
    case Rank.maxKey:
      return 0;
    case Rank.number:
      return compareNumbers(a as Numeric, b as Numeric);
    case Rank.string:
      return compareText(textOf(a), textOf(b));
    case Rank.object:
      return compareDocuments(a as Document, b as Document);
    case Rank.array:
      return compareArrays(a as Value[], b as Value[]);
    case Rank.bool:
      return Number(a) - Number(b);
    case Rank.date:
      return (a as Date).getTime() - (b as Date).getTime();
    case Rank.binData: {
      const x = a as Binary;
      const y = b as Binary;
      if (x.position !== y.position) return x.position - y.position;
      if (x.sub_type !== y.sub_type) return x.sub_type - y.sub_type;
      return Buffer.compare(x.buffer.subarray(0, x.position), y.buffer.subarray(0, y.position));
    }
    default:
      return Buffer.compare(keyOf(a), keyOf(b));
  }
}

const textOf = (v: Value) => (v instanceof BSONSymbol ? v.value : (v as string));

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything that is not above U+D7FF
const plainText = /^[\u0000-\ud7ff]*$/;

/** By UTF-8 bytes; JavaScript compares UTF-16 units, which differs only when one text has characters above U+D7FF. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  if (plainText.test(a) && plainText.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareNumbers(a: Numeric, b: Numeric): number {
  if (a instanceof Decimal128 || b instanceof Decimal128) return Buffer.compare(keyOf(a), keyOf(b));
  const x = a instanceof Double ? a.value : a;
  const y = b instanceof Double ? b.value : b;
  // JavaScript compares a bigint with a number exactly. NaN is below every number and equal to itself.
  if (x < y) return -1;
  if (x > y) return 1;
  // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1 is the comparison meant
  if (x == y) return 0;
  return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
}

function compareDocuments(a: Document, b: Document): number {
  const right = b.entries();
  for (const [key, value] of a) {
    const next = right.next();
    if (next.done) return 1;
    const [otherKey, otherValue] = next.value;
    const rank = rankOf(value);
    const otherRank = rankOf(otherValue);
    if (rank !== otherRank) return rank - otherRank;
    const byKey = compareText(key, otherKey);
    if (byKey !== 0) return byKey;
    const byValue = compareSame(value, otherValue, rank);
    if (byValue !== 0) return byValue;
  }
  return a.size - b.size;
}

function compareArrays(a: Value[], b: Value[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
