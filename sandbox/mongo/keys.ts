/**
 * Order-preserving keys: bytes that compare (as SQLite compares BLOBs) as MongoDB compares the values. They order
 * indexes, in-memory sorts and `compare`.
 *
 * A value is its type's rank, then:
 *
 *     number     8 bytes of the nearest double below, order-mapped; then 0, or 1 and what is left over (see `number`)
 *     string     UTF-8 with 00 written as 00 FF, ended by 00 00
 *     object     per field: rank, name, rest of the value; ended by 0, which is below every rank
 *     array      the values; ended by 0
 *     date...    big-endian with the sign bit flipped
 *
 * No key is the beginning of another, so keys of several fields can be strung together, and the key of a descending
 * field is the complement of its bytes.
 */
import {
  type Binary,
  type BSONRegExp,
  BSONSymbol,
  type Code,
  type Decimal128,
  type Document,
  Double,
  MISSING,
  type Missing,
  type Numeric,
  type ObjectId,
  type Opaque,
  Rank,
  rankOf,
  type Timestamp,
  type Value,
} from './values.ts';

let out = Buffer.allocUnsafeSlow(4096);
let at = 0;

function room(size: number): void {
  if (at + size <= out.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, at + size));
  out.copy(larger, 0, 0, at);
  out = larger;
}

/** The key of one value; nothing there counts as null, as in MongoDB's indexes. */
export function keyOf(value: Value | Missing): Buffer {
  at = 0;
  write(value === MISSING ? null : value);
  return Buffer.from(out.subarray(0, at));
}

/** The key of several values, each ascending (1) or descending (-1). */
export function compoundKey(values: readonly (Value | Missing)[], directions: readonly (1 | -1)[]): Buffer {
  at = 0;
  for (let i = 0; i < values.length; i++) {
    const start = at;
    const value = values[i] as Value | Missing;
    write(value === MISSING ? null : value);
    if (directions[i] === -1) for (let j = start; j < at; j++) out[j] = ~(out[j] as number);
  }
  return Buffer.from(out.subarray(0, at));
}

/** The first key after all keys that begin with `prefix`; undefined when there is none (all bytes FF). */
export function after(prefix: Uint8Array): Buffer | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return undefined;
  const next = Buffer.from(prefix.subarray(0, end));
  next[end - 1] = (next[end - 1] as number) + 1;
  return next;
}

/** The complement of every byte: the key of a descending field. */
export function complement(key: Uint8Array): Buffer {
  const flipped = Buffer.from(key);
  for (let i = 0; i < flipped.length; i++) flipped[i] = ~(flipped[i] as number);
  return flipped;
}

function write(value: Value): void {
  room(16);
  const rank = rankOf(value);
  out[at++] = rank;
  rest(value, rank);
}

function rest(value: Value, rank: number): void {
  room(16);
  switch (rank) {
    case Rank.number:
      return number(value as Numeric);
    case Rank.string:
      return text(value instanceof BSONSymbol ? value.value : (value as string));
    case Rank.object:
      for (const [key, item] of value as Document) {
        room(1);
        const inner = rankOf(item);
        out[at++] = inner;
        text(key);
        rest(item, inner);
      }
      room(1);
      out[at++] = 0;
      return;
    case Rank.array:
      for (const item of value as Value[]) write(item);
      room(1);
      out[at++] = 0;
      return;
    case Rank.binData: {
      const { buffer, position, sub_type } = value as Binary;
      room(position + 5);
      at = out.writeUInt32BE(position, at);
      out[at++] = sub_type;
      out.set(buffer.subarray(0, position), at);
      at += position;
      return;
    }
    case Rank.objectId:
      out.set((value as ObjectId).id, at);
      at += 12;
      return;
    case Rank.bool:
      out[at++] = value ? 1 : 0;
      return;
    case Rank.date:
      at = out.writeBigUInt64BE(BigInt((value as Date).getTime()) + (1n << 63n), at);
      return;
    case Rank.timestamp: {
      const stamp = value as Timestamp;
      at = out.writeUInt32BE(stamp.t, at);
      at = out.writeUInt32BE(stamp.i, at);
      return;
    }
    case Rank.regex: {
      const regex = value as BSONRegExp;
      text(regex.pattern);
      return text(regex.options);
    }
    case Rank.code:
      return text((value as Code).code);
    case Rank.dbPointer:
    case Rank.codeWithScope: {
      const { bytes } = value as Opaque;
      room(bytes.length + 4);
      at = out.writeUInt32BE(bytes.length, at);
      out.set(bytes, at);
      at += bytes.length;
    }
  }
}

function text(value: string): void {
  room(value.length * 6 + 2);
  const start = at;
  at += out.utf8Write(value, at);
  if (value.includes('\0')) {
    const plain = Buffer.from(out.subarray(start, at));
    at = start;
    for (const byte of plain) {
      out[at++] = byte;
      if (byte === 0) out[at++] = 0xff;
    }
  }
  out[at++] = 0;
  out[at++] = 0;
}

const scratch = new DataView(new ArrayBuffer(8));
const SIGN = 1n << 63n;

/** A double's bits as an unsigned number that grows with the double; NaN is below everything, -0 is 0. */
function orderedBits(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  scratch.setFloat64(0, value === 0 ? 0 : value);
  const bits = scratch.getBigUint64(0);
  return bits & SIGN ? BigInt.asUintN(64, ~bits) : bits | SIGN;
}

function double(value: number): void {
  if (Number.isNaN(value)) {
    out.fill(0, at, at + 8);
  } else {
    out.writeDoubleBE(value === 0 ? 0 : value, at);
    if ((out[at] as number) & 0x80) for (let i = 0; i < 8; i++) out[at + i] = ~(out[at + i] as number);
    else out[at] = (out[at] as number) | 0x80;
  }
  at += 8;
  out[at++] = 0;
}

function number(value: Numeric): void {
  if (typeof value === 'number') return double(value);
  if (value instanceof Double) return double(value.value);
  if (typeof value === 'bigint') {
    const near = Number(value);
    if (Number.isSafeInteger(near)) return double(near);
    return exact({ digits: value, exponent: 0 });
  }
  const decimal = parseDecimal(value);
  return typeof decimal === 'number' ? double(decimal) : exact(decimal);
}

/** digits × 10^exponent */
interface Decimal {
  digits: bigint;
  exponent: number;
}

/** A decimal's exact value, or NaN, Infinity, -Infinity. */
export function parseDecimal(value: Decimal128): Decimal | number {
  const found = /^([+-]?)(\d*)\.?(\d*)(?:E([+-]?\d+))?$/i.exec(value.toString());
  if (!found) return Number(value.toString());
  const [, sign, whole = '', fraction = '', exponent = '0'] = found;
  const digits = BigInt(`${whole}${fraction}` || '0');
  return { digits: sign === '-' ? -digits : digits, exponent: Number(exponent) - fraction.length };
}

const power10 = (n: number) => 10n ** BigInt(n);

/** The finite double as m × 2^e, exactly. */
function binary(value: number): { mantissa: bigint; exponent: number } {
  scratch.setFloat64(0, value);
  const bits = scratch.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  return { mantissa: value < 0 ? -mantissa : mantissa, exponent: (biased === 0 ? 1 : biased) - 1075 };
}

/** value - near, exactly; a double has a finite decimal form. */
function difference(value: Decimal, near: number): Decimal {
  const { mantissa, exponent } = binary(near);
  const nearDecimal: Decimal =
    exponent >= 0
      ? { digits: mantissa << BigInt(exponent), exponent: 0 }
      : { digits: mantissa * 5n ** BigInt(-exponent), exponent };
  const lowest = Math.min(value.exponent, nearDecimal.exponent);
  return {
    digits:
      value.digits * power10(value.exponent - lowest) -
      nearDecimal.digits * power10(nearDecimal.exponent - lowest),
    exponent: lowest,
  };
}

function doubleBelow(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  scratch.setFloat64(0, value);
  scratch.setBigInt64(0, scratch.getBigInt64(0) + (value > 0 ? -1n : 1n));
  return scratch.getFloat64(0);
}

/**
 * A number that need not be a double: the nearest double below it, then what is left over, which is never negative:
 * 1, its decimal exponent, its digits (each + 1), 0. Integers and decimals of equal value get equal keys.
 */
function exact(value: Decimal): void {
  if (value.digits === 0n) return double(0);
  let near = Number(`${value.digits}e${value.exponent}`);
  let left: Decimal;
  let bits: bigint;
  if (near === -Infinity) {
    // Below the lowest double: measured from -1e6200, which no decimal reaches, right above -Infinity's own key.
    left = difference({ digits: value.digits, exponent: value.exponent }, 0);
    left = { digits: left.digits * power10(left.exponent + 6200) + power10(12400), exponent: -6200 };
    bits = orderedBits(-Infinity);
  } else {
    if (near === Infinity) near = Number.MAX_VALUE;
    left = difference(value, near);
    if (left.digits < 0n) {
      near = doubleBelow(near);
      left = difference(value, near);
    }
    bits = orderedBits(near);
  }
  at = out.writeBigUInt64BE(bits, at);
  if (left.digits === 0n) {
    out[at++] = 0;
    return;
  }
  const digits = left.digits.toString();
  const significant = digits.replace(/0+$/, '');
  room(significant.length + 4);
  out[at++] = 1;
  at = out.writeUInt16BE(left.exponent + digits.length + 20000, at);
  for (let i = 0; i < significant.length; i++) out[at++] = significant.charCodeAt(i) - 47;
  out[at++] = 0;
}
