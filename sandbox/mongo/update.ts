/**
 * Update operators. A document is copied along the paths that are written and nowhere else: what is not touched keeps its
 * bytes, and an update of one entry of `fw_states` does not take ten thousand others apart.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
import { BSONRegExp, Int32, Long, Timestamp } from 'bson';
import { exactly, isNumber, numberOf } from './arithmetic.ts';
import { Doc } from './document.ts';
import {
  badValue,
  conflictingUpdate,
  failedToParse,
  immutableField,
  MongoAnswer,
  pathNotViable,
  typeMismatch,
} from './errors.ts';
import { compareValues, isPlace } from './keys.ts';
import { elementMatch, isOperators, type Matcher, matchedElement, matcher } from './match.ts';
import { typeName } from './types.ts';

export interface UpdateContext {
  /** The query, for the positional `$`. */
  filter: Doc;
  arrayFilters: readonly Doc[];
  /** True when the document is being made by an upsert: `$setOnInsert` applies. */
  inserting: boolean;
  now: Date;
}

/** What becomes of the value at a path, `undefined` where there is none. `GONE` takes it away. */
type Operator = (there: unknown, operand: unknown, context: UpdateContext, path: string) => unknown;

const GONE = Symbol('gone');

/** True when `update` replaces the whole document. */
export function isReplacement(update: unknown): boolean {
  return update instanceof Doc && !update.firstKey()?.startsWith('$');
}

/** Throws MongoDB's error for what is no update, whether or not there is something to update. */
export function checkUpdate(update: unknown): asserts update is Doc {
  if (!(update instanceof Doc)) throw failedToParse('Update argument must be either an object or an array');
  if (isReplacement(update)) return;
  for (const [name, fields] of update.entries()) {
    if (!Object.hasOwn(OPERATORS, name) && name !== '$rename') {
      throw failedToParse(
        `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`,
      );
    }
    if (!(fields instanceof Doc)) {
      throw failedToParse(
        `Modifiers operate on fields but we found type ${typeName(fields)} instead. For example: {$mod: {<field>: ...}} not {${name}: ${String(fields)}}`,
      );
    }
  }
}

/**
 * The document after `update`; `document` stays as it was. Throws MongoDB's error for two modifiers of one path, a change of
 * `_id`, or a path through something that is not a document.
 */
export function applyUpdate(document: Doc, update: unknown, context: UpdateContext): Doc {
  checkUpdate(update);
  if (isReplacement(update)) return replaced(document, update);
  const filters = arrayFilters(context.arrayFilters);
  const touched = new Touched();
  const used = new Set<string>();
  const own = new Set<Doc>();
  let result = document;
  for (const [name, fields] of update.entries()) {
    for (const [path, operand] of (fields as Doc).entries()) {
      touched.claim(path);
      if (name === '$rename') {
        touched.claim(String(operand));
        result = renamed(result, path, operand);
        continue;
      }
      if (name === '$setOnInsert' && !context.inserting) continue;
      const parts = path.split('.');
      if (parts.some((part) => part === '')) {
        throw new MongoAnswer(
          56,
          'EmptyFieldName',
          `The update path '${path}' contains an empty field name, which is not allowed.`,
        );
      }
      const change = (there: unknown) => (OPERATORS[name] as Operator)(there, operand, context, path);
      const write = { change, make: !REMOVING.has(name), before: document, context, filters, used, own };
      result = written(result, parts, '', write) as Doc;
    }
  }
  const idle = [...filters.keys()].find((name) => !used.has(name));
  if (idle !== undefined)
    throw failedToParse(`The array filter for identifier '${idle}' was not used in the update`);
  return withSameId(document, result, context);
}

/** What a pipeline made of a document, which keeps its `_id` where the pipeline has left it out. */
export function applyPipeline(document: Doc, become: (document: Doc) => Doc, context: UpdateContext): Doc {
  const after = become(document);
  if (after.has('_id') || !document.has('_id')) return withSameId(document, after, context);
  const result = new Doc();
  result.take('_id', document);
  for (const key of after.keys()) result.take(key, after);
  return result;
}

/** Throws when an update has changed the `_id`. */
function withSameId(before: Doc, after: Doc, { inserting }: UpdateContext): Doc {
  if ((!inserting || before.has('_id')) && compareIds(before, after) !== 0)
    throw immutableField("Performing an update on the path '_id' would modify the immutable field '_id'");
  return after;
}

/** These make nothing where there is nothing. */
const REMOVING = new Set(['$unset', '$pull', '$pullAll', '$pop']);

function compareIds(before: Doc, after: Doc): number {
  if (before.has('_id') !== after.has('_id')) return 1;
  return compareValues(before.get('_id'), after.get('_id'));
}

function replaced(document: Doc, update: Doc): Doc {
  const operator = update.keys().find((key) => key.startsWith('$'));
  if (operator)
    throw new MongoAnswer(
      52,
      'DollarPrefixedFieldName',
      `The dollar ($) prefixed field '${operator}' in '${operator}' is not allowed in the context of an update's replacement document.`,
    );
  if (!document.has('_id')) return update;
  if (update.has('_id') && compareIds(document, update) !== 0)
    throw immutableField(
      "After applying the update, the (immutable) field '_id' was found to have been altered",
    );
  const result = new Doc();
  result.take('_id', document);
  for (const key of update.keys()) if (key !== '_id') result.take(key, update);
  return result;
}

/** The paths that an update writes: no two may be the same, or one inside the other. */
class Touched {
  readonly #paths = new Set<string>();
  /** What holds a path of these, by the first such path. */
  readonly #holders = new Map<string, string>();

  claim(path: string): void {
    const holders: string[] = [];
    for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1))
      holders.push(path.slice(0, dot));
    const clash = [path, ...holders].find((one) => this.#paths.has(one)) ?? this.#holders.get(path);
    if (clash !== undefined)
      throw conflictingUpdate(`Updating the path '${path}' would create a conflict at '${clash}'`);
    this.#paths.add(path);
    for (const holder of holders) if (!this.#holders.has(holder)) this.#holders.set(holder, path);
  }
}

function arrayFilters(given: readonly Doc[]): Map<string, Matcher> {
  const filters = new Map<string, Matcher>();
  for (const filter of given) {
    const names = new Set(namesIn(filter));
    const [name] = names;
    if (name === undefined || names.size > 1)
      throw failedToParse('Error parsing array filter: expected a single top-level field name');
    if (filters.has(name))
      throw failedToParse(`Found multiple array filters with the same top-level field name ${name}`);
    filters.set(name, matcher(filter));
  }
  return filters;
}

function namesIn(filter: Doc): string[] {
  return [...filter.entries()].flatMap(([key, value]) =>
    key.startsWith('$') ? (value as Doc[]).flatMap(namesIn) : [key.split('.')[0] as string],
  );
}

interface Write {
  change: (there: unknown) => unknown;
  make: boolean;
  before: Doc;
  context: UpdateContext;
  filters: Map<string, Matcher>;
  /** The array filters that the paths named. */
  used: Set<string>;
  /** Documents that this update has made: they are changed, not copied again for each of thousands of paths. */
  own: Set<Doc>;
}

/** A copy of `holder` with the change at the path `parts`, of which `walked` has been gone already. */
function written(holder: unknown, parts: readonly string[], walked: string, write: Write): unknown {
  const [part, ...rest] = parts as [string, ...string[]];
  if (Array.isArray(holder)) {
    const copy = [...holder];
    for (const i of elementsNamed(holder, part, walked, write)) {
      if (i >= copy.length && !write.make) continue;
      if (i - copy.length > 1_500_000)
        throw new MongoAnswer(2, 'BadValue', `can't backfill more than 1500000 elements`);
      const value = below(copy[i], rest, join(walked, String(i)), write);
      // MongoDB fills an array with nulls up to the place that is set, and leaves null where an element is unset.
      while (copy.length < i) copy.push(null);
      copy[i] = value === GONE ? null : value;
    }
    return copy;
  }
  needsNoArray(part, walked);
  const document = holder as Doc;
  const there = document.get(part);
  if (there === undefined && !write.make) return document;
  const value = below(there, rest, join(walked, part), write);
  if (value === there && !(there instanceof Doc && write.own.has(there))) return document;
  const copy = write.own.has(document) ? document : document.copy();
  write.own.add(copy);
  if (value === GONE) copy.delete(part);
  else copy.set(part, value);
  return copy;
}

function below(there: unknown, rest: readonly string[], walked: string, write: Write): unknown {
  if (rest.length === 0) return write.change(there);
  if (there === undefined) return written(new Doc(), rest, walked, write);
  if (there instanceof Doc || Array.isArray(there)) return written(there, rest, walked, write);
  if (!write.make) return there;
  needsNoArray(rest[0] as string, walked);
  const name = walked.split('.').at(-1);
  throw pathNotViable(`Cannot create field '${rest[0]}' in element {${name}: ${String(there)}}`);
}

function needsNoArray(part: string, walked: string): void {
  if (part === '$') throw badValue('The positional operator did not find the match needed from the query.');
  if (part.startsWith('$[')) throw badValue(`Cannot apply array updates to non-array element ${walked}`);
}

const join = (walked: string, part: string) => (walked ? `${walked}.${part}` : part);

/** The places that one part of a path stands for in an array. */
function elementsNamed(array: readonly unknown[], part: string, walked: string, write: Write): number[] {
  if (part === '$') {
    const path = walked.replaceAll(/\.\d+(?=\.|$)/g, '');
    const original = walked
      .split('.')
      .reduce<unknown>(
        (value, key) => (value instanceof Doc ? value.get(key) : (value as unknown[])?.[Number(key)]),
        write.before,
      );
    const i = matchedElement(Array.isArray(original) ? original : array, path, write.context.filter);
    if (i < 0) throw badValue('The positional operator did not find the match needed from the query.');
    return [i];
  }
  if (part.startsWith('$[')) {
    const name = part.slice(2, -1);
    if (name === '') return [...array.keys()];
    const matches = write.filters.get(name);
    if (!matches)
      throw badValue(`No array filter found for identifier '${name}' in path '${join(walked, part)}'`);
    write.used.add(name);
    return [...array.keys()].filter((i) => matches(Doc.of([[name, array[i]]])));
  }
  if (isPlace(part)) return [Number(part)];
  if (!write.make) return [];
  throw pathNotViable(`Cannot create field '${part}' in element {${walked.split('.').at(-1)}: an array}`);
}

/** The array to write to; one is made where nothing is, unless `make` is false: then undefined. */
function arrayAt(there: unknown, operator: string, path: string, make = true): unknown[] | undefined {
  if (Array.isArray(there)) return there;
  if (there === undefined) return make ? [] : undefined;
  throw badValue(`The field '${path}' must be an array but is of type ${typeName(there)} (${operator})`);
}

const arithmetic =
  (operator: '$inc' | '$mul'): Operator =>
  (there, by, _, path) => {
    const verb = operator === '$inc' ? 'increment' : 'multiply';
    if (!isNumber(by))
      throw typeMismatch(`Cannot ${verb} with non-numeric argument: {${path}: ${String(by)}}`);
    if (there === undefined) return operator === '$inc' ? by : exactly('$mul', by, new Int32(0));
    if (!isNumber(there)) {
      throw typeMismatch(
        `Cannot apply ${operator} to a value of non-numeric type. The field '${path}' is of non-numeric type ${typeName(there)}`,
      );
    }
    return exactly(operator, there, by);
  };

const set: Operator = (_, operand) => operand;

const OPERATORS: Record<string, Operator> = {
  $set: set,
  $setOnInsert: set,
  $unset: () => GONE,
  $inc: arithmetic('$inc'),
  $mul: arithmetic('$mul'),
  $min: (there, operand) => (there === undefined || compareValues(operand, there) < 0 ? operand : there),
  $max: (there, operand) => (there === undefined || compareValues(operand, there) > 0 ? operand : there),
  $currentDate(_, operand, { now }, path) {
    const type = operand instanceof Doc ? operand.get('$type') : operand === true ? 'date' : undefined;
    if (type === 'timestamp') return new Timestamp({ t: Math.floor(now.getTime() / 1000), i: 1 });
    if (type !== 'date' && operand !== false)
      throw badValue(
        `The value of '${path}' in $currentDate must be true, or {$type: 'date'}, or {$type: 'timestamp'}`,
      );
    return now;
  },
  $bit(there, operand, _, path) {
    const steps = operand instanceof Doc ? [...operand.entries()] : [];
    if (steps.length === 0)
      throw badValue(`You must pass in at least one bitwise operation to $bit for ${path}`);
    return steps.reduce<unknown>((value, [how, by]) => bitwise(value ?? new Int32(0), how, by), there);
  },
  $push(there, operand, _, path) {
    const array = [...(arrayAt(there, '$push', path) as unknown[])];
    const { values, position, slice, sort } = eachOf(operand, '$push');
    array.splice(position ?? array.length, 0, ...values);
    if (sort !== undefined) sortArray(array, sort);
    if (slice === undefined) return array;
    return slice < 0 ? array.slice(slice) : array.slice(0, slice);
  },
  $addToSet(there, operand, _, path) {
    const array = [...(arrayAt(there, '$addToSet', path) as unknown[])];
    for (const value of eachOf(operand, '$addToSet').values) {
      if (!array.some((element) => compareValues(element, value) === 0)) array.push(value);
    }
    return array;
  },
  $pop(there, operand, _, path) {
    const end = isNumber(operand) ? numberOf(operand) : Number.NaN;
    if (end !== 1 && end !== -1) throw failedToParse(`$pop expects 1 or -1, found: ${String(operand)}`);
    if (!Array.isArray(there))
      throw typeMismatch(`Path '${path}' contains an element of non-array type '${typeName(there)}'`);
    return end < 0 ? there.slice(1) : there.slice(0, -1);
  },
  $pull(there, operand, _, path) {
    const goes = pulled(operand);
    return arrayAt(there, '$pull', path, false)?.filter((element) => !goes(element));
  },
  $pullAll(there, operand, _, path) {
    if (!Array.isArray(operand))
      throw badValue(`$pullAll requires an array argument but was given a ${typeName(operand)}`);
    return arrayAt(there, '$pullAll', path, false)?.filter(
      (element) => !operand.some((gone) => compareValues(gone, element) === 0),
    );
  },
};

/** A document says what documents in the array have; operators, or a value, what elements are. */
function pulled(operand: unknown): (element: unknown) => boolean {
  if (operand instanceof Doc && !isOperators(operand)) {
    const matches = matcher(operand);
    return (element) => element instanceof Doc && matches(element);
  }
  if (isOperators(operand)) return elementMatch(operand);
  if (operand instanceof BSONRegExp) return elementMatch(Doc.of([['$regex', operand]]));
  return (element) => compareValues(element, operand) === 0;
}

function bitwise(value: unknown, how: string, by: unknown): unknown {
  const whole = [value, by].every((one) => one instanceof Int32 || one instanceof Long);
  if (!whole) throw badValue('Cannot apply $bit to a value of non-integral type');
  const [a, b] = [BigInt(String(value)), BigInt(String(by))];
  const results: Record<string, bigint> = { and: a & b, or: a | b, xor: a ^ b };
  const result = results[how];
  if (result === undefined)
    throw badValue(
      `The $bit modifier only supports 'and', 'or', and 'xor', not '${how}' which is an unknown operator`,
    );
  return value instanceof Long || by instanceof Long ? Long.fromBigInt(result) : new Int32(Number(result));
}

interface Each {
  values: unknown[];
  position?: number;
  slice?: number;
  sort?: unknown;
}

function eachOf(operand: unknown, operator: '$push' | '$addToSet'): Each {
  if (!(operand instanceof Doc) || !operand.has('$each')) return { values: [operand] };
  const known = operator === '$push' ? ['$each', '$position', '$slice', '$sort'] : ['$each'];
  const stranger = operand.keys().find((key) => !known.includes(key));
  if (stranger !== undefined) throw badValue(`Unrecognized clause in ${operator}: ${stranger}`);
  const values = operand.get('$each');
  if (!Array.isArray(values)) {
    const message = `The argument to $each in ${operator} must be an array but it was of type ${typeName(values)}`;
    throw operator === '$push' ? badValue(message) : typeMismatch(message);
  }
  const number = (key: string) => {
    const value = operand.get(key);
    if (value === undefined) return undefined;
    if (!isNumber(value) || !Number.isInteger(numberOf(value)))
      throw badValue(`The value for ${key} must be an integer value but was given type: ${typeName(value)}`);
    return numberOf(value);
  };
  return { values, position: number('$position'), slice: number('$slice'), sort: operand.get('$sort') };
}

function sortArray(array: unknown[], sort: unknown): void {
  if (!(sort instanceof Doc)) {
    const direction = isNumber(sort) ? numberOf(sort) : 0;
    if (direction !== 1 && direction !== -1) throw badValue('The $sort element value must be either 1 or -1');
    array.sort((a, b) => direction * compareValues(a, b));
    return;
  }
  const order = [...sort.entries()].map(([path, way]) => [path.split('.'), numberOf(way)] as const);
  const at = (value: unknown, path: readonly string[]) =>
    path.reduce<unknown>((inner, part) => (inner instanceof Doc ? inner.get(part) : undefined), value);
  array.sort((a, b) => {
    for (const [path, direction] of order) {
      const by = direction * compareValues(at(a, path), at(b, path));
      if (by !== 0) return by;
    }
    return 0;
  });
}

function renamed(root: Doc, from: string, to: unknown): Doc {
  if (typeof to !== 'string')
    throw badValue(`The 'to' field for $rename must be a string: ${from}: ${String(to)}`);
  const at = (path: readonly string[]) =>
    path.reduce<unknown>((value, part) => {
      if (Array.isArray(value))
        throw badValue(`The source field of $rename cannot be an array element: '${from}'`);
      return value instanceof Doc ? value.get(part) : undefined;
    }, root);
  const value = at(from.split('.'));
  if (value === undefined) return root;
  const own = new Set<Doc>();
  const write = { before: root, context: NOWHERE, filters: new Map(), used: new Set<string>(), own };
  const without = written(root, from.split('.'), '', { ...write, make: false, change: () => GONE });
  return written(without, to.split('.'), '', { ...write, make: true, change: () => value }) as Doc;
}

const NOWHERE: UpdateContext = { filter: new Doc(), arrayFilters: [], inserting: false, now: new Date(0) };
