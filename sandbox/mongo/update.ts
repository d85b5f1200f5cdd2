/**
 * Update operators on typed documents. Written out here rather than given to mingo, which works on JavaScript numbers:
 * an update of one field would turn the 1.0 of another, or of the same, into 1.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
import { type Document, Double, Int32, Long, Timestamp } from 'bson';
import {
  badValue,
  conflictingUpdate,
  failedToParse,
  immutableField,
  MongoAnswer,
  pathNotViable,
  typeMismatch,
} from './errors.ts';
import { compareValues, isDocument } from './keys.ts';
import { matcher } from './match.ts';
import { matchedElement, plain } from './project.ts';

export interface UpdateContext {
  /** The query (numbers promoted), for the positional `$`. */
  filter: Document;
  arrayFilters: Document[];
  /** True when the document is being made by an upsert: `$setOnInsert` applies. */
  inserting: boolean;
  now: Date;
}

type Operator = (holder: Document | unknown[], key: string, operand: unknown, context: UpdateContext) => void;

/** True when `update` replaces the whole document. */
export function isReplacement(update: unknown): boolean {
  return isDocument(update) && !Object.keys(update)[0]?.startsWith('$');
}

/**
 * The document after `update`: a new one, `document` stays as it was. Throws MongoDB's error for an unknown modifier, two
 * modifiers of one path, a change of `_id`, or a path through something that is not a document.
 */
export function applyUpdate(document: Document, update: Document, context: UpdateContext): Document {
  if (Array.isArray(update))
    throw new MongoAnswer(40324, 'Location40324', 'updates with an aggregation pipeline are not supported');
  if (isReplacement(update)) {
    if (Object.keys(update).some((key) => key.startsWith('$')))
      throw failedToParse('a replacement must not have operators');
    const { _id, ...rest } = update;
    if (_id !== undefined && '_id' in document && compareValues(_id, document._id) !== 0) {
      throw immutableField(
        "After applying the update, the (immutable) field '_id' was found to have been altered",
      );
    }
    return '_id' in document ? { _id: document._id, ...rest } : update;
  }
  const result = clone(document) as Document;
  const touched: string[] = [];
  for (const [name, fields] of Object.entries(update)) {
    const operator = OPERATORS[name];
    if (!operator)
      throw failedToParse(
        `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`,
      );
    if (!isDocument(fields))
      throw failedToParse(`Modifiers operate on fields but we found type ${typeof fields} instead.`);
    for (const [path, operand] of Object.entries(fields)) {
      const clash = touched.find(
        (other) => other === path || other.startsWith(`${path}.`) || path.startsWith(`${other}.`),
      );
      if (clash) throw conflictingUpdate(`Updating the path '${path}' would create a conflict at '${clash}'`);
      touched.push(path);
      if (name === '$setOnInsert' && !context.inserting) continue;
      if (name === '$rename') {
        touched.push(String(operand));
        rename(result, path, String(operand));
        continue;
      }
      const make = name !== '$unset' && name !== '$pull' && name !== '$pullAll' && name !== '$pop';
      for (const [holder, key] of places(result, path, document, context, make))
        operator(holder, key, operand, context);
    }
  }
  if ('_id' in document && compareValues(document._id, result._id) !== 0) {
    throw immutableField("Performing an update on the path '_id' would modify the immutable field '_id'");
  }
  return result;
}

/** The places that a path names: one, or several through `$[]` and `$[name]`. Missing documents on the way are made. */
function places(
  root: Document,
  path: string,
  before: Document,
  context: UpdateContext,
  make: boolean,
): [Document | unknown[], string][] {
  let at: { value: Document | unknown[]; path: string }[] = [{ value: root, path: '' }];
  const parts = path.split('.');
  if (parts.some((part) => part === ''))
    throw new MongoAnswer(56, 'EmptyFieldName', `The update path '${path}' contains an empty field name`);
  for (const [i, raw] of parts.entries()) {
    const last = i === parts.length - 1;
    const next: typeof at = [];
    const ends: [Document | unknown[], string][] = [];
    for (const { value, path: walked } of at) {
      for (const part of steps(value, raw, walked, before, context)) {
        if (last) {
          checkHolder(value, part, walked);
          ends.push([value, part]);
          continue;
        }
        const inner = step(value, part, walked, make);
        if (inner !== undefined) next.push({ value: inner, path: walked ? `${walked}.${part}` : part });
      }
    }
    if (last) return ends;
    at = next;
  }
  return [];
}

/** The keys that one part of a path stands for in `value`. */
function steps(
  value: unknown,
  part: string,
  walked: string,
  before: Document,
  context: UpdateContext,
): string[] {
  if (part !== '$' && !part.startsWith('$[')) return [part];
  if (!Array.isArray(value)) throw badValue(`Cannot apply array updates to non-array element ${walked}`);
  if (part === '$') {
    const original = walked
      .split('.')
      .reduce<unknown>((v, key) => (v as Document | undefined)?.[key], before);
    const i = matchedElement(
      Array.isArray(original) ? original : value,
      walked.replaceAll(/\.\d+(?=\.|$)/g, ''),
      context.filter,
    );
    if (i < 0) throw badValue('The positional operator did not find the match needed from the query.');
    return [String(i)];
  }
  const name = part.slice(2, -1);
  if (name === '') return value.map((_, i) => String(i));
  const filter = context.arrayFilters.find((f) =>
    Object.keys(f).some((key) => key === name || key.startsWith(`${name}.`)),
  );
  if (!filter) throw badValue(`No array filter found for identifier '${name}' in path '${walked}.${part}'`);
  const matches = matcher(filter);
  return value.flatMap((element, i) => (matches({ [name]: plain(element) }) ? [String(i)] : []));
}

function checkHolder(value: Document | unknown[], part: string, walked: string): void {
  if (Array.isArray(value) && !/^\d+$/.test(part)) {
    throw pathNotViable(`Cannot create field '${part}' in element {${walked}: an array}`);
  }
}

/** One step along a path. Undefined when nothing is there and nothing is to be made. */
function step(
  value: Document | unknown[],
  part: string,
  walked: string,
  make: boolean,
): Document | unknown[] | undefined {
  checkHolder(value, part, walked);
  const holder = value as Document;
  const there = holder[part];
  if (there === undefined || (there === null && !(part in holder))) {
    if (!make) return undefined;
    if (Array.isArray(value)) pad(value, Number(part));
    holder[part] = {};
    return holder[part];
  }
  if (isDocument(there) || Array.isArray(there)) return there;
  if (!make) return undefined;
  throw pathNotViable(`Cannot create field in element {${part}: ${String(there)}}`);
}

/** MongoDB fills an array with nulls up to the place that is set. */
function pad(array: unknown[], until: number): void {
  while (array.length < until) array.push(null);
}

const get = (holder: Document | unknown[], key: string) => (holder as Document)[key];

function set(holder: Document | unknown[], key: string, value: unknown): void {
  if (Array.isArray(holder)) pad(holder, Number(key));
  (holder as Document)[key] = value;
}

function arrayOf(
  holder: Document | unknown[],
  key: string,
  operator: string,
  make: boolean,
): unknown[] | null {
  const there = get(holder, key);
  if (there === undefined) {
    if (!make) return null;
    set(holder, key, []);
    return get(holder, key) as unknown[];
  }
  if (!Array.isArray(there))
    throw badValue(`The field '${key}' must be an array but is of type ${typeof there} (${operator})`);
  return there;
}

const OPERATORS: Record<string, Operator> = {
  $set: set,
  $setOnInsert: set,
  $unset(holder, key) {
    if (Array.isArray(holder)) {
      if (Number(key) < holder.length) holder[Number(key)] = null;
    } else delete holder[key];
  },
  $rename: set,
  $inc: (holder, key, operand) => set(holder, key, arithmetic('$inc', get(holder, key), operand)),
  $mul: (holder, key, operand) => set(holder, key, arithmetic('$mul', get(holder, key), operand)),
  $min(holder, key, operand) {
    const there = get(holder, key);
    if (there === undefined || compareValues(operand, there) < 0) set(holder, key, operand);
  },
  $max(holder, key, operand) {
    const there = get(holder, key);
    if (there === undefined || compareValues(operand, there) > 0) set(holder, key, operand);
  },
  $currentDate(holder, key, operand, { now }) {
    const timestamp = isDocument(operand) && operand.$type === 'timestamp';
    set(holder, key, timestamp ? new Timestamp({ t: Math.floor(now.getTime() / 1000), i: 1 }) : now);
  },
  $bit(holder, key, operand) {
    const there = plain(get(holder, key) ?? 0) as number;
    const [[how, by]] = Object.entries(operand as Document) as [[string, unknown]];
    const n = plain(by) as number;
    const result = { and: there & n, or: there | n, xor: there ^ n }[how];
    if (result === undefined) throw badValue(`unknown $bit operation: ${how}`);
    set(holder, key, new Int32(result));
  },
  $push(holder, key, operand) {
    const array = arrayOf(holder, key, '$push', true) as unknown[];
    const { values, position, slice, sort } = eachOf(operand, ['$position', '$slice', '$sort']);
    array.splice(position ?? array.length, 0, ...values);
    if (sort !== undefined) sortArray(array, sort);
    if (slice !== undefined)
      array.splice(0, array.length, ...(slice < 0 ? array.slice(slice) : array.slice(0, slice)));
  },
  $addToSet(holder, key, operand) {
    const array = arrayOf(holder, key, '$addToSet', true) as unknown[];
    for (const value of eachOf(operand, []).values) {
      if (!array.some((there) => compareValues(there, value) === 0)) array.push(value);
    }
  },
  $pop(holder, key, operand) {
    const array = arrayOf(holder, key, '$pop', false);
    if (Number(plain(operand)) < 0) array?.shift();
    else array?.pop();
  },
  $pull(holder, key, operand) {
    const array = arrayOf(holder, key, '$pull', false);
    if (!array) return;
    const condition = plain(operand);
    const operators = isDocument(condition) && Object.keys(condition)[0]?.startsWith('$');
    const matches = isDocument(condition) && !operators ? matcher(condition) : null;
    const test = matches ? null : matcher({ v: condition });
    const gone = (v: unknown) =>
      matches
        ? isDocument(v) && matches(plain(v) as Document)
        : (test as (d: Document) => boolean)({ v: plain(v) });
    set(
      holder,
      key,
      array.filter((value) => !gone(value)),
    );
  },
  $pullAll(holder, key, operand) {
    const array = arrayOf(holder, key, '$pullAll', false);
    if (!array) return;
    if (!Array.isArray(operand)) throw badValue('$pullAll requires an array argument');
    set(
      holder,
      key,
      array.filter((value) => !operand.some((gone) => compareValues(gone, value) === 0)),
    );
  },
};

function eachOf(
  operand: unknown,
  modifiers: string[],
): { values: unknown[]; position?: number; slice?: number; sort?: unknown } {
  if (!isDocument(operand) || !('$each' in operand)) return { values: [operand] };
  const unknown = Object.keys(operand).find((key) => key !== '$each' && !modifiers.includes(key));
  if (unknown) throw badValue(`Unrecognized clause in $push: ${unknown}`);
  if (!Array.isArray(operand.$each)) throw badValue('The argument to $each in $push must be an array');
  const number = (key: string) => (operand[key] === undefined ? undefined : Number(plain(operand[key])));
  return {
    values: operand.$each,
    position: number('$position'),
    slice: number('$slice'),
    sort: operand.$sort,
  };
}

function sortArray(array: unknown[], sort: unknown): void {
  if (!isDocument(sort)) {
    const direction = Number(plain(sort));
    array.sort((a, b) => direction * compareValues(a, b));
    return;
  }
  const at = (value: unknown, path: string) =>
    path.split('.').reduce<unknown>((v, part) => (isDocument(v) ? v[part] : undefined), value);
  array.sort((a, b) => {
    for (const [path, direction] of Object.entries(sort)) {
      const order = Number(plain(direction)) * compareValues(at(a, path), at(b, path));
      if (order !== 0) return order;
    }
    return 0;
  });
}

function rename(root: Document, from: string, to: string): void {
  const walk = (path: string) => {
    const parts = path.split('.');
    const key = parts.pop() as string;
    return { parts, key };
  };
  const source = walk(from);
  const holder = source.parts.reduce<unknown>((v, part) => (isDocument(v) ? v[part] : undefined), root);
  if (!isDocument(holder) || !(source.key in holder)) return;
  const value = holder[source.key];
  delete holder[source.key];
  const target = walk(to);
  let into: Document = root;
  for (const part of target.parts) {
    const next = step(into, part, '', true);
    if (Array.isArray(next)) throw badValue('The destination field of a $rename cannot be an array element');
    into = next as Document;
  }
  into[target.key] = value;
}

/** Sums and products keep the wider type: int32, int64 (also when an int32 overflows), double. */
function arithmetic(operator: '$inc' | '$mul', there: unknown, by: unknown): unknown {
  if (!isNumber(by))
    throw typeMismatch(`Cannot ${operator === '$inc' ? 'increment' : 'multiply'} with non-numeric argument`);
  if (there === undefined) return operator === '$inc' ? by : arithmetic('$mul', by, new Int32(0));
  if (!isNumber(there)) throw typeMismatch(`Cannot apply ${operator} to a value of non-numeric type`);
  if (isDouble(there) || isDouble(by)) {
    const [a, b] = [Number(String(there)), Number(String(by))];
    return new Double(operator === '$inc' ? a + b : a * b);
  }
  const [a, b] = [BigInt(String(there)), BigInt(String(by))];
  const exact = operator === '$inc' ? a + b : a * b;
  const wide = there instanceof Long || by instanceof Long || BigInt.asIntN(32, exact) !== exact;
  if (BigInt.asIntN(64, exact) !== exact)
    throw badValue(`Failed to apply ${operator} operations to current value`);
  return wide ? Long.fromBigInt(exact) : new Int32(Number(exact));
}

const isDouble = (value: unknown) =>
  value instanceof Double || (typeof value === 'number' && !Number.isInteger(value));
const isNumber = (value: unknown) =>
  value instanceof Int32 || value instanceof Double || value instanceof Long || typeof value === 'number';

function clone(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clone);
  if (!isDocument(value)) return value;
  const copy: Document = {};
  for (const [key, inner] of Object.entries(value)) copy[key] = clone(inner);
  return copy;
}
