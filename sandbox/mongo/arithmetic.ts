/** Sums and products keep the wider type: int32, int64 (also when an int32 overflows), double, decimal. */
import { Decimal128, Double, Int32, Long } from 'bson';
import { badValue } from './errors.ts';

export const numberOf = (value: unknown): number =>
  value instanceof Int32 || value instanceof Double ? value.value : Number(String(value));

export const isNumber = (value: unknown): value is Int32 | Double | Long | Decimal128 =>
  value instanceof Int32 || value instanceof Double || value instanceof Long || value instanceof Decimal128;

/** An int32, or an int64 when it has to be one. Null: beyond 64 bits. */
export function wholeNumber(exact: bigint, wide: boolean): Int32 | Long | null {
  if (!wide && BigInt.asIntN(32, exact) === exact) return new Int32(Number(exact));
  return BigInt.asIntN(64, exact) === exact ? Long.fromBigInt(exact) : null;
}

interface Operation {
  whole(a: bigint, b: bigint): bigint;
  real(a: number, b: number): number;
  decimal(a: Scaled, b: Scaled): Scaled;
}

/** The number `digits` * 10^`tens`. */
interface Scaled {
  digits: bigint;
  tens: number;
}

const aligned = (work: (a: bigint, b: bigint) => bigint) => (a: Scaled, b: Scaled) => {
  const tens = Math.min(a.tens, b.tens);
  const at = (one: Scaled) => one.digits * 10n ** BigInt(one.tens - tens);
  return { digits: work(at(a), at(b)), tens };
};

const PLUS: Operation = {
  whole: (a, b) => a + b,
  real: (a, b) => a + b,
  decimal: aligned((a, b) => a + b),
};

const MINUS: Operation = {
  whole: (a, b) => a - b,
  real: (a, b) => a - b,
  decimal: aligned((a, b) => a - b),
};

const TIMES: Operation = {
  whole: (a, b) => a * b,
  real: (a, b) => a * b,
  decimal: (a, b) => ({ digits: a.digits * b.digits, tens: a.tens + b.tens }),
};

/** Null: both are integers, and the result is beyond 64 bits. */
function combined(operation: Operation, a: unknown, b: unknown): unknown {
  if (a instanceof Int32 && b instanceof Int32) {
    const sum = operation.real(a.value, b.value);
    if ((sum | 0) === sum) return new Int32(sum);
  }
  if (a instanceof Decimal128 || b instanceof Decimal128) return decimal(operation, String(a), String(b));
  if (a instanceof Double || b instanceof Double) return new Double(operation.real(numberOf(a), numberOf(b)));
  const wide = a instanceof Long || b instanceof Long;
  return wholeNumber(operation.whole(BigInt(String(a)), BigInt(String(b))), wide);
}

function decimal(operation: Operation, a: string, b: string): Decimal128 {
  const [x, y] = [scaled(a), scaled(b)];
  if (!x || !y) return Decimal128.fromString(String(operation.real(Number(a), Number(b))));
  const { digits, tens } = operation.decimal(x, y);
  return Decimal128.fromStringWithRounding(`${digits}E${tens}`);
}

/** Null for what is not finite. */
function scaled(text: string): Scaled | null {
  const [, digits, fraction = '', exponent = '0'] =
    /^(-?\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (digits === undefined) return null;
  return { digits: BigInt(digits + fraction), tens: Number(exponent) - fraction.length };
}

/** An expression goes on with a double where integers do not fit 64 bits. */
const orDouble = (operation: Operation) => (a: unknown, b: unknown) =>
  combined(operation, a, b) ?? new Double(operation.real(numberOf(a), numberOf(b)));

export const add = orDouble(PLUS);
export const subtract = orDouble(MINUS);
export const multiply = orDouble(TIMES);

/** An update refuses it. */
export function exactly(operator: '$inc' | '$mul', a: unknown, b: unknown): unknown {
  const result = combined(operator === '$inc' ? PLUS : TIMES, a, b);
  if (result !== null) return result;
  throw badValue(
    `Failed to apply ${operator} operations to current value ((NumberLong)${String(a)}) for document`,
  );
}
