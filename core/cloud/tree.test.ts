import { expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { silent } from '../log.ts';
import { modeMetadata, modeOf, objectOf } from './object.ts';
import { fileFor, foldersAbove, planTree, treeEntries } from './tree.ts';

const object = (name: string) => objectOf({ name });

test.each<[string, string]>([
  ['../x', 'would be written outside /tmp/d: rename it'],
  ['a/../../x', 'would be written outside'],
  ['a/..', 'would be written outside'],
  ['..', 'would be written outside'],
  ['/etc/passwd', 'would be written outside'],
  ['a\0b', 'would be written outside'],
  ['a//b', 'has an empty part'],
  ['./a', 'has an empty part'],
  ['a/./b', 'has an empty part'],
  ['a//', 'has an empty part'],
  [`a/${'x'.repeat(256)}`, 'has a part of 256 bytes'],
  ['ü'.repeat(128), 'has a part of 256 bytes'],
])('an object %j is no file: refused with its name', (name, why) => {
  expect(() => fileFor('/tmp/d', 'p/', `p/${name}`)).toThrow(`The object 'p/${name}' `);
  expect(() => fileFor('/tmp/d', 'p/', `p/${name}`)).toThrow(why);
});

test('no name of an object ever leads out of its folder', () => {
  const part = fc.oneof(fc.constantFrom('', '.', '..', '...', '/', '\\', ' '), fc.string());
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      try {
        const file = fileFor('/tmp/d', 'p/', `p/${parts.join('/')}`);
        return file === '/tmp/d' || file.startsWith('/tmp/d/');
      } catch {
        return true;
      }
    }),
  );
});

test('a tree is planned as a whole: files, folders, and all names that cannot be, at once', () => {
  const tree = planTree(['p/', 'p/a/b/c', 'p/a/d', 'p/e/', 'p/ ü'].map(object), 'p/', '/d');
  expect(tree.files.map(({ file }) => file)).toEqual(['/d/a/b/c', '/d/a/d', '/d/ ü']);
  expect(tree.folders.sort()).toEqual(['/d', '/d/a', '/d/a/b', '/d/e']);
  expect(() => planTree(['p/a', 'p/a/b', 'p/../x', 'p/c//d'].map(object), 'p/', '/d')).toThrow(
    /^The object 'p\/\.\.\/x' .*; The object 'p\/c\/\/d' .*; 'p\/a' and objects below 'p\/a\/' cannot both be files/,
  );
  const many = Array.from({ length: 15 }, (_, i) => object(`p/${i}/../x`));
  expect(() => planTree(many, 'p/', '/d')).toThrow('; and 5 more of that kind');
  expect(foldersAbove('a/b/c')).toEqual(['a/', 'a/b/']);
  expect(foldersAbove('a/b/')).toEqual(['a/', 'a/b/']);
  expect(foldersAbove('a')).toEqual([]);
});

test('files that no object can be named after are told, all of them', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'names-'));
  try {
    const deep = join(dir, ...Array.from({ length: 4 }, () => 'x'.repeat(250)));
    await mkdir(deep, { recursive: true });
    // With the prefix: 1024 bytes, and one more.
    await writeFile(join(deep, 'y'.repeat(18)), '');
    expect((await treeEntries(dir, 'p/', silent)).map(({ name }) => name.length)).toEqual([1024]);
    await writeFile(join(deep, 'z'.repeat(19)), '');
    await writeFile(join(dir, 'a\nb'), '');
    await writeFile(join(dir, 'really \uFFFD'), '');
    await writeFile(Buffer.concat([Buffer.from(join(dir, 'latin-')), Buffer.from([0xe9])]), '');
    await expect(treeEntries(dir, 'p/', silent)).rejects.toThrow(
      /a\nb cannot be stored: its name has a line break; .*latin-\uFFFD cannot be stored: its name is no UTF-8; .*z+ cannot be stored: its object's name would have 1025 bytes/,
    );
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('permissions are kept where gsutil and gcloud keep them', () => {
  expect(modeMetadata(0o100755)).toEqual({ 'goog-reserved-posix-mode': '0755' });
  expect(modeMetadata(0o100644)).toEqual({});
  expect(modeMetadata(0o104007)).toEqual({ 'goog-reserved-posix-mode': '0007' });
  const withMode = (text?: string) =>
    modeOf({ ...object('a'), metadata: text === undefined ? {} : { 'goog-reserved-posix-mode': text } });
  expect([undefined, '0755', '755', '100750', '0000', '4755', 'x', '999'].map(withMode)).toEqual([
    0o644, 0o755, 0o755, 0o750, 0o400, 0o755, 0o644, 0o644,
  ]);
});
