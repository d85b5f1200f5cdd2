/** Projections on documents whose numbers keep their type: what is not asked for is left out, nothing else changes. */
import type { Document } from 'bson';
import { badValue } from './errors.ts';
import { isDocument } from './keys.ts';
import { matcher } from './match.ts';

type Tree = { [field: string]: Tree | true };

/**
 * A function that applies MongoDB's `projection`: inclusion or exclusion by dotted paths, `$slice`, `$elemMatch`, and the
 * positional `field.$` (the first element that `filter` matches). Computed fields are refused.
 */
export function projector(
  projection: Document | undefined,
  filter: Document = {},
): ((document: Document) => Document) | null {
  if (!projection || Object.keys(projection).length === 0) return null;
  const shown: string[] = [];
  const hidden: string[] = [];
  const after: ((from: Document, to: Document) => void)[] = [];
  let id: boolean | undefined;
  let elemMatch = false;
  for (const [path, value] of Object.entries(projection)) {
    if (isDocument(value)) {
      const [operator] = Object.keys(value);
      if (operator === '$slice') after.push(slice(path, value.$slice));
      else if (operator === '$elemMatch') {
        elemMatch = true;
        after.push(elementMatch(path, value.$elemMatch as Document));
      } else throw badValue(`unknown projection operator: ${operator ?? path}`);
    } else if (path === '_id') id = Boolean(value);
    else if (path.endsWith('.$')) {
      shown.push(path.slice(0, -2));
      after.push(positional(path.slice(0, -2), filter));
    } else if (typeof value === 'string') throw badValue('computed projections are not supported');
    else (value ? shown : hidden).push(path);
  }
  if (shown.length > 0 && hidden.length > 0) {
    throw badValue(`Cannot do exclusion on field ${hidden[0]} in inclusion projection`);
  }
  const including =
    shown.length > 0 || elemMatch || (id === true && hidden.length === 0 && after.length === 0);
  const tree = treeOf(including ? shown : hidden);
  if (including ? id !== false : id === false) tree._id = true;
  return (document) => {
    const to = (including ? include(document, tree) : exclude(document, tree)) as Document;
    for (const step of after) step(document, to);
    return to;
  };
}

function treeOf(paths: string[]): Tree {
  const tree: Tree = {};
  for (const path of paths) {
    const parts = path.split('.');
    let at = tree;
    for (const [i, part] of parts.entries()) {
      if (at[part] === true) break;
      if (i === parts.length - 1) at[part] = true;
      else at = (at[part] ??= {}) as Tree;
    }
  }
  return tree;
}

function include(value: unknown, tree: Tree): unknown {
  if (Array.isArray(value)) {
    return value.filter((v) => isDocument(v) || Array.isArray(v)).map((element) => include(element, tree));
  }
  if (!isDocument(value)) return undefined;
  const to: Document = {};
  for (const [field, inner] of Object.entries(value)) {
    const branch = tree[field];
    if (branch === undefined) continue;
    const kept = branch === true ? inner : include(inner, branch);
    if (kept !== undefined) to[field] = kept;
  }
  return to;
}

function exclude(value: unknown, tree: Tree): unknown {
  if (Array.isArray(value)) return value.map((element) => exclude(element, tree));
  if (!isDocument(value)) return value;
  const to: Document = {};
  for (const [field, inner] of Object.entries(value)) {
    const branch = tree[field];
    if (branch !== true) to[field] = branch === undefined ? inner : exclude(inner, branch);
  }
  return to;
}

function arrayAt(
  document: Document,
  path: string,
): { holder: Document; field: string; array: unknown[] } | null {
  const parts = path.split('.');
  const field = parts.pop() as string;
  let holder: unknown = document;
  for (const part of parts) holder = isDocument(holder) ? holder[part] : undefined;
  const array = isDocument(holder) ? holder[field] : undefined;
  return Array.isArray(array) ? { holder: holder as Document, field, array } : null;
}

function put(to: Document, path: string, value: unknown): void {
  const parts = path.split('.');
  const field = parts.pop() as string;
  let holder = to;
  for (const part of parts) {
    // A copy: the branch may still be the stored document's own.
    holder[part] = isDocument(holder[part]) ? { ...(holder[part] as Document) } : {};
    holder = holder[part] as Document;
  }
  holder[field] = value;
}

function slice(path: string, operand: unknown): (from: Document, to: Document) => void {
  const numbers = (Array.isArray(operand) ? operand : [operand]).map(Number);
  if (numbers.some(Number.isNaN) || numbers.length > 2) throw badValue('$slice needs a number or two');
  return (from, to) => {
    const at = arrayAt(from, path);
    if (!at) return;
    const [a, b] = numbers as [number, number?];
    if (b === undefined) put(to, path, a < 0 ? at.array.slice(a) : at.array.slice(0, a));
    else {
      const start = a < 0 ? Math.max(at.array.length + a, 0) : a;
      put(to, path, at.array.slice(start, start + b));
    }
  };
}

function elementMatch(path: string, condition: Document): (from: Document, to: Document) => void {
  const operators = Object.keys(condition)[0]?.startsWith('$');
  const matches = matcher(operators ? { v: condition } : condition);
  return (from, to) => {
    const found = arrayAt(from, path)?.array.find((element) =>
      operators ? matches({ v: plain(element) }) : isDocument(element) && matches(plain(element) as Document),
    );
    if (found !== undefined) put(to, path, [found]);
  };
}

function positional(path: string, filter: Document): (from: Document, to: Document) => void {
  return (from, to) => {
    const at = arrayAt(from, path);
    const i = at ? matchedElement(at.array, path, filter) : -1;
    if (at && i >= 0) put(to, path, [at.array[i]]);
  };
}

/** The place of the first element of the array at `path` that meets what `filter` says about it; -1 when none does. */
export function matchedElement(array: readonly unknown[], path: string, filter: Document): number {
  const tests: ((element: unknown) => boolean)[] = [];
  const collect = (part: Document): void => {
    for (const [field, value] of Object.entries(part)) {
      if (field === '$and') for (const inner of value as Document[]) collect(inner);
      else if (field.startsWith(`${path}.`)) {
        const inner = matcher({ [field.slice(path.length + 1)]: value });
        tests.push((element) => isDocument(element) && inner(plain(element) as Document));
      } else if (field === path && isDocument(value) && '$elemMatch' in value) {
        const condition = value.$elemMatch as Document;
        const operators = Object.keys(condition)[0]?.startsWith('$');
        const inner = matcher(operators ? { v: condition } : condition);
        tests.push((e) =>
          operators ? inner({ v: plain(e) }) : isDocument(e) && inner(plain(e) as Document),
        );
      } else if (field === path) {
        const inner = matcher({ v: value });
        tests.push((element) => inner({ v: plain(element) }));
      }
    }
  };
  collect(filter);
  if (tests.length === 0) return -1;
  return array.findIndex((element) => tests.every((test) => test(element)));
}

/** A typed value with its numbers promoted, for matching. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (isDocument(value)) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  const type = (value as { _bsontype?: string } | null)?._bsontype;
  if (type === 'Int32' || type === 'Double') return (value as { value: number }).value;
  if (type === 'Long') {
    const n = Number(String(value));
    return Number.isSafeInteger(n) ? n : value;
  }
  return value;
}
