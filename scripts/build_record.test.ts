import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCurrent, recordBuild } from './build_record.ts';

let checkout: string;
let binary: string;
const inCheckout = (name: string) => join(checkout, name);

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'build-record-'));
  binary = inCheckout('program');
  for (const [name, text] of Object.entries({ 'a.ts': 'a', 'b.ts': 'b', 'beside.ts': 'c', program: 'abc' }))
    await writeFile(inCheckout(name), text);
  for (const name of ['a.ts', 'b.ts']) await utimes(inCheckout(name), 1000, 1000);
});
afterEach(() => rm(checkout, { recursive: true }));

/** As after a build of a.ts and b.ts that began now. */
const record = (startedMs = Date.now()) =>
  recordBuild(binary, {
    recipe: 'recipe',
    checkout,
    cwd: checkout,
    startedMs,
    metafile: { inputs: { 'a.ts': {}, 'b.ts': {} } },
  });
const current = (recipe = 'recipe') => isCurrent(binary, recipe, checkout);

test('what was not recorded is not current; what was is, until one thing is different', async () => {
  expect(await current()).toBe(false);
  await record();
  expect(await current()).toBe(true);
  expect(await current('another')).toBe(false);
});

test.each<[string, boolean, () => Promise<unknown>]>([
  ['a source that has another content', false, () => writeFile(inCheckout('a.ts'), 'A')],
  [
    'a source that has its content again, as after git checkout',
    true,
    () => writeFile(inCheckout('a.ts'), 'a'),
  ],
  ['a source that is gone', false, () => rm(inCheckout('b.ts'))],
  ['a file that is not in it', true, () => writeFile(inCheckout('beside.ts'), 'C')],
  ['another binary', false, () => writeFile(binary, 'xyz')],
  ['no binary', false, () => rm(binary)],
  ['a record cut off half-way', false, () => writeFile(inCheckout('.program.json'), '{"recipe"')],
])('%s: current %p', async (_, expected, change) => {
  await record();
  await change();
  expect(await current()).toBe(expected);
});

test('a source that changes while it is built leaves no record', async () => {
  const startedMs = Date.now();
  await writeFile(inCheckout('a.ts'), 'edited meanwhile');
  await record(startedMs);
  expect(await current()).toBe(false);
});
