/** Which fields of a document are shown, and which are computed: the projection of `find`, `$project`, `$addFields`. */
import { isNumber, numberOf } from './arithmetic.ts';
import { Doc } from './document.ts';
import { badValue } from './errors.ts';
import { type Evaluate, expression, located, type Scope, truthy } from './expression.ts';
import { elementMatch, matchedElement } from './match.ts';

/** What becomes of a field: kept, left out, computed, or looked into. */
type Node = 'keep' | 'drop' | Evaluate | Tree;
type Tree = Map<string, Node>;

export type Projector = (document: Doc) => Doc;

/** What a projection of `find` does beside showing fields: it may look at the whole document again. */
type Step = (from: Doc, to: Doc) => Doc;

/** The projection of `find` and findAndModify; null when all is shown. `filter` is what the positional `field.$` refers to. */
export function projector(projection: unknown, filter: Doc = new Doc()): Projector | null {
  if (!(projection instanceof Doc) || projection.size === 0) return null;
  const steps: Step[] = [];
  const special = new Doc();
  for (const [path, value] of projection.entries()) {
    const operator = value instanceof Doc ? value.firstKey() : undefined;
    if (operator === '$slice') steps.push(slice(path, (value as Doc).get('$slice')));
    else if (operator === '$elemMatch') {
      steps.push(elementStep(path, elementMatch((value as Doc).get('$elemMatch'))));
      special.set(path, true);
    } else if (path.endsWith('.$')) {
      steps.push(positional(path.slice(0, -2), filter));
      special.set(path.slice(0, -2), true);
    } else special.set(path, value);
  }
  const show = shower(special, steps.length > 0 && special.size === 0);
  return (document) => steps.reduce((to, step) => step(document, to), show(document));
}

/** `$project`. */
export function projectStage(spec: unknown): Projector {
  if (!(spec instanceof Doc)) throw located(15969, '$project specification must be an object');
  if (spec.size === 0)
    throw located(
      51272,
      'Invalid $project :: caused by :: projection specification must have at least one field',
    );
  return shower(spec, false);
}

/** `$addFields`, `$set`. */
export function addFields(spec: unknown): Projector {
  if (!(spec instanceof Doc)) throw located(40272, '$addFields specification stage must be an object');
  const tree: Tree = new Map();
  for (const [path, value] of spec.entries()) plant(tree, path, expression(value));
  return (document) => apply(document, tree, 'add', { root: document, vars: {} }) as Doc;
}

/** `$unset`. */
export function leaveOut(paths: readonly string[]): Projector {
  const tree: Tree = new Map();
  for (const path of paths) plant(tree, path, 'drop');
  return (document) => apply(document, tree, 'exclude', { root: document, vars: {} }) as Doc;
}

function shower(spec: Doc, all: boolean): Projector {
  const tree: Tree = new Map();
  let including: string | null = null;
  let excluding: string | null = null;
  let id: Node | null = null;
  const add = (path: string, value: unknown): void => {
    if (value instanceof Doc && value.size > 0 && !value.firstKey()?.startsWith('$')) {
      for (const [key, inner] of value.entries()) add(`${path}.${key}`, inner);
      return;
    }
    const flag = typeof value === 'boolean' || isNumber(value);
    const node: Node = flag ? (truthy(value) ? 'keep' : 'drop') : expression(value);
    if (path === '_id') {
      id = node;
      return;
    }
    if (node === 'drop') excluding ??= path;
    else including ??= path;
    plant(tree, path, node);
  };
  for (const [path, value] of spec.entries()) add(path, value);
  if (including !== null && excluding !== null) {
    const last = [...spec.entries()].filter(([path]) => path !== '_id').at(-1)?.[0] ?? '';
    const leftOut = tree.get(last) === 'drop';
    throw leftOut
      ? located(31254, `Cannot do exclusion on field ${last} in inclusion projection`)
      : located(31253, `Cannot do inclusion on field ${last} in exclusion projection`);
  }
  const mode =
    including !== null || (excluding === null && id !== null && id !== 'drop' && !all)
      ? 'include'
      : 'exclude';
  if (mode === 'include') tree.set('_id', id ?? 'keep');
  else if (id === 'drop') tree.set('_id', id);
  const nodes = [...tree.values()];
  if (mode === 'include' && nodes.every((node) => node === 'keep' || node === 'drop')) {
    const kept = [...tree].flatMap(([key, node]) => (node === 'keep' ? [Buffer.from(key)] : []));
    return (document) => document.only(kept);
  }
  return (document) => apply(document, tree, mode, { root: document, vars: {} }) as Doc;
}

function plant(tree: Tree, path: string, node: Node): void {
  const parts = path.split('.');
  const last = parts.pop() as string;
  let at = tree;
  for (const part of parts) {
    const there = at.get(part);
    if (there !== undefined && !(there instanceof Map)) throw located(31249, `Path collision at ${path}`);
    const next: Tree = there ?? new Map();
    at.set(part, next);
    at = next;
  }
  if (at.has(last)) throw located(31250, `Path collision at ${path}`);
  at.set(last, node);
}

function apply(value: unknown, tree: Tree, mode: 'include' | 'exclude' | 'add', scope: Scope): unknown {
  if (Array.isArray(value)) {
    const elements = value.map((element) => apply(element, tree, mode, scope));
    return elements.filter((element) => element !== undefined);
  }
  if (!(value instanceof Doc)) {
    if (mode === 'exclude') return value;
    const made = computeInto(new Doc(), tree, mode, scope, computedOf(tree, scope));
    return made.size > 0 ? made : undefined;
  }
  // Before the copy is made: what is learnt of where its fields lie is the copy's too.
  const computed = computedOf(tree, scope);
  const to = mode === 'include' ? new Doc() : value.copy();
  if (mode === 'include') {
    for (const key of value.keysAmong(tree)) {
      const node = tree.get(key);
      if (node === 'keep') to.take(key, value);
      else if (node instanceof Map) {
        const inner = apply(value.get(key), node, mode, scope);
        if (inner !== undefined) to.set(key, inner);
      }
    }
  } else {
    for (const [key, node] of tree) {
      if (!to.has(key)) continue;
      if (node === 'drop') to.delete(key);
      else if (node instanceof Map) to.set(key, apply(value.get(key), node, mode, scope));
    }
  }
  return computeInto(to, tree, mode, scope, computed);
}

const computedOf = (tree: Tree, scope: Scope): ReadonlyMap<string, unknown> =>
  new Map([...tree].flatMap(([key, node]) => (typeof node === 'function' ? [[key, node(scope)]] : [])));

function computeInto(
  to: Doc,
  tree: Tree,
  mode: 'include' | 'exclude' | 'add',
  scope: Scope,
  computed: ReadonlyMap<string, unknown>,
): Doc {
  for (const [key, node] of tree) {
    if (typeof node === 'function') {
      const value = computed.get(key);
      if (value !== undefined) to.set(key, value);
      else if (mode === 'add') to.delete(key);
    } else if (node instanceof Map && !to.has(key)) {
      const inner = apply(undefined, node, mode === 'exclude' ? 'include' : mode, scope);
      if (inner !== undefined && mode !== 'exclude') to.set(key, inner);
    }
  }
  return to;
}

function at(document: Doc, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, part) => (value instanceof Doc ? value.get(part) : undefined), document);
}

/** A copy of `document` with `value` at `path`. */
export function put(document: Doc, [part, ...rest]: string[], value: unknown): Doc {
  const copy = document.copy();
  const inner = document.get(part as string);
  copy.set(
    part as string,
    rest.length === 0 ? value : put(inner instanceof Doc ? inner : new Doc(), rest, value),
  );
  return copy;
}

function slice(path: string, operand: unknown): Step {
  const numbers = Array.isArray(operand) ? operand : [operand];
  if (!numbers.every(isNumber) || numbers.length > 2 || numbers.length === 0)
    throw badValue('Invalid $slice syntax: a number, or an array of two');
  const [a, b] = numbers.map(numberOf) as [number, number?];
  if (b !== undefined && b <= 0) throw located(28724, 'Second argument to $slice must be a positive number');
  return (from, to) => {
    const array = at(from, path);
    if (!Array.isArray(array)) return to;
    if (b === undefined) return put(to, path.split('.'), a < 0 ? array.slice(a) : array.slice(0, a));
    const start = a < 0 ? Math.max(array.length + a, 0) : a;
    return put(to, path.split('.'), array.slice(start, start + b));
  };
}

/** Shows the first element that passes, or not the field at all. */
function elementStep(path: string, passes: (element: unknown) => boolean): Step {
  return (from, to) => {
    const array = at(from, path);
    const found = Array.isArray(array) ? array.filter(passes).slice(0, 1) : [];
    if (found.length > 0) return put(to, path.split('.'), found);
    const copy = to.copy();
    copy.delete(path);
    return copy;
  };
}

function positional(path: string, filter: Doc): Step {
  return (from, to) => {
    const array = at(from, path);
    if (!Array.isArray(array)) return to;
    const i = matchedElement(array, path, filter);
    if (i < 0)
      throw located(
        51246,
        "Executor error during find command :: caused by :: positional operator '.$' couldn't find a matching element in the array",
      );
    return put(to, path.split('.'), [array[i]]);
  };
}
