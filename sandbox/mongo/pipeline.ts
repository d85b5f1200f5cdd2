/**
 * Aggregation pipelines. Leading `$match`, `$sort` and `$limit` become a query, which has indexes; each stage after it takes
 * documents one by one and gives documents. A stage that is not here is refused as MongoDB refuses one it does not know.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation-pipeline/
 */
import { BSONSymbol, Double, Int32, Long } from 'bson';
import { add, isNumber, numberOf } from './arithmetic.ts';
import { Doc } from './document.ts';
import { failedToParse, MongoAnswer, notSupported, typeMismatch } from './errors.ts';
import {
  distinctValues,
  type Evaluate,
  expression,
  extreme,
  fieldExpressions,
  located,
} from './expression.ts';
import { encodeValue } from './keys.ts';
import { matcher } from './match.ts';
import { addFields, leaveOut, type Projector, projectStage, put } from './project.ts';
import { comparator, orderOf, type Query, run } from './query.ts';
import type { Collection } from './store.ts';
import { typeName } from './types.ts';

type Stage = (documents: Iterable<Doc>) => Iterable<Doc>;
/** Finds a collection that a stage names. */
type Collections = (name: string) => Collection | undefined;

export interface Pipeline {
  /** What the leading stages ask of the collection. */
  query: Query;
  run(collection: Collection | undefined, hint?: unknown): Generator<Doc>;
}

/** Throws MongoDB's error for what is no pipeline, before any document is read. */
export function compilePipeline(spec: unknown, collections: Collections): Pipeline {
  const stages = stagesOf(spec, collections);
  const query: Query = {};
  let lead = 0;
  for (const { name, operand } of stages) {
    if (name === '$match' && !query.filter && !query.sort && query.limit === undefined)
      query.filter = operand as Doc;
    else if (name === '$sort' && !query.sort && query.limit === undefined) query.sort = operand as Doc;
    else if (name === '$limit' && query.limit === undefined) query.limit = numberOf(operand);
    else break;
    lead++;
  }
  const rest = stages.slice(lead);
  return {
    query,
    *run(collection, hint) {
      yield* through(rest, collection ? documentsOf(collection, { ...query, hint }) : []);
    },
  };
}

/** Stages that make one document of one, and look at no other. */
const OF_AN_UPDATE = new Set(['$addFields', '$set', '$project', '$unset', '$replaceRoot', '$replaceWith']);

/** An update that is a pipeline: what becomes of a document. Throws MongoDB's error for what is none. */
export function compileUpdatePipeline(spec: readonly unknown[]): Projector {
  const stages = stagesOf(spec, () => undefined);
  const stranger = stages.find(({ name }) => !OF_AN_UPDATE.has(name));
  if (stranger)
    throw new MongoAnswer(
      72,
      'InvalidOptions',
      `${stranger.name} is not allowed to be used within an update`,
    );
  return (document) => [...through(stages, [document])][0] as Doc;
}

interface Compiled {
  name: string;
  operand: unknown;
  run: Stage;
}

function stagesOf(spec: unknown, collections: Collections): Compiled[] {
  if (!Array.isArray(spec)) throw typeMismatch("'pipeline' option must be specified as an array");
  return spec.map((stage) => {
    if (!(stage instanceof Doc)) throw typeMismatch("Each element of the 'pipeline' array must be an object");
    if (stage.size !== 1)
      throw located(40323, 'A pipeline stage specification object must contain exactly one field.');
    const name = stage.firstKey() as string;
    const build = Object.hasOwn(STAGES, name) ? STAGES[name] : undefined;
    if (!build) throw located(40324, `Unrecognized pipeline stage name: '${name}'`);
    const operand = stage.get(name);
    return { name, operand, run: build(operand, collections) };
  });
}

const through = (stages: readonly Compiled[], documents: Iterable<Doc>): Iterable<Doc> =>
  stages.reduce((input, stage) => stage.run(input), documents);

function* documentsOf(collection: Collection, query: Query): Generator<Doc> {
  for (const { document } of run(collection, query)) yield document;
}

const each = (work: (document: Doc) => Iterable<Doc>): Stage =>
  function* (documents) {
    for (const document of documents) yield* work(document);
  };

const projected = (show: Projector): Stage =>
  function* (documents) {
    for (const document of documents) yield show(document);
  };

function wholeNumber(value: unknown, stage: string, least: number): number {
  if (!isNumber(value) || !Number.isInteger(numberOf(value)))
    throw failedToParse(
      `invalid argument to ${stage} stage: Expected an integer: ${stage}: ${String(value)}`,
    );
  if (numberOf(value) < least)
    throw located(
      15958,
      `the ${least > 0 ? 'limit must be positive' : 'argument must be non-negative'} (${stage})`,
    );
  return numberOf(value);
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw located(40156, `${what} must be a non-empty string`);
  return value;
}

const bare = (path: string) => path.replace(/^\$/, '');

const STAGES: Record<string, (operand: unknown, collections: Collections) => Stage> = {
  $match: (operand) => {
    if (!(operand instanceof Doc))
      throw located(15959, 'the match filter must be an expression in an object');
    const matches = matcher(operand);
    return each((document) => (matches(document) ? [document] : []));
  },
  $project: (operand) => projected(projectStage(operand)),
  $addFields: (operand) => projected(addFields(operand)),
  $set: (operand) => projected(addFields(operand)),
  $unset: (operand) => {
    const paths = (Array.isArray(operand) ? operand : [operand]).map((path) =>
      textOf(path, '$unset specification'),
    );
    return projected(leaveOut(paths));
  },
  $replaceRoot: (operand) => newRoot(operand instanceof Doc ? operand.get('newRoot') : undefined),
  $replaceWith: newRoot,
  $limit: (operand) => {
    const most = wholeNumber(operand, '$limit', 1);
    return function* (documents) {
      let n = 0;
      for (const document of documents) {
        yield document;
        if (++n >= most) return;
      }
    };
  },
  $skip: (operand) => {
    const skip = wholeNumber(operand, '$skip', 0);
    return function* (documents) {
      let n = 0;
      for (const document of documents) if (n++ >= skip) yield document;
    };
  },
  $sort: (operand) => {
    if (!(operand instanceof Doc)) throw located(15973, 'the $sort key specification must be an object');
    if (operand.size === 0) throw located(15976, '$sort stage must have at least one sort key');
    return sortStage(operand);
  },
  $count: (operand) => {
    const name = textOf(operand, 'the count field');
    return function* (documents) {
      let n = 0;
      for (const _ of documents) n++;
      if (n > 0) yield Doc.of([[name, new Int32(n)]]);
    };
  },
  $group: group,
  $sortByCount: (operand) => {
    const counted = group(
      Doc.of([
        ['_id', operand],
        ['count', Doc.of([['$sum', new Int32(1)]])],
      ]),
    );
    const sorted = sortStage(Doc.of([['count', new Int32(-1)]]));
    return (documents) => sorted(counted(documents));
  },
  $unwind: unwind,
  $lookup: lookup,
  $unionWith: (operand, collections) => {
    const name =
      typeof operand === 'string'
        ? operand
        : textOf(operand instanceof Doc ? operand.get('coll') : undefined, "$unionWith's coll");
    const pipeline = compilePipeline((operand instanceof Doc && operand.get('pipeline')) || [], collections);
    return function* (documents) {
      yield* documents;
      yield* pipeline.run(collections(name));
    };
  },
  $facet: (operand, collections) => {
    if (!(operand instanceof Doc))
      throw located(40169, 'the $facet specification must be a non-empty object');
    const facets = [...operand.entries()].map(([name, spec]) => {
      if (!Array.isArray(spec))
        throw located(40170, `arguments to $facet must be arrays, ${name} is type ${typeName(spec)}`);
      return [name, stagesOf(spec, collections)] as const;
    });
    return function* (documents) {
      const all = [...documents];
      yield Doc.of(facets.map(([name, stages]) => [name, [...through(stages, all)]]));
    };
  },
  $sample: (operand) => {
    const size = wholeNumber(operand instanceof Doc ? operand.get('size') : undefined, '$sample', 0);
    return function* (documents) {
      const all = [...documents];
      for (let n = 0; n < size && all.length > 0; n++)
        yield* all.splice(Math.floor(Math.random() * all.length), 1);
    };
  },
};

function newRoot(operand: unknown): Stage {
  const evaluate = expression(operand);
  return each((document) => {
    const root = evaluate({ root: document, vars: {} });
    if (root instanceof Doc) return [root];
    throw located(
      40228,
      `'newRoot' expression must evaluate to an object, but resulting value was of type: ${typeName(root)}`,
    );
  });
}

function sortStage(sort: Doc): Stage {
  const { keyOf, compare } = comparator(orderOf(sort));
  return function* (documents) {
    const rows: { document: Doc; key: unknown[] }[] = [];
    for (const document of documents) rows.push({ document, key: keyOf(document) });
    for (const { document } of rows.sort((a, b) => compare(a.key, b.key))) yield document;
  };
}

/** Collects values of one group; `end` gives what came of them. */
interface Accumulator {
  add(value: unknown): void;
  end(): unknown;
}

interface Group {
  id: unknown;
  /** What its `_id` is made of. */
  values: unknown[];
  made: (Accumulator & { evaluate: Evaluate })[];
}

const ACCUMULATORS: Record<string, () => Accumulator> = {
  $sum() {
    let total: unknown = new Int32(0);
    return { add: (value) => void (isNumber(value) && (total = add(total, value))), end: () => total };
  },
  $avg() {
    let total: unknown = new Int32(0);
    let n = 0;
    return {
      add(value) {
        if (!isNumber(value)) return;
        total = add(total, value);
        n++;
      },
      end: () => (n === 0 ? null : new Double(numberOf(total) / n)),
    };
  },
  $count() {
    let n = 0;
    return { add: () => void n++, end: () => new Int32(n) };
  },
  $min: () => keeping((best, value) => extreme([best, value], -1)),
  $max: () => keeping((best, value) => extreme([best, value], 1)),
  $first() {
    let first: { value: unknown } | null = null;
    return { add: (value) => void (first ??= { value: value ?? null }), end: () => first?.value ?? null };
  },
  $last: () => keeping((_, value) => value ?? null),
  $push() {
    const values: unknown[] = [];
    return { add: (value) => void (value !== undefined && values.push(value)), end: () => values };
  },
  $addToSet() {
    const values: unknown[] = [];
    return {
      add: (value) => void (value !== undefined && values.push(value)),
      end: () => distinctValues(values),
    };
  },
  $mergeObjects() {
    const result = new Doc();
    return {
      add(value) {
        if (value instanceof Doc) for (const key of value.keys()) result.take(key, value);
      },
      end: () => result,
    };
  },
};

function keeping(choose: (kept: unknown, value: unknown) => unknown): Accumulator {
  let kept: unknown = null;
  return {
    add(value) {
      kept = choose(kept, value);
    },
    end: () => kept,
  };
}

/** What tells groups apart: the fields of an `_id` that is a document, so that it need not be made for each document; else itself. */
function partsOf(spec: unknown): Evaluate[] {
  if (spec instanceof Doc && spec.size > 0 && !spec.firstKey()?.startsWith('$'))
    return fieldExpressions(spec).map(([, evaluate]) => evaluate);
  const whole = expression(spec);
  return [(scope) => whole(scope) ?? null];
}

/** Text of a value, which equal ones alone have in common, and which none begins that others go on with. */
function keyPart(value: unknown): string {
  if (value === undefined) return 'u';
  const text = value instanceof BSONSymbol ? value.valueOf() : value;
  if (typeof text === 'string') return `s${text.length}:${text}`;
  const bytes = Buffer.from(encodeValue(value)).toString('latin1');
  return `v${bytes.length}:${bytes}`;
}

function group(operand: unknown): Stage {
  if (!(operand instanceof Doc)) throw located(15947, "a group's fields must be specified in an object");
  if (!operand.has('_id')) throw located(15955, 'a group specification must include an _id');
  const id = expression(operand.get('_id'));
  const fields = [...operand.entries()]
    .filter(([field]) => field !== '_id')
    .map(([field, spec]): [string, () => Accumulator, Evaluate] => {
      const name = spec instanceof Doc ? spec.firstKey() : undefined;
      if (!(spec instanceof Doc) || !name?.startsWith('$'))
        throw located(40234, `The field '${field}' must be an accumulator object`);
      if (spec.size !== 1) throw located(40238, `The field '${field}' must specify one accumulator`);
      const make = Object.hasOwn(ACCUMULATORS, name) ? ACCUMULATORS[name] : undefined;
      if (!make) throw located(15952, `unknown group operator '${name}'`);
      return [field, make, expression(spec.get(name))];
    });
  const parts = partsOf(operand.get('_id'));
  return function* (documents) {
    const groups = new Map<string, Group>();
    let last = null as Group | null;
    for (const document of documents) {
      const scope = { root: document, vars: {} };
      const values = parts.map((part) => part(scope));
      // One group is for all, or the next document is often of the same.
      let own: Group | undefined = last?.values.every((value, i) => value === values[i]) ? last : undefined;
      if (!own) {
        const name = values.map(keyPart).join('');
        own = groups.get(name);
        if (!own) {
          own = {
            id: id(scope) ?? null,
            values,
            made: fields.map(([, make, evaluate]) => ({ ...make(), evaluate })),
          };
          groups.set(name, own);
        }
      }
      for (const { add, evaluate } of own.made) add(evaluate(scope));
      last = own;
    }
    for (const { id, made } of groups.values())
      yield Doc.of([['_id', id], ...fields.map(([field], i) => [field, made[i]?.end()] as const)]);
  };
}

function unwind(operand: unknown): Stage {
  const options = operand instanceof Doc ? operand : Doc.of([['path', operand]]);
  const given = options.get('path');
  if (typeof given !== 'string' || !given.startsWith('$'))
    throw located(28818, `path option to $unwind stage should be prefixed with a '$': ${String(given)}`);
  const path = bare(given).split('.');
  const index = options.get('includeArrayIndex');
  const keepEmpty = options.get('preserveNullAndEmptyArrays') === true;
  const at = (document: Doc) =>
    path.reduce<unknown>((value, part) => (value instanceof Doc ? value.get(part) : undefined), document);
  const withIndex = (document: Doc, i: number | null) => {
    if (typeof index === 'string') document.set(index, i === null ? null : Long.fromNumber(i));
    return document;
  };
  return each((document) => {
    const value = at(document);
    if (Array.isArray(value) && value.length > 0)
      return value.map((element, i) => withIndex(replacedAt(document, path, element), i));
    if (Array.isArray(value) || value === null || value === undefined) {
      if (!keepEmpty) return [];
      return [
        withIndex(Array.isArray(value) ? replacedAt(document, path, undefined) : document.copy(), null),
      ];
    }
    return [withIndex(document.copy(), null)];
  });
}

/** A copy with another value at a path of documents; undefined takes the field away. */
function replacedAt(document: Doc, [part, ...rest]: string[], value: unknown): Doc {
  const copy = document.copy();
  const next = rest.length === 0 ? value : replacedAt(document.get(part as string) as Doc, rest, value);
  if (next === undefined) copy.delete(part as string);
  else copy.set(part as string, next);
  return copy;
}

function lookup(operand: unknown, collections: Collections): Stage {
  if (!(operand instanceof Doc)) throw failedToParse('the $lookup specification must be an Object');
  const known = ['from', 'localField', 'foreignField', 'as'];
  const stranger = operand.keys().find((key) => !known.includes(key));
  if (stranger === 'let' || stranger === 'pipeline')
    throw notSupported(`$lookup with '${stranger}' is not supported`);
  if (stranger) throw failedToParse(`unknown argument to $lookup: ${stranger}`);
  const [from, local, foreign, as] = known.map((field) =>
    textOf(operand.get(field), `$lookup argument '${field}'`),
  ) as [string, string, string, string];
  const localValue = expression(`$${local}`);
  return (documents) => {
    const collection = collections(from);
    return each((document) => {
      const value = localValue({ root: document, vars: {} }) ?? null;
      const wanted = Array.isArray(value) ? value : [value];
      const filter = Doc.of([[foreign, Doc.of([['$in', wanted]])]]);
      const found = collection ? [...documentsOf(collection, { filter })] : [];
      return [put(document, as.split('.'), found)];
    })(documents);
  };
}
