/**
 * Aggregation expressions on values that keep their BSON type: an int32 and an int32 add up to an int32, an average is a
 * double. Those that FireWorks, `lpad` and people at a shell use; another is refused as MongoDB refuses one it does not know.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation/
 */
import { BSONRegExp, Decimal128, Double, Int32, Long, ObjectId } from 'bson';
import { add, isNumber, multiply, numberOf, subtract, wholeNumber } from './arithmetic.ts';
import { Doc, isAscii, regex } from './document.ts';
import { MongoAnswer } from './errors.ts';
import { compareValues, encodeValue } from './keys.ts';
import { typeName } from './types.ts';

export interface Scope {
  /** `$$ROOT`, whose fields `$name` means. */
  root: unknown;
  vars: Readonly<Record<string, unknown>>;
}

/** Undefined: there is no such field. */
export type Evaluate = (scope: Scope) => unknown;

type Build = (operand: unknown, name: string) => Evaluate;

export const located = (code: number, message: string) => new MongoAnswer(code, `Location${code}`, message);

/** Compiles an expression. Throws MongoDB's error for an operator that is not known. */
export function expression(spec: unknown): Evaluate {
  if (typeof spec === 'string' && spec.startsWith('$')) return path(spec);
  if (Array.isArray(spec)) {
    if (spec.every(isConstant)) return () => spec;
    const parts = spec.map(expression);
    return (scope) => parts.map((part) => part(scope) ?? null);
  }
  if (!(spec instanceof Doc)) return () => spec;
  const [name] = spec.keys();
  if (name?.startsWith('$')) {
    if (spec.size !== 1)
      throw located(
        15983,
        `An object representing an expression must have exactly one field: ${spec.keys().join(', ')}`,
      );
    const build = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
    if (!build) throw new MongoAnswer(168, 'InvalidPipelineOperator', `Unrecognized expression '${name}'`);
    return build(spec.get(name), name);
  }
  const fields = fieldExpressions(spec);
  return (scope) => {
    const result = new Doc();
    for (const [key, evaluate] of fields) {
      const value = evaluate(scope);
      if (value !== undefined) result.set(key, value);
    }
    return result;
  };
}

/** Of a document that is no operator: what each of its fields is. */
export const fieldExpressions = (spec: Doc): (readonly [string, Evaluate])[] =>
  [...spec.entries()].map(([key, value]) => [key, expression(value)] as const);

const isConstant = (spec: unknown) =>
  typeof spec === 'string' ? !spec.startsWith('$') : !Array.isArray(spec) && !(spec instanceof Doc);

function path(spec: string): Evaluate {
  if (spec.startsWith('$$')) {
    const [name = '', ...parts] = spec.slice(2).split('.');
    return (scope) => {
      if (name === 'REMOVE') return undefined;
      if (name === 'NOW') return follow(new Date(), parts);
      if (name === 'ROOT' || (name === 'CURRENT' && !('CURRENT' in scope.vars)))
        return follow(scope.root, parts);
      if (!(name in scope.vars)) throw located(17276, `Use of undefined variable: ${name}`);
      return follow(scope.vars[name], parts);
    };
  }
  const parts = spec.slice(1).split('.');
  if (parts.some((part) => part === ''))
    throw located(15998, 'FieldPath field names may not be empty strings.');
  return (scope) => follow(scope.root, parts);
}

/** The value at a path; of an array the values in its documents. A number in a path names no element here. */
function follow(value: unknown, parts: readonly string[], depth = 0): unknown {
  if (depth === parts.length) return value;
  if (value instanceof Doc) return follow(value.get(parts[depth] as string), parts, depth + 1);
  if (!Array.isArray(value)) return undefined;
  return value.map((element) => follow(element, parts, depth)).filter((found) => found !== undefined);
}

export function truthy(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  return !isNumber(value) || Number(String(value)) !== 0;
}

const nothing = (value: unknown): value is null | undefined => value === null || value === undefined;

/** An operator of a fixed number of arguments, which may stand alone where there is one. */
function of(least: number, most: number, work: (args: unknown[], name: string) => unknown): Build {
  return (operand, name) => {
    const given = Array.isArray(operand) ? operand : [operand];
    if (given.length < least || given.length > most) {
      const wanted = least === most ? `exactly ${least}` : `at least ${least} and at most ${most}`;
      throw located(16020, `Expression ${name} takes ${wanted} arguments. ${given.length} were passed in.`);
    }
    const [first, second, ...more] = given.map(expression);
    // Most have one argument or two, and are asked of every element of an array.
    if (!first) return () => work([], name);
    if (!second) return (scope) => work([first(scope)], name);
    if (more.length === 0) return (scope) => work([first(scope), second(scope)], name);
    const args = [first, second, ...more];
    return (scope) => {
      const values = args.map((arg) => arg(scope));
      return work(values, name);
    };
  };
}

const one = (work: (value: unknown, name: string) => unknown) =>
  of(1, 1, ([value], name) => work(value, name));
const many = (work: (values: unknown[], name: string) => unknown) => of(0, Number.POSITIVE_INFINITY, work);

/** One whose arguments after the one that decides are not looked at. */
const untilSure =
  (work: (parts: readonly Evaluate[], scope: Scope) => boolean): Build =>
  (operand) => {
    const parts = (Array.isArray(operand) ? operand : [operand]).map(expression);
    return (scope) => work(parts, scope);
  };

/** Null when an argument is null or missing. */
const strict = (least: number, most: number, work: (args: never[], name: string) => unknown) =>
  of(least, most, (args, name) => (args.some(nothing) ? null : work(args as never[], name)));

const compared = (holds: (order: number) => boolean) => of(2, 2, ([a, b]) => holds(compareValues2(a, b)));
/** In expressions a missing field is below null. */
function compareValues2(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  return compareValues(a, b);
}

function numeric(value: unknown, name: string): number {
  if (!isNumber(value)) throw located(28765, `${name} only supports numeric types, not ${typeName(value)}`);
  return numberOf(value);
}

/** A function of doubles whose result is one; of decimals too, with a double's precision. */
const real = (work: (value: number) => number) =>
  strict(1, 1, ([value], name) => new Double(work(numeric(value, name))));

/** A function that keeps whole numbers as they are. */
const rounding = (work: (value: number) => number) =>
  strict(1, 2, ([value, places]: unknown[], name) => {
    if (value instanceof Int32 || value instanceof Long) {
      if (places === undefined || numberOf(places) >= 0) return value;
      const unit = 10 ** -numberOf(places);
      return wholeNumber(BigInt(work(numberOf(value) / unit) * unit), value instanceof Long);
    }
    const number = numeric(value, name);
    if (!Number.isFinite(number)) return value;
    const by = nothing(places) ? 0 : numberOf(places);
    // Through the decimal text, so that 1.005 * 100 does not become 100.49999.
    return new Double(Number(`${work(Number(`${number}e${by}`))}e${-by}`));
  });

function halfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

const stringOf = (value: unknown, name: string): string => {
  if (nothing(value)) return '';
  if (typeof value === 'string') return value;
  if (isNumber(value) || value instanceof Date) return textOf(value) as string;
  throw located(16007, `can't convert from BSON type ${typeName(value)} to String (${name})`);
};

const arrayOf = (value: unknown, name: string, code: number): unknown[] => {
  if (!Array.isArray(value))
    throw located(code, `The argument to ${name} must be an array, but was of type: ${typeName(value)}`);
  return value;
};

/** Fields of an operator that takes a document of arguments. */
function named(
  fields: readonly string[],
  work: (args: Record<string, unknown>, name: string, scope: Scope) => unknown,
): Build {
  return (operand, name) => {
    if (!(operand instanceof Doc)) throw located(28646, `${name} only supports an object as its argument`);
    const stranger = operand.keys().find((key) => !fields.includes(key));
    if (stranger) throw located(28647, `Unrecognized parameter to ${name}: ${stranger}`);
    const args = [...operand.entries()].map(([key, value]) => [key, expression(value)] as const);
    return (scope) => work(Object.fromEntries(args.map(([key, arg]) => [key, arg(scope)])), name, scope);
  };
}

function object(value: unknown, name: string): Doc {
  if (!(value instanceof Doc)) throw located(28646, `${name} only supports an object as its argument`);
  return value;
}

function listed(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw located(40060, `${name} expected an array, found: ${typeName(value)}`);
  return value;
}

function parameter(operand: unknown, name: string, field: string, otherwise?: unknown): unknown {
  if (!(operand instanceof Doc)) throw located(28646, `${name} only supports an object as its argument`);
  const value = operand.get(field) ?? otherwise;
  if (value === undefined) throw located(28648, `Missing '${field}' parameter to ${name}`);
  return value;
}

/** The same for values that are equal to MongoDB. A string, of which most sets are made, stands for itself. */
const identity = (value: unknown): string =>
  typeof value === 'string' ? `'${value}` : encodeValue(value).join();

/** Each value once, in order. */
export function distinctValues(values: readonly unknown[]): unknown[] {
  const distinct = new Map<string, unknown>();
  for (const value of values) {
    const same = identity(value);
    if (!distinct.has(same)) distinct.set(same, value);
  }
  return [...distinct.values()].sort(compareValues);
}

/** Looks a value up in a list by MongoDB's equality. */
function lookup(values: readonly unknown[]): (value: unknown) => boolean {
  const known = new Set(values.map(identity));
  return (value) => known.has(identity(value));
}

function sum(values: readonly unknown[]): unknown {
  return values.filter(isNumber).reduce((total, value) => add(total, value), new Int32(0) as unknown);
}

function average(values: readonly unknown[]): unknown {
  const numbers = values.filter(isNumber);
  return numbers.length === 0 ? null : new Double(numberOf(sum(numbers)) / numbers.length);
}

export function extreme(values: readonly unknown[], direction: 1 | -1): unknown {
  const present = values.filter((value) => !nothing(value));
  if (present.length === 0) return null;
  return present.reduce((best, value) => (direction * compareValues(value, best) > 0 ? value : best));
}

/** `$sum` and its like outside `$group`: over the elements of the one argument that is an array, or over the arguments. */
const folded = (work: (values: unknown[]) => unknown) =>
  many((values) => work(values.length === 1 && Array.isArray(values[0]) ? values[0] : values));

const pad = (value: number, width: number) => String(value).padStart(width, '0');

function formatDate(date: Date, format: string): string {
  return format.replaceAll(/%(.)/g, (_, letter: string) => {
    switch (letter) {
      case 'Y':
        return pad(date.getUTCFullYear(), 4);
      case 'm':
        return pad(date.getUTCMonth() + 1, 2);
      case 'd':
        return pad(date.getUTCDate(), 2);
      case 'H':
        return pad(date.getUTCHours(), 2);
      case 'M':
        return pad(date.getUTCMinutes(), 2);
      case 'S':
        return pad(date.getUTCSeconds(), 2);
      case 'L':
        return pad(date.getUTCMilliseconds(), 3);
      case 'z':
        return '+0000';
      case 'Z':
        return '+000';
      case '%':
        return '%';
    }
    throw located(18536, `Invalid format character '%${letter}' in format string`);
  });
}

function utcOnly(timezone: unknown): void {
  if (!nothing(timezone) && !['UTC', 'GMT', 'Z', '+00:00', '+0000', '+00'].includes(String(timezone)))
    throw located(40485, `unrecognized time zone identifier: "${String(timezone)}"`);
}

function dateOf(value: unknown): Date {
  if (value instanceof Date) return value;
  if (value instanceof ObjectId) return value.getTimestamp();
  throw located(16006, `can't convert from BSON type ${typeName(value)} to Date`);
}

const datePart = (work: (date: Date) => number): Build => {
  return (operand) => {
    const fields = operand instanceof Doc && operand.has('date') ? operand : null;
    const timezone = expression(fields?.get('timezone'));
    const evaluate = expression(fields ? fields.get('date') : Array.isArray(operand) ? operand[0] : operand);
    return (scope) => {
      utcOnly(timezone(scope));
      const value = evaluate(scope);
      return nothing(value) ? null : new Int32(work(dateOf(value)));
    };
  };
};

const failure = (from: unknown, to: string, why = '') =>
  new MongoAnswer(
    241,
    'ConversionFailure',
    why || `Unsupported conversion from ${typeName(from)} to ${to} in $convert with no onError value`,
  );

/** A date as MongoDB reads it: with a time zone, or in UTC. */
function parseDate(text: string): Date {
  const zoned = /([zZ]|[+-]\d\d:?\d\d)$/.test(text) || !text.includes(':');
  const date = new Date(zoned ? text.replace(' ', 'T') : `${text.trim().replace(' ', 'T')}Z`);
  if (!/^\d{4}-\d\d(-\d\d)?/.test(text) || Number.isNaN(date.getTime()))
    throw failure(text, 'date', `Error parsing date string '${text}'`);
  return date;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof ObjectId) return value.toHexString();
  if (typeof value === 'boolean' || isNumber(value)) return String(value);
  throw failure(value, 'string');
}

function integer(value: unknown, bits: 32 | 64): unknown {
  const to = bits === 32 ? 'int' : 'long';
  let exact: bigint;
  if (typeof value === 'boolean') exact = value ? 1n : 0n;
  else if (typeof value === 'string') {
    if (!/^[+-]?\d+$/.test(value))
      throw failure(value, to, `Failed to parse number '${value}' in $convert with no onError value`);
    exact = BigInt(value.replace('+', ''));
  } else if (value instanceof Date && bits === 64) exact = BigInt(value.getTime());
  else if (isNumber(value)) {
    const number = numberOf(value);
    if (!Number.isFinite(number))
      throw failure(
        value,
        to,
        `Attempt to convert ${number} value to integer type in $convert with no onError value`,
      );
    exact = value instanceof Long ? value.toBigInt() : BigInt(Math.trunc(number));
  } else throw failure(value, to);
  if (BigInt.asIntN(bits, exact) !== exact)
    throw failure(
      value,
      to,
      `Conversion would overflow target type in $convert with no onError value: ${exact}`,
    );
  return bits === 32 ? new Int32(Number(exact)) : Long.fromBigInt(exact);
}

const CONVERSIONS: Record<string, (value: unknown) => unknown> = {
  string: textOf,
  bool: (value) => (!isNumber(value) ? value !== false : truthy(value)),
  int: (value) => integer(value, 32),
  long: (value) => integer(value, 64),
  double(value) {
    if (typeof value === 'boolean') return new Double(value ? 1 : 0);
    if (value instanceof Date) return new Double(value.getTime());
    if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
      return new Double(Number(value));
    if (typeof value === 'string')
      throw failure(value, 'double', `Failed to parse number '${value}' in $convert with no onError value`);
    if (isNumber(value)) return new Double(numberOf(value));
    throw failure(value, 'double');
  },
  decimal(value) {
    if (isNumber(value)) return Decimal128.fromString(String(value));
    throw failure(value, 'decimal');
  },
  date(value) {
    if (value instanceof Date) return value;
    if (value instanceof ObjectId) return value.getTimestamp();
    if (typeof value === 'string') return parseDate(value);
    if (value instanceof Long || value instanceof Double) return new Date(Math.trunc(numberOf(value)));
    throw failure(value, 'date');
  },
  objectId(value) {
    if (value instanceof ObjectId) return value;
    if (typeof value === 'string' && /^[0-9a-fA-F]{24}$/.test(value)) return new ObjectId(value);
    throw failure(
      value,
      'objectId',
      typeof value === 'string'
        ? `Failed to parse objectId '${value}' in $convert with no onError value`
        : '',
    );
  },
};

const TYPE_NUMBERS: Record<number, string> = {
  1: 'double',
  2: 'string',
  7: 'objectId',
  8: 'bool',
  9: 'date',
  16: 'int',
  18: 'long',
  19: 'decimal',
};

const converted = (to: string) =>
  one((value) => (nothing(value) ? null : (CONVERSIONS[to] as (value: unknown) => unknown)(value)));

const trimmed = (start: boolean, end: boolean) =>
  named(['input', 'chars'], ({ input, chars }, name) => {
    if (nothing(input)) return null;
    const set = nothing(chars) ? '\\s\\0' : stringOf(chars, name).replaceAll(/[\\\]^-]/g, '\\$&');
    let text = stringOf(input, name);
    if (start) text = text.replace(new RegExp(`^[${set}]+`), '');
    if (end) text = text.replace(new RegExp(`[${set}]+$`), '');
    return text;
  });

/** `$substr` counts bytes; a cut inside a character is an error. */
const substring = (unit: 'bytes' | 'points') =>
  of(3, 3, ([value, start, length], name) => {
    const text = stringOf(value, name);
    const [from, count] = [numeric(start, name), numeric(length, name)];
    if (unit === 'points') return [...text].slice(from, from + Math.max(count, 0)).join('');
    if (from < 0) return '';
    if (isAscii(text)) return text.slice(from, count < 0 ? undefined : from + count);
    const bytes = Buffer.from(text);
    const until = count < 0 ? bytes.length : Math.min(from + count, bytes.length);
    const inside = (at: number) => at < bytes.length && ((bytes[at] as number) & 0xc0) === 0x80;
    if (inside(from))
      throw located(28656, `${name}:  Invalid range, starting index is a UTF-8 continuation byte.`);
    if (inside(until))
      throw located(28657, `${name}:  Invalid range, ending index is in the middle of a UTF-8 character.`);
    return bytes.toString('utf8', from, until);
  });

function pairs(object: Doc): Doc[] {
  return [...object.entries()].map(([k, v]) =>
    Doc.of([
      ['k', k],
      ['v', v],
    ]),
  );
}

/** The scope inside of an operator that binds variables. */
const within = (scope: Scope, vars: Record<string, unknown>): Scope => ({
  ...scope,
  vars: { ...scope.vars, ...vars },
});

/** Evaluates `body` for a value of the variable `name`: the scope is made once for all elements of an array. */
function bound(scope: Scope, name: string, body: Evaluate): (value: unknown) => unknown {
  const inner = { ...scope, vars: { ...scope.vars, [name]: null as unknown } };
  return (value) => {
    inner.vars[name] = value;
    return body(inner);
  };
}

const OPERATORS: Record<string, Build> = {
  $literal: (operand) => () => operand,

  $eq: compared((order) => order === 0),
  $ne: compared((order) => order !== 0),
  $gt: compared((order) => order > 0),
  $gte: compared((order) => order >= 0),
  $lt: compared((order) => order < 0),
  $lte: compared((order) => order <= 0),
  $cmp: of(2, 2, ([a, b]) => new Int32(Math.sign(compareValues2(a, b)))),
  $and: untilSure((parts, scope) => parts.every((part) => truthy(part(scope)))),
  $or: untilSure((parts, scope) => parts.some((part) => truthy(part(scope)))),
  $not: one((value) => !truthy(value)),

  $cond: (operand, name) => {
    const parts = Array.isArray(operand)
      ? operand
      : ['if', 'then', 'else'].map((field) => parameter(operand, name, field));
    if (parts.length !== 3)
      throw located(16020, `Expression $cond takes exactly 3 arguments. ${parts.length} were passed in.`);
    const [test, yes, no] = parts.map(expression) as [Evaluate, Evaluate, Evaluate];
    return (scope) => (truthy(test(scope)) ? yes(scope) : no(scope));
  },
  $ifNull: (operand) => {
    const parts = (Array.isArray(operand) ? operand : [operand]).map(expression);
    if (parts.length < 2) throw located(1257300, '$ifNull needs at least two arguments');
    return (scope) => {
      let value: unknown;
      for (const part of parts) {
        value = part(scope);
        if (!nothing(value)) break;
      }
      return value;
    };
  },
  $switch: (operand, name) => {
    const branches = listed(parameter(operand, name, 'branches'), name).map((branch) => ({
      test: expression(parameter(branch, name, 'case')),
      result: expression(parameter(branch, name, 'then')),
    }));
    const otherwise = (operand as Doc).has('default') ? expression((operand as Doc).get('default')) : null;
    return (scope) => {
      const found = branches.find(({ test }) => truthy(test(scope)));
      if (found) return found.result(scope);
      if (!otherwise)
        throw located(
          40066,
          '$switch could not find a matching branch for an input, and no default was specified.',
        );
      return otherwise(scope);
    };
  },
  $let: (operand, name) => {
    const vars = [...object(parameter(operand, name, 'vars'), name).entries()].map(
      ([key, value]) => [key, expression(value)] as const,
    );
    const body = expression(parameter(operand, name, 'in'));
    return (scope) =>
      body(within(scope, Object.fromEntries(vars.map(([key, value]) => [key, value(scope)]))));
  },

  $add: many((values) => {
    if (values.some(nothing)) return null;
    const date = values.find((value) => value instanceof Date);
    const numbers = sumOf(values.filter((value) => value !== date));
    return date ? new Date((date as Date).getTime() + Math.trunc(numberOf(numbers))) : numbers;
  }),
  $subtract: strict(2, 2, ([a, b]: unknown[]) => {
    if (a instanceof Date) {
      if (b instanceof Date) return Long.fromNumber(a.getTime() - b.getTime());
      return new Date(a.getTime() - Math.trunc(numeric(b, '$subtract')));
    }
    numeric(a, '$subtract');
    numeric(b, '$subtract');
    return subtract(a, b);
  }),
  $multiply: many((values, name) => {
    if (values.some(nothing)) return null;
    for (const value of values) numeric(value, name);
    return values.reduce((product, value) => multiply(product, value), new Int32(1) as unknown);
  }),
  $divide: strict(2, 2, ([a, b], name) => {
    const by = numeric(b, name);
    if (by === 0) throw new MongoAnswer(2, 'BadValue', "can't $divide by zero");
    return new Double(numeric(a, name) / by);
  }),
  $mod: strict(2, 2, ([a, b]: unknown[], name) => {
    const by = numeric(b, name);
    if (by === 0) throw located(16610, "can't $mod by zero");
    const whole = [a, b].every((value) => value instanceof Int32 || value instanceof Long);
    if (!whole) return new Double(numeric(a, name) % by);
    return wholeNumber(BigInt(String(a)) % BigInt(String(b)), a instanceof Long || b instanceof Long);
  }),
  $abs: strict(1, 1, ([value]: unknown[], name) =>
    numeric(value, name) < 0 ? subtract(new Int32(0), value) : value,
  ),
  $ceil: rounding(Math.ceil),
  $floor: rounding(Math.floor),
  $trunc: rounding(Math.trunc),
  $round: rounding(halfEven),
  $sqrt: real(Math.sqrt),
  $exp: real(Math.exp),
  $ln: real(Math.log),
  $log10: real(Math.log10),
  $pow: strict(2, 2, ([a, b]: unknown[], name) => {
    const result = numeric(a, name) ** numeric(b, name);
    const whole =
      [a, b].every((value) => value instanceof Int32 || value instanceof Long) &&
      Number.isSafeInteger(result);
    return whole ? wholeNumber(BigInt(result), a instanceof Long || b instanceof Long) : new Double(result);
  }),
  $sum: folded(sum),
  $avg: folded(average),
  $min: folded((values) => extreme(values, -1)),
  $max: folded((values) => extreme(values, 1)),

  $concat: many((values) => {
    if (values.some(nothing)) return null;
    const wrong = values.find((value) => typeof value !== 'string');
    if (wrong !== undefined) throw located(16702, `$concat only supports strings, not ${typeName(wrong)}`);
    return values.join('');
  }),
  $substr: substring('bytes'),
  $substrBytes: substring('bytes'),
  $substrCP: substring('points'),
  $toLower: one((value, name) => stringOf(value, name).toLowerCase()),
  $toUpper: one((value, name) => stringOf(value, name).toUpperCase()),
  $strLenBytes: one((value) => new Int32(Buffer.byteLength(textArgument(value, '$strLenBytes')))),
  $strLenCP: one((value) => new Int32([...textArgument(value, '$strLenCP')].length)),
  $strcasecmp: of(2, 2, ([a, b], name) => {
    const [x, y] = [stringOf(a, name).toUpperCase(), stringOf(b, name).toUpperCase()];
    return new Int32(x < y ? -1 : x > y ? 1 : 0);
  }),
  $split: strict(2, 2, ([text, by]: unknown[]) =>
    textArgument(text, '$split').split(textArgument(by, '$split')),
  ),
  $indexOfCP: of(2, 2, ([text, part]) => {
    if (nothing(text)) return null;
    const at = textArgument(text, '$indexOfCP').indexOf(textArgument(part, '$indexOfCP'));
    return new Int32(at < 0 ? -1 : [...(text as string).slice(0, at)].length);
  }),
  $trim: trimmed(true, true),
  $ltrim: trimmed(true, false),
  $rtrim: trimmed(false, true),
  $regexMatch: named(['input', 'regex', 'options'], ({ input, regex: pattern, options }) => {
    if (nothing(input)) return false;
    const given = nothing(options) ? '' : String(options);
    if (pattern instanceof BSONRegExp)
      return regex(pattern.pattern, given || pattern.options).test(String(input));
    return regex(String(pattern), given).test(String(input));
  }),

  $type: one((value) => typeName(value)),
  $isNumber: one(isNumber),
  $toString: converted('string'),
  $toBool: converted('bool'),
  $toInt: converted('int'),
  $toLong: converted('long'),
  $toDouble: converted('double'),
  $toDecimal: converted('decimal'),
  $toDate: converted('date'),
  $toObjectId: converted('objectId'),
  $convert: (operand, name) => {
    const given = object(operand, name);
    const input = expression(given.get('input'));
    const to = expression(parameter(operand, name, 'to'));
    const [onError, onNull] = ['onError', 'onNull'].map((field) => {
      return given.has(field) ? expression(given.get(field)) : null;
    });
    return (scope) => {
      const value = input(scope);
      if (nothing(value)) return onNull ? onNull(scope) : null;
      const wanted = to(scope);
      const convert = CONVERSIONS[isNumber(wanted) ? (TYPE_NUMBERS[numberOf(wanted)] ?? '') : String(wanted)];
      if (!convert) throw new MongoAnswer(2, 'BadValue', `Unknown type name: ${String(wanted)}`);
      try {
        return convert(value);
      } catch (thrown) {
        if (onError && thrown instanceof MongoAnswer) return onError(scope);
        throw thrown;
      }
    };
  },

  $size: one((value) => new Int32(arrayOf(value, '$size', 17124).length)),
  $isArray: one(Array.isArray),
  $arrayElemAt: of(2, 2, ([array, at]) => {
    if (nothing(array) || nothing(at)) return null;
    return arrayOf(array, '$arrayElemAt', 28689).at(numeric(at, '$arrayElemAt'));
  }),
  $first: one((array) => (nothing(array) ? null : arrayOf(array, '$first', 28689).at(0))),
  $last: one((array) => (nothing(array) ? null : arrayOf(array, '$last', 28689).at(-1))),
  $slice: strict(2, 3, ([array, a, b]: unknown[], name) => {
    const values = arrayOf(array, name, 28724);
    const n = numeric(a, name);
    if (b === undefined) return n < 0 ? values.slice(n) : values.slice(0, n);
    const start = n < 0 ? Math.max(values.length + n, 0) : n;
    return values.slice(start, start + numeric(b, name));
  }),
  $in: of(2, 2, ([value, array]) =>
    arrayOf(array, '$in', 40081).some((element) => compareValues(element, value) === 0),
  ),
  $indexOfArray: of(2, 2, ([array, value]) =>
    nothing(array)
      ? null
      : new Int32(
          arrayOf(array, '$indexOfArray', 40090).findIndex((element) => compareValues(element, value) === 0),
        ),
  ),
  $concatArrays: many((arrays, name) =>
    arrays.some(nothing) ? null : arrays.flatMap((array) => arrayOf(array, name, 28664)),
  ),
  $reverseArray: one((array) =>
    nothing(array) ? null : [...arrayOf(array, '$reverseArray', 34435)].reverse(),
  ),
  $range: of(2, 3, ([start, end, step], name) => {
    const [from, to, by] = [
      numeric(start, name),
      numeric(end, name),
      nothing(step) ? 1 : numeric(step, name),
    ];
    if (by === 0) throw located(34449, '$range requires a non-zero step value');
    return Array.from(
      { length: Math.max(0, Math.ceil((to - from) / by)) },
      (_, i) => new Int32(from + i * by),
    );
  }),
  $filter: (operand, name) => {
    const input = expression(parameter(operand, name, 'input'));
    const as = String(parameter(operand, name, 'as', 'this'));
    const test = expression(parameter(operand, name, 'cond'));
    const limit = expression(parameter(operand, name, 'limit', null));
    return (scope) => {
      const array = input(scope);
      if (nothing(array)) return null;
      const passes = bound(scope, as, test);
      const kept = arrayOf(array, name, 28651).filter((element) => truthy(passes(element)));
      const most = limit(scope);
      return nothing(most) ? kept : kept.slice(0, numberOf(most));
    };
  },
  $map: (operand, name) => {
    const input = expression(parameter(operand, name, 'input'));
    const as = String(parameter(operand, name, 'as', 'this'));
    const body = expression(parameter(operand, name, 'in'));
    return (scope) => {
      const array = input(scope);
      if (nothing(array)) return null;
      const each = bound(scope, as, body);
      return arrayOf(array, name, 16883).map((element) => each(element) ?? null);
    };
  },
  $reduce: (operand, name) => {
    const [input, start, body] = ['input', 'initialValue', 'in'].map((field) =>
      expression(parameter(operand, name, field)),
    ) as [Evaluate, Evaluate, Evaluate];
    return (scope) => {
      const array = input(scope);
      if (nothing(array)) return null;
      return arrayOf(array, name, 40080).reduce(
        (value, element) => body(within(scope, { value, this: element })),
        start(scope),
      );
    };
  },
  $objectToArray: one((object) => {
    if (nothing(object)) return null;
    if (!(object instanceof Doc))
      throw located(40390, `$objectToArray requires a document input, found: ${typeName(object)}`);
    // Read apart: a wide document that stays in memory is searched for the few fields of it that are asked for otherwise.
    return pairs(new Doc(object.bytes));
  }),
  $arrayToObject: one((array) => {
    if (nothing(array)) return null;
    return Doc.of(
      arrayOf(array, '$arrayToObject', 40386).map((pair) =>
        pair instanceof Doc
          ? [String(pair.get('k')), pair.get('v')]
          : [String((pair as unknown[])[0]), (pair as unknown[])[1]],
      ),
    );
  }),
  $mergeObjects: many((objects) => {
    const result = new Doc();
    for (const object of objects.length === 1 && Array.isArray(objects[0]) ? objects[0] : objects) {
      if (nothing(object)) continue;
      if (!(object instanceof Doc))
        throw located(
          40400,
          `$mergeObjects requires object inputs, but input is of type ${typeName(object)}`,
        );
      for (const key of object.keys()) result.take(key, object);
    }
    return result;
  }),
  $getField: (operand) => {
    const field = expression(operand instanceof Doc && operand.has('field') ? operand.get('field') : operand);
    const input =
      operand instanceof Doc && operand.has('input')
        ? expression(operand.get('input'))
        : (scope: Scope) => scope.root;
    return (scope) => {
      const object = input(scope);
      return object instanceof Doc ? object.get(String(field(scope))) : object === null ? null : undefined;
    };
  },

  $setUnion: many((sets, name) =>
    sets.some(nothing) ? null : distinctValues(sets.flatMap((set) => arrayOf(set, name, 17043))),
  ),
  $setIntersection: many((sets, name) => {
    if (sets.some(nothing)) return null;
    const [first = [], ...others] = sets.map((set) => arrayOf(set, name, 17047));
    const tests = others.map(lookup);
    return distinctValues(first.filter((value) => tests.every((has) => has(value))));
  }),
  $setDifference: of(2, 2, ([a, b], name) => {
    if (nothing(a) || nothing(b)) return null;
    const has = lookup(arrayOf(b, name, 17049));
    return distinctValues(arrayOf(a, name, 17048).filter((value) => !has(value)));
  }),
  $setIsSubset: of(2, 2, ([a, b], name) => arrayOf(a, name, 17046).every(lookup(arrayOf(b, name, 17042)))),
  $setEquals: of(2, 2, ([a, b], name) => {
    const [x, y] = [arrayOf(a, name, 17044), arrayOf(b, name, 17044)];
    return x.every(lookup(y)) && y.every(lookup(x));
  }),
  $anyElementTrue: one((array, name) => arrayOf(array, name, 17041).some(truthy)),
  $allElementsTrue: one((array, name) => arrayOf(array, name, 17040).every(truthy)),

  $dateToString: named(['date', 'format', 'timezone', 'onNull'], ({ date, format, timezone, onNull }) => {
    utcOnly(timezone);
    if (nothing(date)) return onNull ?? null;
    return formatDate(dateOf(date), nothing(format) ? '%Y-%m-%dT%H:%M:%S.%LZ' : String(format));
  }),
  $dateFromString: named(
    ['dateString', 'timezone', 'onError', 'onNull'],
    ({ dateString, timezone, onError, onNull }) => {
      utcOnly(timezone);
      if (nothing(dateString)) return onNull ?? null;
      try {
        return parseDate(textArgument(dateString, '$dateFromString'));
      } catch (thrown) {
        if (onError !== undefined && thrown instanceof MongoAnswer) return onError;
        throw thrown;
      }
    },
  ),
  $year: datePart((date) => date.getUTCFullYear()),
  $month: datePart((date) => date.getUTCMonth() + 1),
  $dayOfMonth: datePart((date) => date.getUTCDate()),
  $dayOfWeek: datePart((date) => date.getUTCDay() + 1),
  $hour: datePart((date) => date.getUTCHours()),
  $minute: datePart((date) => date.getUTCMinutes()),
  $second: datePart((date) => date.getUTCSeconds()),
  $millisecond: datePart((date) => date.getUTCMilliseconds()),
};

function sumOf(values: readonly unknown[]): unknown {
  for (const value of values) numeric(value, '$add');
  return values.reduce((total, value) => add(total, value), new Int32(0) as unknown);
}

function textArgument(value: unknown, name: string): string {
  if (typeof value !== 'string')
    throw located(34471, `${name} requires a string argument, found: ${typeName(value)}`);
  return value;
}
