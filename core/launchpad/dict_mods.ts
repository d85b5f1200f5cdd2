/**
 * The language of `mod_spec`: MongoDB-like changes of a dictionary, with `a->b` for nested keys
 * (fireworks/utilities/dict_mods.py).
 */
import { isDeepStrictEqual } from 'node:util';
import { Double, Int32, Long } from 'bson';
import { BorealisError } from '../errors.ts';
import { type Doc, isDoc, isDouble, plain, setKey } from './values.ts';

type Action = (holder: Doc, key: string, value: unknown, path: string) => void;

/** The dictionary that holds the last key of `path`; those on the way are made. */
function holderOf(doc: Doc, path: string): [Doc, string] {
  const parts = path.split('->');
  const key = parts.pop() as string;
  let at = doc;
  for (const part of parts) {
    if (!has(at, part)) setKey(at, part, {});
    const next = at[part];
    if (!isDoc(next)) throw new BorealisError(`mod_spec: '${part}' of '${path}' is not a dictionary`);
    at = next;
  }
  return [at, key];
}

const has = (holder: Doc, key: string) => Object.hasOwn(holder, key);

function list(holder: Doc, key: string, path: string): unknown[] {
  const value = has(holder, key) ? holder[key] : undefined;
  if (!Array.isArray(value)) throw new BorealisError(`mod_spec: '${path}' is not a list`);
  return value;
}

function listed(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw new BorealisError(`mod_spec: what is said of '${path}' is not a list`);
  return value;
}

const same = (a: unknown, b: unknown) => isDeepStrictEqual(plain(a), plain(b));

const ACTIONS: Record<string, Action> = {
  _set: setKey,
  _unset: (holder, key) => void delete holder[key],
  _push(holder, key, value, path) {
    if (has(holder, key)) list(holder, key, path).push(value);
    else setKey(holder, key, [value]);
  },
  _push_all(holder, key, value, path) {
    if (!has(holder, key)) return setKey(holder, key, value);
    const there = list(holder, key, path);
    for (const item of listed(value, path)) there.push(item);
  },
  _inc(holder, key, value) {
    setKey(holder, key, has(holder, key) ? sum(holder[key], value) : value);
  },
  _add_to_set(holder, key, value, path) {
    // As FireWorks: without a list there, the value itself is stored.
    if (!has(holder, key)) setKey(holder, key, value);
    else if (!list(holder, key, path).some((there) => same(there, value)))
      list(holder, key, path).push(value);
  },
  _pull(holder, key, value, path) {
    if (has(holder, key))
      setKey(
        holder,
        key,
        list(holder, key, path).filter((there) => !same(there, value)),
      );
  },
  _pull_all(holder, key, value, path) {
    if (!has(holder, key)) return;
    const gone = listed(value, path);
    const left = list(holder, key, path).filter((there) => !gone.some((one) => same(there, one)));
    setKey(holder, key, left);
  },
  _pop(holder, key, value, path) {
    if (Number(plain(value)) === 1) list(holder, key, path).pop();
    else if (Number(plain(value)) === -1) list(holder, key, path).shift();
  },
};

/** Sums as Python does: integers stay integers of any size, a float makes a float. */
function sum(a: unknown, b: unknown): unknown {
  const isFloat = (value: unknown) =>
    isDouble(value) || (typeof value === 'number' && !Number.isInteger(value));
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  const [x, y] = [plain(a), plain(b)];
  if (!['number', 'bigint'].includes(typeof x) || !['number', 'bigint'].includes(typeof y)) {
    throw new BorealisError(`mod_spec: _inc cannot add ${JSON.stringify(y)} to ${JSON.stringify(x)}`);
  }
  if (isFloat(a) || isFloat(b)) return new Double(Number(x) + Number(y));
  const exact = BigInt(x as number) + BigInt(y as number);
  if (BigInt.asIntN(32, exact) === exact) return new Int32(Number(exact));
  if (BigInt.asIntN(64, exact) === exact) return Long.fromBigInt(exact);
  throw new BorealisError(`mod_spec: _inc: ${exact} has more than 64 bits`);
}

/** Changes `doc` in place by one modification, such as `{_push: {'a->b': 1}}`. Throws BorealisError for an unknown one. */
export function applyMod(modification: Doc, doc: Doc): void {
  for (const [name, settings] of Object.entries(modification)) {
    if (!isDoc(settings)) throw new BorealisError(`mod_spec: ${name} needs a dictionary of keys and values`);
    for (const [path, value] of Object.entries(settings)) {
      if (name === '_rename') {
        // Nested keys are not renamed: FireWorks takes both names as they stand.
        if (!has(doc, path)) continue;
        setKey(doc, String(value), doc[path]);
        delete doc[path];
        continue;
      }
      const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
      if (!action)
        throw new BorealisError(
          `mod_spec: '${name}' is not one of ${[...Object.keys(ACTIONS), '_rename'].join(', ')}`,
        );
      const [holder, key] = holderOf(doc, path);
      action(holder, key, value, path);
    }
  }
}
