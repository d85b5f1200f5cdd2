/** Sums and products keep the wider type: int32, int64 (also when an int32 overflows), double, decimal. */
import { Decimal128, Double, Int32, Long } from 'bson';
import { badValue } from './errors.ts';

export const numberOf = (value: unknown): number => Number(String(value));

export const isNumber = (value: unknown): value is Int32 | Double | Long | Decimal128 =>
  value instanceof Int32 || value instanceof Double || value instanceof Long || value instanceof Decimal128;

/** An int32, or an int64 when it has to be one. Null: beyond 64 bits. */
export function wholeNumber(exact: bigint, wide: boolean): Int32 | Long | null {
  if (!wide && BigInt.asIntN(32, exact) === exact) return new Int32(Number(exact));
  return BigInt.asIntN(64, exact) === exact ? Long.fromBigInt(exact) : null;
}

export const add = (a: unknown, b: unknown) =>
  combined(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
  ) ?? new Double(numberOf(a) + numberOf(b));

export const subtract = (a: unknown, b: unknown) =>
  combined(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
  ) ?? new Double(numberOf(a) - numberOf(b));

export const multiply = (a: unknown, b: unknown) =>
  combined(
    a,
    b,
    (x, y) => x * y,
    (x, y) => x * y,
  ) ?? new Double(numberOf(a) * numberOf(b));

/** `$inc` and `$mul` refuse what does not fit 64 bits, where an expression goes on with a double. */
export function exactly(operator: '$inc' | '$mul', a: unknown, b: unknown): unknown {
  const result =
    operator === '$inc'
      ? combined(
          a,
          b,
          (x, y) => x + y,
          (x, y) => x + y,
        )
      : combined(
          a,
          b,
          (x, y) => x * y,
          (x, y) => x * y,
        );
  if (result === null)
    throw badValue(`Failed to apply ${operator} operations to current value ((NumberLong)${String(a)})`);
  return result;
}

function combined(
  a: unknown,
  b: unknown,
  whole: (a: bigint, b: bigint) => bigint,
  real: (a: number, b: number) => number,
): unknown {
  if (a instanceof Decimal128 || b instanceof Decimal128) return decimal(a, b, whole, real);
  if (a instanceof Double || b instanceof Double) return new Double(real(numberOf(a), numberOf(b)));
  return wholeNumber(whole(BigInt(String(a)), BigInt(String(b))), a instanceof Long || b instanceof Long);
}

/** Decimals that are whole numbers are combined exactly, others with a double's precision. */
function decimal(
  a: unknown,
  b: unknown,
  whole: (a: bigint, b: bigint) => bigint,
  real: (a: number, b: number) => number,
): Decimal128 {
  const texts = [String(a), String(b)] as const;
  if (texts.every((text) => /^-?\d{1,16}$/.test(text)))
    return Decimal128.fromString(String(whole(BigInt(texts[0]), BigInt(texts[1]))));
  return Decimal128.fromString(String(real(Number(texts[0]), Number(texts[1]))));
}
