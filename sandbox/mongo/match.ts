/** Which documents a filter matches, by the rules of https://www.mongodb.com/docs/manual/reference/operator/query/ */
import { Binary, BSONRegExp } from 'bson';
import { isNumber } from './arithmetic.ts';
import { Doc, regex } from './document.ts';
import { badValue, failedToParse } from './errors.ts';
import { expression, truthy } from './expression.ts';
import { compareValues, isNaNValue, isPlace, RANK, rankOf } from './keys.ts';
import { NUMBERS, TYPES, typeOf } from './types.ts';

export type Matcher = (document: Doc) => boolean;

/** Says whether the values at a path meet a condition; an array there is one value, its elements are looked at by `any`. */
type Test = (found: readonly unknown[]) => boolean;

const LOGICAL = new Set(['$and', '$or', '$nor']);

/** A function that says whether a document matches. Throws MongoDB's error for a filter that is not one. */
export function matcher(filter: unknown): Matcher {
  if (!(filter instanceof Doc)) throw badValue('the match filter must be an expression in an object');
  const parts = [...filter.entries()].map(([field, value]) => clause(field, value));
  if (parts.length === 1) return parts[0] as Matcher;
  return (document) => parts.every((part) => part(document));
}

function clause(field: string, value: unknown): Matcher {
  if (LOGICAL.has(field)) {
    if (!Array.isArray(value) || value.length === 0) throw badValue(`${field} must be a nonempty array`);
    const parts = value.map((part) => {
      if (!(part instanceof Doc)) throw badValue('$or/$and/$nor entries need to be full objects');
      return matcher(part);
    });
    if (field === '$and') return (document) => parts.every((part) => part(document));
    if (field === '$or') return (document) => parts.some((part) => part(document));
    return (document) => !parts.some((part) => part(document));
  }
  if (field === '$comment') return () => true;
  if (field === '$expr') {
    const evaluate = expression(value);
    return (document) => truthy(evaluate({ root: document, vars: {} }));
  }
  if (field.startsWith('$')) {
    throw badValue(
      `unknown top level operator: ${field}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`,
    );
  }
  const test = condition(value);
  const parts = field.split('.');
  return (document) => test(valuesAtPath(document, parts));
}

/** The values at a path, arrays on the way looked through, one at its end left whole. Missing: `undefined`. */
export function valuesAtPath(document: Doc, parts: readonly string[]): unknown[] {
  const found: unknown[] = [];
  const walk = (value: unknown, depth: number): void => {
    if (depth === parts.length) {
      found.push(value);
      return;
    }
    const part = parts[depth] as string;
    if (Array.isArray(value)) {
      if (isPlace(part) && Number(part) < value.length) walk(value[Number(part)], depth + 1);
      for (const element of value) if (element instanceof Doc) walk(element, depth);
      return;
    }
    walk(value instanceof Doc ? value.get(part) : undefined, depth + 1);
  };
  walk(document, 0);
  return found;
}

/** True when a value, or an element of a value that is an array, passes. */
const any = (passes: (value: unknown) => boolean): Test => {
  return (found) =>
    found.some(
      (value) => passes(value) || (Array.isArray(value) && value.some((element) => passes(element))),
    );
};

export const isOperators = (value: unknown): value is Doc =>
  value instanceof Doc &&
  value.firstKey()?.startsWith('$') === true &&
  !value.has('$ref') &&
  !value.has('$id');

function condition(value: unknown): Test {
  if (value instanceof BSONRegExp) return any(matchesRegex(value));
  if (!isOperators(value)) return any(equals(value));
  const tests = [...value.entries()].map(([name, operand]) => {
    const operator = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
    if (!operator) throw badValue(`unknown operator: ${name}`);
    return operator(operand, value);
  });
  return (found) => tests.every((test) => test(found));
}

const nothing = (value: unknown) => value === null || value === undefined;

function equals(operand: unknown): (value: unknown) => boolean {
  if (operand === null) return nothing;
  return (value) => value !== undefined && value !== null && compareValues(value, operand) === 0;
}

function matchesRegex(operand: BSONRegExp): (value: unknown) => boolean {
  const pattern = compile(operand.pattern, operand.options);
  return (value) =>
    typeof value === 'string' ? pattern.test(value) : value instanceof BSONRegExp && equals(operand)(value);
}

function compile(pattern: string, options: string): RegExp {
  const unknown = [...options].find((letter) => !'imsxu'.includes(letter));
  if (unknown) throw badValue(`invalid flag in regex options: ${unknown}`);
  try {
    return regex(pattern, options);
  } catch (thrown) {
    throw badValue(`Regular expression is invalid: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}

/** `$lt` and its like: only values of the same kind compare; NaN is equal to itself, and neither above nor below. */
function ordered(operand: unknown, holds: (order: number) => boolean): Test {
  if (operand instanceof BSONRegExp) throw badValue("Can't have RegEx as arg to predicate over field");
  const rank = rankOf(operand);
  if (rank === RANK.minKey || rank === RANK.maxKey)
    return any((value) => holds(compareValues(value, operand)));
  if (operand === null) return any((value) => nothing(value) && holds(0));
  const nan = isNaNValue(operand);
  return any((value) => {
    if (value === undefined || rankOf(value) !== rank) return false;
    if (nan || isNaNValue(value)) return nan && isNaNValue(value) && holds(0);
    return holds(compareValues(value, operand));
  });
}

function typesOf(operand: unknown): number[] {
  return (Array.isArray(operand) ? operand : [operand]).flatMap((asked) => {
    if (asked === 'number') return NUMBERS;
    const number = typeof asked === 'string' ? TYPES[asked] : Number(asked);
    if (number === undefined || Number.isNaN(number))
      throw badValue(`Unknown type name alias: ${String(asked)}`);
    return [number];
  });
}

const list = (name: string, operand: unknown): unknown[] => {
  if (!Array.isArray(operand)) throw badValue(`${name} needs an array`);
  return operand;
};

const not = (test: Test): Test => {
  return (found) => !test(found);
};

function oneOf(operand: unknown, name: string): Test {
  const asked = list(name, operand);
  if (asked.some(isOperators)) throw badValue(`cannot nest $ under ${name}`);
  const patterns = asked.filter((value) => value instanceof BSONRegExp).map(matchesRegex);
  const values = asked.filter((value) => !(value instanceof BSONRegExp));
  if (values.length < 20) {
    const tests = [...values.map(equals), ...patterns];
    return any((value) => tests.some((test) => test(value)));
  }
  const sorted = values.sort(compareValues);
  const has = (value: unknown) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareValues(sorted[middle], value) < 0) low = middle + 1;
      else high = middle;
    }
    return low < sorted.length && compareValues(sorted[low], value) === 0;
  };
  return any((value) => has(value) || patterns.some((test) => test(value)));
}

export function elementMatch(operand: unknown): (element: unknown) => boolean {
  if (!(operand instanceof Doc)) throw badValue('$elemMatch needs an Object');
  if (isOperators(operand) && !LOGICAL.has(operand.firstKey() ?? '')) {
    const test = condition(operand);
    return (element) => test([element]);
  }
  const matches = matcher(operand);
  return (element) => {
    if (element instanceof Doc) return matches(element);
    return Array.isArray(element) && matches(Doc.of(element.map((inner, i) => [String(i), inner])));
  };
}

function bits(name: string, operand: unknown, holds: (set: bigint, mask: bigint) => boolean): Test {
  const mask = maskOf(name, operand);
  return any((value) => {
    if (value instanceof Binary) return holds(ofBytes(value), mask);
    if (!isNumber(value) || !Number.isInteger(Number(String(value)))) return false;
    return holds(BigInt.asUintN(64, BigInt(String(value))), mask);
  });
}

const ofBytes = (binary: Binary) =>
  [...binary.value()].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

function maskOf(name: string, operand: unknown): bigint {
  if (operand instanceof Binary) return ofBytes(operand);
  if (Array.isArray(operand)) {
    return operand.reduce<bigint>((mask, bit) => {
      if (!isNumber(bit) || !(Number(bit) >= 0)) throw badValue(`bit positions of ${name} must be >= 0`);
      return mask | (1n << BigInt(String(bit)));
    }, 0n);
  }
  if (!isNumber(operand) || !(Number(String(operand)) >= 0))
    throw badValue(`${name} takes an Array, a number, or a BinData`);
  return BigInt(String(operand));
}

const OPERATORS: Record<string, (operand: unknown, all: Doc) => Test> = {
  $eq: (operand) => any(equals(operand)),
  $ne: (operand) => {
    if (operand instanceof BSONRegExp) throw badValue("Can't have regex as arg to $ne.");
    return not(any(equals(operand)));
  },
  $gt: (operand) => ordered(operand, (order) => order > 0),
  $gte: (operand) => ordered(operand, (order) => order >= 0),
  $lt: (operand) => ordered(operand, (order) => order < 0),
  $lte: (operand) => ordered(operand, (order) => order <= 0),
  $in: (operand) => oneOf(operand, '$in'),
  $nin: (operand) => not(oneOf(operand, '$nin')),
  $exists: (operand) => {
    const there: Test = (found) => found.some((value) => value !== undefined);
    return truthy(operand) ? there : not(there);
  },
  $type: (operand) => {
    const types = typesOf(operand);
    return any((value) => value !== undefined && types.includes(typeOf(value)));
  },
  $mod: (operand) => {
    const pair = list('$mod', operand);
    if (pair.length !== 2)
      throw badValue(`malformed mod, ${pair.length < 2 ? 'not enough' : 'too many'} elements`);
    const [divisor, remainder] = pair.map((n) => Math.trunc(Number(String(n)))) as [number, number];
    if (divisor === 0) throw badValue('divisor cannot be 0');
    return any((value) => isNumber(value) && Math.trunc(Number(String(value))) % divisor === remainder);
  },
  $regex: (operand, all) => {
    const given = all.get('$options');
    const options = typeof given === 'string' ? given : operand instanceof BSONRegExp ? operand.options : '';
    if (operand instanceof BSONRegExp) return any(matchesRegex(new BSONRegExp(operand.pattern, options)));
    if (typeof operand !== 'string') throw badValue('$regex has to be a string');
    const pattern = compile(operand, options);
    return any((value) => typeof value === 'string' && pattern.test(value));
  },
  $options: (_, all) => {
    if (!all.has('$regex')) throw badValue('$options needs a $regex');
    return () => true;
  },
  $not: (operand) => {
    if (operand instanceof BSONRegExp) return not(any(matchesRegex(operand)));
    if (!isOperators(operand)) throw badValue('$not needs a regex or a document');
    return not(condition(operand));
  },
  $size: (operand) => {
    const size = Number(String(operand));
    if (!isNumber(operand) || !Number.isInteger(size))
      throw failedToParse('Failed to parse $size. Expected an integer');
    if (size < 0) throw failedToParse('Failed to parse $size. Expected a non-negative number');
    return (found) => found.some((value) => Array.isArray(value) && value.length === size);
  },
  $all: (operand) => {
    const asked = list('$all', operand);
    if (asked.length === 0) return () => false;
    const tests = asked.map((one) => {
      if (!isOperators(one)) return condition(one);
      if (one.firstKey() !== '$elemMatch') throw badValue('no $ expressions in $all');
      return condition(one);
    });
    return (found) => tests.every((test) => test(found));
  },
  $elemMatch: (operand) => {
    const passes = elementMatch(operand);
    return (found) => found.some((value) => Array.isArray(value) && value.some(passes));
  },
  $bitsAllSet: (operand) => bits('$bitsAllSet', operand, (set, mask) => (set & mask) === mask),
  $bitsAnySet: (operand) => bits('$bitsAnySet', operand, (set, mask) => (set & mask) !== 0n),
  $bitsAllClear: (operand) => bits('$bitsAllClear', operand, (set, mask) => (set & mask) === 0n),
  $bitsAnyClear: (operand) => bits('$bitsAnyClear', operand, (set, mask) => (set & mask) !== mask),
};

/**
 * The place of the first element of the array at `path` that meets what `filter` says about it, as the positional `$`
 * wants it; -1 when none does or nothing is said.
 */
export function matchedElement(array: readonly unknown[], path: string, filter: Doc): number {
  const tests: ((element: unknown) => boolean)[] = [];
  const collect = (part: Doc): void => {
    for (const [field, value] of part.entries()) {
      if (field === '$and' && Array.isArray(value)) for (const inner of value) collect(inner as Doc);
      else if (field.startsWith(`${path}.`)) {
        const inner = matcher(Doc.of([[field.slice(path.length + 1), value]]));
        tests.push((element) => element instanceof Doc && inner(element));
      } else if (field === path && isOperators(value)) {
        const test = condition(value);
        if (value.has('$elemMatch')) tests.push(elementMatch(value.get('$elemMatch')));
        else tests.push((element) => test([element]));
      } else if (field === path) {
        const test = condition(value);
        tests.push((element) => test([element]));
      }
    }
  };
  collect(filter);
  return tests.length === 0 ? -1 : array.findIndex((element) => tests.every((test) => test(element)));
}
