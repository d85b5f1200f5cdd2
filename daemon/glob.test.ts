import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonGlob } from './glob.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glob-'));
  await mkdir(join(folder, 'sub/deep'), { recursive: true });
  const files = ['a.txt', 'b.txt', '.hid', 'x[1].txt', '{a,b}.txt', 'é.txt', '^.txt'];
  for (const file of [...files, 'sub/c.txt', 'sub/deep/d.txt']) await writeFile(join(folder, file), '');
});
afterAll(() => rm(folder, { recursive: true }));

/** As Python 3.11's `glob.glob` answers. */
const cases: [string, string[]][] = [
  ['a.txt', ['a.txt']],
  ['nope', []],
  ['nope/*', []],
  ['a.txt/*', []],
  ['*.txt', ['^.txt', 'a.txt', 'b.txt', 'x[1].txt', '{a,b}.txt', 'é.txt']],
  ['**/*.txt', ['sub/c.txt']],
  ['*/*/*', ['sub/deep/d.txt']],
  ['{a,b}.txt', ['{a,b}.txt']],
  ['[ab].txt', ['a.txt', 'b.txt']],
  ['[!ab^].txt', ['é.txt']],
  ['[^a].txt', ['^.txt', 'a.txt']],
  ['[a-b].txt', ['a.txt', 'b.txt']],
  ['x[[]1].txt', ['x[1].txt']],
  ['x[1].txt', []],
  ['?.txt', ['^.txt', 'a.txt', 'b.txt', 'é.txt']],
  ['!(a).txt', []],
  ['.*', ['.hid']],
  ['s*/./c.txt', ['sub/c.txt']],
  ['sub/../a.txt', ['a.txt']],
];
test.each(cases)('%s', (pattern, found) => {
  const whole = found.map((name) => join(folder, name));
  expect(pythonGlob(pattern, folder)).toEqual(whole);
  expect(pythonGlob(join(folder, '/').concat(pattern), '/nowhere')).toEqual(whole);
});
