import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Json, type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { type LogLine, loggerTo } from '../log.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { isPassing } from './api_error.ts';
import { crc32c, crcText, joinCrc32c } from './crc32c.ts';
import { readEndpoints } from './endpoints.ts';
import { ByteBudget } from './in_flight.ts';
import { parseStoragePath, Storage, type StorageOptions } from './storage.ts';
import { type Trouble, testProxy } from './test_proxy.ts';

const SOON = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 10_000 };

async function world(o: StorageOptions = {}) {
  const cloud = await testCloud();
  const proxy = await testProxy(cloud.origin);
  const dir = await mkdtemp(join(tmpdir(), 'storage-'));
  const said: LogLine[] = [];
  const log = loggerTo([(line) => said.push(line)]);
  const endpoints = readEndpoints({ ...cloud.env, STORAGE_EMULATOR_HOST: proxy.origin });
  return {
    cloud,
    proxy,
    dir,
    storage: new Storage(endpoints, { log, policy: SOON, ...o }),
    file: async (name: string, data: string | Uint8Array) => {
      await writeFile(join(dir, name), data);
      return join(dir, name);
    },
    warnings: () => said.filter(({ severity }) => severity === 'WARNING').map(({ message }) => message),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}
const names = async (cloud: TestCloud) => {
  const { items = [] } = await cloud.json('GET', '/storage/v1/b/sandbox/o');
  return (items as Json[]).map(({ name }) => name);
};

test('the native CRC32C is the standard one, whatever the pieces and the order in which they are joined', () => {
  // The check value of the CRC catalogue: "123456789" is 0xe3069283.
  expect(crc32c(Buffer.from('56789'), crc32c(Buffer.from('1234')))).toBe(0xe3069283);
  expect([crcText(0xe3069283), crcText(crc32c(Buffer.alloc(0)))]).toEqual(['4waSgw==', 'AAAAAA==']);
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ maxLength: 3000 }), (a, b) => {
      const whole = crc32c(Buffer.concat([a, b]));
      return whole === crc32c(b, crc32c(a)) && whole === joinCrc32c(crc32c(a), crc32c(b), b.length);
    }),
  );
  const megabyte = Buffer.alloc(1024 * 1024, 'abc');
  const joined = joinCrc32c(crc32c(megabyte), crc32c(megabyte), megabyte.length);
  expect(joined).toBe(crc32c(Buffer.concat([megabyte, megabyte])));
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

test('objects are written, read, listed in pages; an empty one and odd names too', async () => {
  await using w = await world();
  const odd = ['a', 'a/', 'ü/ #?%2F', "it's", 'x'.repeat(1024)];
  for (const name of odd) await w.storage.write('sandbox', name, name === 'a' ? '' : name);
  for (const name of odd)
    expect(Buffer.from(await w.storage.read('sandbox', name)).toString()).toBe(name === 'a' ? '' : name);
  const listed = await Array.fromAsync(w.storage.list('sandbox', ''));
  expect(listed.map(({ name }) => name)).toEqual([...odd].sort());
  expect(listed[0]).toEqual({
    name: 'a',
    size: 0,
    updated: expect.any(Date) as Date,
    generation: expect.stringMatching(/^\d+$/) as string,
    crc32c: 'AAAAAA==',
    packed: false,
    metadata: {},
  });
  const shallow = await Array.fromAsync(w.storage.list('sandbox', '', { delimiter: '/' }));
  expect(shallow.map(({ name }) => name)).toEqual(['a', "it's", 'x'.repeat(1024)]);
  expect(await w.storage.exists('sandbox')).toBe(true);
  expect(await w.storage.exists('not-there')).toBe(false);
});

test('rights on objects are enough: a worker may not read the bucket itself', async () => {
  await using w = await world();
  using strict = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (/^\/storage\/v1\/b\/[^/]+$/.test(pathname))
        return Response.json({ error: { code: 403, message: 'no storage.buckets.get' } }, { status: 403 });
      return fetch(`${w.cloud.origin}${pathname}${search}`, request);
    },
  });
  const storage = new Storage(readEndpoints({ STORAGE_EMULATOR_HOST: strict.url.origin }), { policy: SOON });
  expect(await storage.find('sandbox', 'not/there')).toBeNull();
  await storage.write('sandbox', 'there', 'text');
  expect(await storage.find('sandbox', 'there')).toMatchObject({ name: 'there' });
  expect([await storage.exists('sandbox'), await storage.exists('not-there')]).toEqual([true, false]);
});

test('more objects than a page are all listed', async () => {
  await using w = await world();
  const { objects } = w.cloud.storage;
  for (let i = 0; i < 1001; i++)
    objects.put('sandbox', String(i), await objects.receive(new Blob(['x']).stream()), {}, {});
  expect(await Array.fromAsync(w.storage.list('sandbox', ''))).toHaveLength(1001);
}, 60_000);

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
}, 60_000);

test.each<[string, Trouble['does'][]]>([
  ['GET', [503, 429, 408, 'reset', 'lose', 'truncate', 'corrupt', 'hang']],
  ['POST', [503, 429, 408, 'reset', 'lose', 'spoil', 'hang']],
])(
  '%s fails once in each way: it is done again, and nothing wrong is kept',
  async (method, ways) => {
    await using w = await world({ answerWithinMs: 1000 });
    const text = 'some text'.repeat(1000);
    const source = await w.file('source', text);
    await w.storage.upload(source, 'sandbox', 'there');
    for (const does of ways) {
      w.proxy.trouble({ on: new RegExp(`^${method} .*(alt=media|uploadType)`), does });
      const target = join(w.dir, `back-${does}`);
      if (method === 'POST') await w.storage.upload(source, 'sandbox', `there-${does}`);
      await w.storage.download('sandbox', method === 'GET' ? 'there' : `there-${does}`, target);
      expect(await readFile(target, 'utf8')).toBe(text);
    }
    const left = (await readdir(w.dir)).sort();
    expect(left).toEqual(['source', ...ways.map((does) => `back-${does}`)].sort());
  },
  60_000,
);

test('lists and questions about objects are asked again too', async () => {
  await using w = await world({ answerWithinMs: 1000 });
  await w.storage.write('sandbox', 'a', 'some text');
  for (const does of [503, 'reset', 'truncate', 'hang'] as const) {
    w.proxy.trouble({ on: /^GET .*prefix=/, does });
    expect(await Array.fromAsync(w.storage.list('sandbox', ''))).toHaveLength(1);
    w.proxy.trouble({ on: /^GET/, does });
    expect((await w.storage.find('sandbox', 'a'))?.size).toBe(9);
  }
  expect(await w.storage.find('sandbox', 'b')).toBe(null);
});

test('bytes that stay wrong fail in the end, and leave no file', async () => {
  await using w = await world();
  await w.storage.write('sandbox', 'a', 'some text');
  w.proxy.trouble({ on: /alt=media/, does: 'corrupt', times: 100 });
  const target = join(w.dir, 'target');
  const before = 'of before'.repeat(1000);
  await writeFile(target, before);
  await expect(w.storage.download('sandbox', 'a', target)).rejects.toThrow(
    /^Cannot fetch gs:\/\/sandbox\/a: its CRC32C should be \S+ and is \S+$/,
  );
  await expect(w.storage.read('sandbox', 'a')).rejects.toThrow('its CRC32C should be');
  expect(await readFile(target, 'utf8')).toBe(before);
  w.proxy.trouble({ on: /^POST/, does: 'spoil', times: 3 });
  await expect(w.storage.upload(target, 'sandbox', 'b')).rejects.toThrow('the server got other bytes');
  expect(await names(w.cloud)).toEqual(['a']);
  expect(await readdir(w.dir)).toEqual(['target']);
}, 60_000);

const QUARTER_MIB = 256 * 1024;

/** 1.6 MB in which no two pieces are alike: 7 pieces of 256 KiB. */
function manyPieces(): Buffer {
  const bytes = Buffer.alloc(6 * QUARTER_MIB + 1234);
  for (let i = 0; i + 4 <= bytes.length; i += 4) bytes.writeUInt32LE((i * 2654435761) >>> 0, i);
  return bytes;
}

test('a large object comes in pieces side by side; a piece that fails comes again, alone', async () => {
  await using w = await world({
    pieceBytes: QUARTER_MIB,
    storePieceBytes: QUARTER_MIB,
    answerWithinMs: 1000,
    slowestBytesPerSecond: 10_000_000,
  });
  const bytes = manyPieces();
  await w.storage.upload(await w.file('large', bytes), 'sandbox', 'large');
  for (const does of [null, 503, 'reset', 'truncate', 'corrupt', 'hang'] as const) {
    w.proxy.calls.length = 0;
    if (does !== null) w.proxy.trouble({ on: /alt=media/, does });
    let counted = 0;
    await w.storage.download('sandbox', 'large', join(w.dir, 'back'), { onBytes: (n) => (counted += n) });
    expect((await readFile(join(w.dir, 'back'))).equals(bytes)).toBe(true);
    expect(counted).toBe(bytes.length);
    const pieces = w.proxy.calls.filter((call) => call.includes('alt=media')).length;
    // Which piece was wrong is not known: all of them come again.
    expect([does, pieces]).toEqual([does, does === null ? 7 : does === 'corrupt' ? 14 : 8]);
  }
  expect(w.proxy.mostAtOnce()).toBe(7);
}, 60_000);

test('a large upload that breaks goes on where it broke', async () => {
  // Only of one who hangs is no answer awaited for long: on a busy machine others take a second too.
  const clouded = (answerWithinMs: number) =>
    world({
      ...{ pieceBytes: QUARTER_MIB, storePieceBytes: QUARTER_MIB },
      ...{ answerWithinMs, slowestBytesPerSecond: 10_000_000 },
    });
  const bytes = manyPieces();
  // Requests: one that begins, 7 pieces; after a failure one that asks how far it came, and the piece unless it came.
  const cases: [Trouble['does'] | null, number[]][] = [
    [null, [8]],
    [503, [10]],
    // Bun itself sends again what a connection that was used before did not carry.
    ['reset', [9, 10]],
    ['lose', [9]],
    ['hang', [10]],
    // Seen at the end, by the checksum of all: all of it goes again.
    ['spoil', [16]],
    // The server forgot it.
    [404, [10]],
    [410, [10]],
  ];
  for (const [does, requests] of cases) {
    await using w = await clouded(does === 'hang' ? SECOND : MINUTE);
    const file = await w.file('large', bytes);
    if (does !== null) w.proxy.trouble({ on: /^PUT/, does });
    let counted = 0;
    await w.storage.upload(file, 'sandbox', `large-${does}`, { onBytes: (n) => (counted += n) });
    const { size, crc32c: sum } = await w.cloud.json('GET', `/storage/v1/b/sandbox/o/large-${does}`);
    expect([does, size, sum]).toEqual([does, String(bytes.length), crcText(crc32c(bytes))]);
    expect(requests).toContain(w.proxy.calls.length);
  }
  await using w = await clouded(MINUTE);
  const file = await w.file('large', bytes);
  w.proxy.trouble({ on: /^PUT/, does: 'spoil', times: 100 });
  await expect(w.storage.upload(file, 'sandbox', 'never')).rejects.toThrow('the server got other bytes');
  expect(await names(w.cloud)).not.toContain('never');
}, 60_000);

test('bytes under way at once are bounded, and files', async () => {
  const budget = new ByteBudget(10);
  let [now, most] = [0, 0];
  const done: number[] = [];
  await Promise.all(
    [4, 6, 25, 3, 3, 3, 1].map((bytes, i) =>
      budget.spend(bytes, async () => {
        most = Math.max(most, (now += bytes));
        await Bun.sleep(2);
        now -= bytes;
        done.push(i);
      }),
    ),
  );
  // What is larger than the budget goes alone, in its turn.
  expect([most, now, done.indexOf(2)]).toEqual([25, 0, 2]);
  await using w = await world();
  for (let i = 0; i < 40; i++) await w.file(`f${i}`, 'x');
  await w.storage.uploadTree(w.dir, 'sandbox', 't/', { concurrency: 3 });
  expect(w.proxy.mostAtOnce()).toBe(3);
});

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
}, 60_000);

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
