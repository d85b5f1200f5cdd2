import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Json, type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { type LogLine, loggerTo } from '../log.ts';
import { isPassing } from './api_error.ts';
import { NativeCrc32c } from './crc32c.ts';
import { readEndpoints } from './endpoints.ts';
import { fileFor, parseStoragePath, Storage } from './storage.ts';

const SOON = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 2000 };

async function world() {
  const cloud = await testCloud();
  const dir = await mkdtemp(join(tmpdir(), 'storage-'));
  const said: LogLine[] = [];
  const log = loggerTo([(line) => said.push(line)]);
  return {
    cloud,
    dir,
    storage: new Storage(readEndpoints(cloud.env), 'sandbox', log, SOON),
    file: async (name: string, data: string | Uint8Array) => {
      await writeFile(join(dir, name), data);
      return join(dir, name);
    },
    warnings: () => said.filter(({ severity }) => severity === 'WARNING').map(({ message }) => message),
    async [Symbol.asyncDispose]() {
      await cloud[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}
const names = async (cloud: TestCloud) => {
  const { items = [] } = await cloud.json('GET', '/storage/v1/b/sandbox/o');
  return (items as Json[]).map(({ name }) => name);
};

test('the native CRC32C is the standard one, whatever the pieces', () => {
  // The check value of the CRC catalogue: "123456789" is 0xe3069283.
  const crc = new NativeCrc32c();
  crc.update(Buffer.from('1234'));
  crc.update(Buffer.from('56789'));
  expect([crc.valueOf(), crc.toString()]).toEqual([0xe3069283, '4waSgw==']);
  expect([
    crc.validate('4waSgw=='),
    crc.validate(0xe3069283),
    crc.validate('AAAAAA=='),
    crc.validate(1),
  ]).toEqual([true, true, false, false]);
  expect(new NativeCrc32c().toString()).toBe('AAAAAA==');
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const [whole, parts] = [new NativeCrc32c(), new NativeCrc32c()];
      whole.update(Buffer.concat([a, b]));
      parts.update(Buffer.from(a));
      parts.update(Buffer.from(b));
      return whole.toString() === parts.toString();
    }),
  );
});

test.each([
  ['gs://my-bucket/a/b', 'my-bucket', 'a/b'],
  ['my-bucket/a b', 'my-bucket', 'a b'],
  ['gs://my-bucket', 'my-bucket', ''],
  ['my.bucket_1/', 'my.bucket_1', ''],
])('%s is bucket %s, path %s', (text, bucket, path) => {
  expect(parseStoragePath(text)).toEqual({ bucket, path });
});

test.each(['', 'gs://', '/etc/passwd', 'gs://A/b', 's3://bucket/x', 'ab'])(
  '%s is no storage path',
  (text) => {
    expect(() => parseStoragePath(text)).toThrow('is no storage path');
  },
);

test.each(['../x', 'a/../../x', 'a/..', 'a\0b', '..'])(
  'an object %j is not written outside its folder',
  (name) => {
    expect(() => fileFor('/tmp/d', 'p/', `p/${name}`)).toThrow('rename it');
  },
);

test('objects are written, read, listed in pages; an empty one and odd names too', async () => {
  await using w = await world();
  const odd = ['a', 'a/', 'ü/ #?%2F', "it's", 'x'.repeat(900)];
  for (const name of odd) await w.storage.write('sandbox', name, name === 'a' ? '' : name);
  for (const name of odd)
    expect(Buffer.from(await w.storage.read('sandbox', name)).toString()).toBe(name === 'a' ? '' : name);
  const listed = await Array.fromAsync(w.storage.list('sandbox', ''));
  expect(listed.map(({ name }) => name)).toEqual([...odd].sort());
  expect(listed[0]).toEqual({ name: 'a', size: 0, updated: expect.any(Date) as Date });
  const shallow = await Array.fromAsync(w.storage.list('sandbox', '', '/'));
  expect(shallow.map(({ name }) => name)).toEqual(['a', "it's", 'x'.repeat(900)]);
  expect(await w.storage.exists('sandbox')).toBe(true);
  expect(await w.storage.exists('not-there')).toBe(false);
});

test('more objects than a page are all listed', async () => {
  await using w = await world();
  const { objects } = w.cloud.storage;
  for (let i = 0; i < 1001; i++)
    objects.put('sandbox', String(i), await objects.receive(new Blob(['x']).stream()), {}, {});
  expect(await Array.fromAsync(w.storage.list('sandbox', ''))).toHaveLength(1001);
}, 15_000);

test('a small file and one of several pieces go there and come back as they were', async () => {
  await using w = await world();
  const large = Buffer.alloc(17 * 1024 * 1024);
  for (let i = 0; i < large.length; i += 4096) large.writeUInt32LE(i, i);
  for (const [name, bytes] of [
    ['small', Buffer.from('text')],
    ['empty', Buffer.alloc(0)],
    ['large', large],
  ] as const) {
    await w.storage.upload(await w.file(name, bytes), 'sandbox', name);
    const { md5Hash, size } = await w.cloud.json('GET', `/storage/v1/b/sandbox/o/${name}`);
    expect([size, md5Hash]).toEqual([String(bytes.length), createHash('md5').update(bytes).digest('base64')]);
    const back = join(w.dir, 'back', name);
    await w.storage.download('sandbox', name, back);
    expect((await readFile(back)).equals(bytes)).toBe(true);
  }
  expect((await readdir(join(w.dir, 'back'))).sort()).toEqual(['empty', 'large', 'small']);
}, 20_000);

test('busy servers, broken connections and truncated or wrong bytes: tried again, and nothing wrong is kept', async () => {
  await using w = await world();
  const { faults } = w.cloud;
  const source = await w.file('source', 'some text');
  for (const status of [503, 429]) faults.add({ service: 'storage', match: 'POST', status });
  await w.storage.upload(source, 'sandbox', 'a');
  faults.add({ service: 'storage', match: 'POST', cut: true });
  await w.storage.upload(source, 'sandbox', 'b');
  expect(await names(w.cloud)).toEqual(['a', 'b']);
  for (const fault of [{ status: 503 }, { cut: true }, { corrupt: true }]) {
    faults.add({ service: 'storage', match: 'GET', ...fault });
    const target = join(w.dir, `back-${Object.keys(fault)}`);
    await w.storage.download('sandbox', 'a', target);
    expect(await readFile(target, 'utf8')).toBe('some text');
    faults.add({ service: 'storage', match: 'GET', ...fault });
    expect(Buffer.from(await w.storage.read('sandbox', 'a')).toString()).toBe('some text');
  }
  faults.add({ service: 'storage', match: 'GET', status: 503 });
  expect(await Array.fromAsync(w.storage.list('sandbox', ''))).toHaveLength(2);
}, 15_000);

test('bytes that stay wrong fail in the end, and leave no file', async () => {
  await using w = await world();
  await w.storage.write('sandbox', 'a', 'some text');
  w.cloud.faults.add({ service: 'storage', match: 'GET', corrupt: true, times: 100 });
  const target = join(w.dir, 'target');
  await writeFile(target, 'of before');
  await expect(w.storage.download('sandbox', 'a', target)).rejects.toThrow('Cannot fetch gs://sandbox/a: ');
  expect(await readFile(target, 'utf8')).toBe('of before');
  expect(await readdir(w.dir)).toEqual(['target']);
}, 15_000);

test('a large upload that breaks goes on where it broke', async () => {
  await using w = await world();
  const bytes = Buffer.alloc(17 * 1024 * 1024, 'abc');
  const file = await w.file('large', bytes);
  w.cloud.faults.add({ service: 'storage', match: 'PUT', status: 503 });
  await w.storage.upload(file, 'sandbox', 'large');
  const { size, crc32c } = await w.cloud.json('GET', '/storage/v1/b/sandbox/o/large');
  const crc = new NativeCrc32c();
  crc.update(bytes);
  expect([size, crc32c]).toEqual([String(bytes.length), crc.toString()]);
}, 20_000);

test('a bucket or object that is not there is told with what mends it', async () => {
  await using w = await world();
  const noBucket =
    "Bucket 'not-there' does not exist. Create it: gcloud storage buckets create gs://not-there";
  const file = await w.file('a', 'text');
  const large = await w.file('large', Buffer.alloc(17 * 1024 * 1024));
  await expect(w.storage.upload(file, 'not-there', 'a')).rejects.toThrow(noBucket);
  await expect(w.storage.upload(large, 'not-there', 'a')).rejects.toThrow(noBucket);
  await expect(w.storage.write('not-there', 'a', '')).rejects.toThrow(noBucket);
  await expect(w.storage.read('not-there', 'a')).rejects.toThrow(noBucket);
  await expect(w.storage.downloadTree('not-there', '', join(w.dir, 'tree'))).rejects.toThrow(noBucket);
  await expect(Array.fromAsync(w.storage.list('not-there', ''))).rejects.toThrow(noBucket);
  const target = join(w.dir, 'sub', 'target');
  await expect(w.storage.download('sandbox', 'nothing', target)).rejects.toThrow(
    'Cannot fetch gs://sandbox/nothing: there is no such object',
  );
  expect(existsSync(target)).toBe(false);
  w.cloud.faults.add({ service: 'storage', status: 403 });
  await expect(w.storage.upload(file, 'sandbox', 'a')).rejects.toThrow('The account needs the permission');
}, 15_000);

test('an interrupted transfer ends at once with the reason it was given', async () => {
  await using w = await world();
  await w.storage.write('sandbox', 'a', 'text');
  const why = new Error('preempted');
  for (const act of [
    (signal: AbortSignal) => w.storage.download('sandbox', 'a', join(w.dir, 'a'), { signal }),
    async (signal: AbortSignal) => w.storage.upload(await w.file('b', 'b'), 'sandbox', 'b', { signal }),
    (signal: AbortSignal) => w.storage.downloadTree('sandbox', '', join(w.dir, 'tree'), { signal }),
  ]) {
    const stop = new AbortController();
    w.cloud.faults.add({ service: 'storage', delayMs: 200 });
    const doing = act(stop.signal);
    setTimeout(() => stop.abort(why), 20);
    await expect(doing).rejects.toBe(why);
    w.cloud.faults.clear();
  }
  expect(existsSync(join(w.dir, 'a'))).toBe(false);
});

test('a tree goes there and comes back: empty folders, links inside, nothing from outside', async () => {
  await using w = await world();
  const tree = join(w.dir, 'tree');
  await mkdir(join(tree, 'sub', 'empty'), { recursive: true });
  await writeFile(join(tree, 'a'), 'A');
  await writeFile(join(tree, 'sub', 'ü b'), 'B');
  await symlink('a', join(tree, 'link'));
  await symlink('/etc/passwd', join(tree, 'out'));
  await symlink('nowhere', join(tree, 'broken'));
  await symlink('sub', join(tree, 'folder'));
  expect(await w.storage.uploadTree(tree, 'sandbox', 'p/')).toBe(3);
  expect(await names(w.cloud)).toEqual(['p/a', 'p/link', 'p/sub/empty/', 'p/sub/ü b']);
  expect(w.warnings().map((line) => line.split(' ')[0])).toEqual(['broken', 'folder', 'out']);
  const back = join(w.dir, 'back');
  await w.storage.write('sandbox', 'pp', 'not of the tree');
  expect(await w.storage.downloadTree('sandbox', 'p/', back)).toBe(3);
  const found = await readdir(back, { recursive: true });
  expect(found.sort()).toEqual(['a', 'link', 'sub', 'sub/empty', 'sub/ü b']);
  expect(await readFile(join(back, 'link'), 'utf8')).toBe('A');
  w.cloud.storage.objects.put(
    'sandbox',
    'q/../../x',
    await w.cloud.storage.objects.receive(new Blob(['x']).stream()),
    {},
    {},
  );
  await expect(w.storage.downloadTree('sandbox', 'q/', join(w.dir, 'q'))).rejects.toThrow('rename it');
});

test('of a tree that breaks no new file is begun', async () => {
  await using w = await world();
  const tree = join(w.dir, 'tree');
  await mkdir(tree);
  for (let i = 0; i < 40; i++) await writeFile(join(tree, String(i).padStart(2, '0')), 'x');
  w.cloud.faults.add({ service: 'storage', match: 'POST', status: 403 });
  await expect(w.storage.uploadTree(tree, 'sandbox', '', { concurrency: 2 })).rejects.toThrow(
    'The account needs',
  );
  expect((await names(w.cloud)).length).toBeLessThan(10);
});
