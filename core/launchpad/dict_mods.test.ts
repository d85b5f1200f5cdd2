import { expect, test } from 'bun:test';
import { applyMod } from './dict_mods.ts';
import { MENDED, MODS, REFUSED } from './dict_mods_cases.ts';
import { fromJson, toJson } from './json.ts';
import type { Doc } from './values.ts';

const applied = (mod: string, before: string) => {
  const doc = fromJson(before) as Doc;
  applyMod(fromJson(mod) as Doc, doc);
  return toJson(doc);
};

test.each([...MODS, ...MENDED])('%s of %s', (mod, before, after) => {
  expect(applied(mod, before)).toBe(after);
  expect('polluted' in {}).toBe(false);
});

test.each(REFUSED)('%s of %s is refused', (mod, before, message) => {
  expect(() => applied(mod, before)).toThrow(`mod_spec: ${message}`);
});

// Python raises KeyError, IndexError and OverflowError: the first two are no fault of the Firework's, the last is.
test('what is gone already may be taken away; what no document can hold is refused', () => {
  expect(applied('{"_unset": {"a": 1}}', '{}')).toBe('{}');
  expect(applied('{"_pop": {"a": 1}}', '{"a": []}')).toBe('{"a": []}');
  expect(() => applied('{"_inc": {"a": 1}}', '{"a": 9223372036854775807}')).toThrow('more than 64 bits');
});

test('a list of hundreds of thousands', () => {
  const doc: Doc = { a: [0] };
  applyMod({ _push_all: { a: Array.from({ length: 300_000 }, (_, i) => i) } }, doc);
  expect((doc.a as unknown[]).length).toBe(300_001);
});
