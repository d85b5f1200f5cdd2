import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { type Json, type TestCloud, testCloud, until } from '../test_cloud.ts';

const KIB = 1024;
const O = '/storage/v1/b/sandbox/o';
const UPLOAD = '/upload/storage/v1/b/sandbox/o';

const put = async (cloud: TestCloud, name: string, body: string | Uint8Array = name) =>
  await cloud.json('POST', `${UPLOAD}?uploadType=media&name=${encodeURIComponent(name)}`, body);
const read = async (cloud: TestCloud, name: string, query = '') =>
  await (await cloud.call('GET', `${O}/${encodeURIComponent(name)}?alt=media${query}`)).text();
const md5 = (bytes: string | Uint8Array) => createHash('md5').update(bytes).digest('base64');
const crc = (bytes: string | Uint8Array) => {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(crc32c(Buffer.from(bytes as Uint8Array)));
  return four.toString('base64');
};
const blobs = (cloud: TestCloud) => readdir(join(cloud.dir, 'storage', 'blobs'));
/** Status and reason of a refusal. */
const refused = async (answer: Promise<Response>) => {
  const response = await answer;
  const { error } = (await response.json()) as { error: { code: number; errors: [{ reason: string }] } };
  expect(error.code).toBe(response.status);
  return [response.status, error.errors[0].reason];
};

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource and buckets#resource */
const OBJECT_FIELDS =
  'kind id selfLink mediaLink name bucket generation metageneration contentType storageClass size softDeleteTime hardDeleteTime restoreToken md5Hash contentEncoding contentDisposition contentLanguage cacheControl crc32c componentCount etag kmsKeyName temporaryHold eventBasedHold retentionExpirationTime retention timeCreated updated timeDeleted timeStorageClassUpdated timeFinalized customTime metadata contexts acl owner customerEncryption'.split(
    ' ',
  );
const BUCKET_FIELDS =
  'kind id selfLink projectNumber name timeCreated updated generation metageneration acl defaultObjectAcl iamConfiguration encryption owner location locationType rpo website logging versioning cors lifecycle autoclass labels storageClass billing retentionPolicy defaultEventBasedHold customPlacementConfig softDeletePolicy objectRetention hierarchicalNamespace ipFilter etag satisfiesPZS satisfiesPZI'.split(
    ' ',
  );

test('resources have the fields of the JSON API, 64-bit numbers as text', async () => {
  await using cloud = await testCloud();
  const bucket = await cloud.json('POST', '/storage/v1/b?project=sandbox', {
    name: 'full',
    location: 'us-west1',
    labels: { a: 'b' },
  });
  const said = {
    contentType: 'text/plain',
    contentDisposition: 'attachment',
    contentLanguage: 'en',
    cacheControl: 'no-store',
    customTime: '2026-01-01T00:00:00.000Z',
    metadata: { a: 'b' },
  };
  const object = await multipart(cloud, { name: 'a/b c', ...said }, 'text');
  const composed = await cloud.json('POST', `${O}/all/compose`, { sourceObjects: [{ name: 'a/b c' }] });
  for (const one of [bucket, await cloud.json('GET', '/storage/v1/b/full')])
    expect(Object.keys(one).filter((key) => !BUCKET_FIELDS.includes(key))).toEqual([]);
  for (const one of [object, composed, await cloud.json('GET', `${O}/a%2Fb%20c`)]) {
    expect(Object.keys(one).filter((key) => !OBJECT_FIELDS.includes(key))).toEqual([]);
    for (const key of ['generation', 'metageneration', 'size']) expect(one[key]).toMatch(/^\d+$/);
    for (const key of ['timeCreated', 'updated'])
      expect(new Date(String(one[key])).toISOString()).toBe(String(one[key]));
  }
  expect(object).toMatchObject({
    kind: 'storage#object',
    id: `sandbox/a/b c/${object.generation}`,
    selfLink: `${cloud.origin}${O}/a%2Fb%20c`,
    bucket: 'sandbox',
    name: 'a/b c',
    size: '4',
    md5Hash: md5('text'),
    crc32c: crc('text'),
    ...said,
  });
  expect(bucket).toMatchObject({
    kind: 'storage#bucket',
    id: 'full',
    location: 'US-WEST1',
    locationType: 'region',
  });
  expect(composed).toMatchObject({ componentCount: 1, crc32c: crc('text') });
  expect(composed.md5Hash).toBeUndefined();
  expect(await (await cloud.call('GET', String(object.mediaLink))).text()).toBe('text');
});

async function multipart(cloud: TestCloud, meta: Json, bytes: string, query = '') {
  const body = `--xx\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(meta)}\r\n--xx\r\nContent-Type: text/x\r\n\r\n${bytes}\r\n--xx--`;
  const headers = { 'content-type': 'multipart/related; boundary="xx"' };
  return (await (
    await cloud.call('POST', `${UPLOAD}?uploadType=multipart${query}`, body, headers)
  ).json()) as Json;
}

test('buckets: made, listed in pages, changed, deleted when empty', async () => {
  await using cloud = await testCloud();
  for (const name of ['b-2', 'b-1', 'c-1']) await cloud.json('POST', '/storage/v1/b', { name });
  const first = await cloud.json('GET', '/storage/v1/b?project=sandbox&prefix=b&maxResults=1');
  expect(first.items).toMatchObject([{ name: 'b-1' }]);
  const second = await cloud.json('GET', `/storage/v1/b?prefix=b&pageToken=${first.nextPageToken}`);
  expect([second.items, second.nextPageToken]).toMatchObject([[{ name: 'b-2' }], undefined] as never);
  await cloud.json('PATCH', '/storage/v1/b/b-1', { labels: { a: '1', b: '2' } });
  const patched = await cloud.json('PATCH', '/storage/v1/b/b-1?ifMetagenerationMatch=2', {
    labels: { a: null },
  });
  expect(patched).toMatchObject({ labels: { b: '2' }, metageneration: '3' });
  expect(Object.keys(patched.labels as Json)).toEqual(['b']);
  expect(await refused(cloud.call('PATCH', '/storage/v1/b/b-1?ifMetagenerationMatch=2', {}))).toEqual([
    412,
    'conditionNotMet',
  ]);
  expect(await refused(cloud.call('POST', '/storage/v1/b', { name: 'b-1' }))).toEqual([409, 'conflict']);
  expect(await refused(cloud.call('POST', '/storage/v1/b', { name: 'Not_Good!' }))).toEqual([400, 'invalid']);
  await put(cloud, 'x');
  expect(await refused(cloud.call('DELETE', '/storage/v1/b/sandbox'))).toEqual([409, 'conflict']);
  expect((await cloud.call('DELETE', '/storage/v1/b/b-1')).status).toBe(204);
  const missing: [string, string][] = [
    ['GET', '/storage/v1/b/b-1'],
    ['GET', '/storage/v1/b/b-1/o'],
    ['GET', '/storage/v1/b/b-1/o/x'],
    ['DELETE', '/storage/v1/b/b-1'],
    ['POST', '/upload/storage/v1/b/b-1/o?uploadType=media&name=x'],
    ['POST', '/upload/storage/v1/b/b-1/o?uploadType=resumable&name=x'],
    ['POST', `${O}/x/rewriteTo/b/b-1/o/x`],
  ];
  for (const [method, path] of missing)
    expect([method, path, ...(await refused(cloud.call(method, path)))]).toEqual([
      method,
      path,
      404,
      'notFound',
    ]);
  expect(await blobs(cloud)).toHaveLength(1);
});

test('simple and multipart uploads', async () => {
  await using cloud = await testCloud();
  const headers = { 'content-type': 'text/plain' };
  const simple = await cloud.call(
    'POST',
    `${UPLOAD}?uploadType=media&name=${encodeURIComponent('ü /?#')}`,
    'a',
    headers,
  );
  expect(await simple.json()).toMatchObject({ name: 'ü /?#', contentType: 'text/plain', size: '1' });
  expect(await read(cloud, 'ü /?#')).toBe('a');
  // The boundary may be near in the bytes.
  const bytes = `\r\n--x\r\n--\r\n-${'\r\n--'.repeat(1000)}`;
  expect(await multipart(cloud, { name: 'm' }, bytes)).toMatchObject({
    contentType: 'text/x',
    size: String(bytes.length),
  });
  expect(await read(cloud, 'm')).toBe(bytes);
  expect(await multipart(cloud, { name: 'm', contentType: 'text/y' }, '')).toMatchObject({
    contentType: 'text/y',
    size: '0',
  });
  const start = (query: string, body: string) => refused(cloud.call('POST', `${UPLOAD}?${query}`, body));
  expect(await start('uploadType=media', 'a')).toEqual([400, 'required']);
  expect(await start('uploadType=other&name=a', 'a')).toEqual([400, 'invalid']);
  expect(await start('uploadType=multipart', 'a')).toEqual([400, 'invalid']);
  expect(await start(`uploadType=media&name=${'a'.repeat(1025)}`, 'a')).toEqual([400, 'invalid']);
  expect(await blobs(cloud)).toHaveLength(2);
});

test('CRC32C and MD5 that a client gives are verified, and nothing is stored when they differ', async () => {
  await using cloud = await testCloud();
  const good = await multipart(cloud, { name: 'a', crc32c: crc('text'), md5Hash: md5('text') }, 'text');
  expect(good).toMatchObject({ crc32c: crc('text'), md5Hash: md5('text') });
  for (const sum of [{ crc32c: crc('other') }, { md5Hash: md5('other') }])
    expect(await multipart(cloud, { name: 'b', ...sum }, 'text')).toMatchObject({
      error: { code: 400, message: expect.stringContaining("doesn't match calculated") },
    });
  const header = { 'x-goog-hash': `crc32c=${crc('x')},md5=${md5('y')}` };
  const simple = cloud.call('POST', `${UPLOAD}?uploadType=media&name=c`, 'x', header);
  expect(await refused(simple)).toEqual([400, 'invalid']);
  const location = await session(cloud, 'd', { crc32c: crc('other') });
  expect(await refused(cloud.call('PUT', location, 'text'))).toEqual([400, 'invalid']);
  const list = await cloud.json('GET', O);
  expect(list.items).toMatchObject([{ name: 'a' }]);
  expect(await blobs(cloud)).toHaveLength(1);
});

/** Begins a resumable upload; its address. */
async function session(cloud: TestCloud, name: string, meta: Json = {}, query = ''): Promise<string> {
  const response = await cloud.call('POST', `${UPLOAD}?uploadType=resumable&name=${name}${query}`, meta, {
    'x-upload-content-type': 'text/z',
  });
  expect(response.status).toBe(200);
  return String(response.headers.get('location'));
}

test('resumable uploads: in one piece, in chunks, of unknown length', async () => {
  await using cloud = await testCloud();
  const whole = await cloud.call('PUT', await session(cloud, 'one', { metadata: { a: 'b' } }), 'text');
  expect(await whole.json()).toMatchObject({ contentType: 'text/z', size: '4', metadata: { a: 'b' } });

  const bytes = crypto.getRandomValues(new Uint8Array(600 * KIB)).map((byte) => (byte % 26) + 97);
  const location = await session(cloud, 'chunks');
  const send = (from: number, to: number, total: string | number) =>
    cloud.call('PUT', location, bytes.slice(from, to), {
      'content-range': `bytes ${from}-${to - 1}/${total}`,
    });
  const ask = () => cloud.call('PUT', location, undefined, { 'content-range': 'bytes */*' });
  expect([(await ask()).status, (await ask()).headers.get('range')]).toEqual([308, null]);
  const first = await send(0, 256 * KIB, '*');
  expect([first.status, first.headers.get('range')]).toEqual([308, 'bytes=0-262143']);
  // What is no multiple of 256 KiB is kept only so far.
  const second = await send(256 * KIB, 520 * KIB, bytes.length);
  expect([second.status, second.headers.get('range')]).toEqual([308, 'bytes=0-524287']);
  const gap = await send(520 * KIB, 600 * KIB, bytes.length);
  expect(gap.status).toBe(503);
  // What was sent already is skipped.
  const last = await send(500 * KIB, 600 * KIB, bytes.length);
  expect(await last.json()).toMatchObject({
    size: String(bytes.length),
    crc32c: crc(bytes),
    md5Hash: md5(bytes),
  });
  expect(await read(cloud, 'chunks')).toBe(Buffer.from(bytes).toString());
  expect(await (await ask()).json()).toMatchObject({ name: 'chunks' });

  const unknown = await session(cloud, 'unknown');
  const open = await cloud.call('PUT', unknown, bytes, { 'content-range': 'bytes 0-*/*' });
  expect(await open.json()).toMatchObject({ size: String(bytes.length) });
  const empty = await session(cloud, 'empty');
  const nothing = await cloud.call('PUT', empty, undefined, { 'content-range': 'bytes */0' });
  expect(await nothing.json()).toMatchObject({ size: '0' });
});

test('a resumable upload whose connection breaks goes on from what has arrived', async () => {
  await using cloud = await testCloud();
  const bytes = Buffer.alloc(700 * KIB, 'abc');
  const location = await session(cloud, 'cut');
  const { pathname, search, port } = new URL(location);
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    `PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\nContent-Range: bytes 0-*/${bytes.length}\r\n\r\n`,
  );
  socket.write(bytes.subarray(0, 600 * KIB));
  const range = async () =>
    (
      await cloud.call('PUT', location, undefined, { 'content-range': `bytes */${bytes.length}` })
    ).headers.get('range');
  const part = join(
    cloud.dir,
    'storage',
    'blobs',
    (await blobs(cloud)).find((name) => name.endsWith('.part')) as string,
  );
  await until(() => Bun.file(part).size >= 512 * KIB);
  socket.destroy();
  await until(async () => (await range()) === 'bytes=0-524287');
  const rest = await cloud.call('PUT', location, bytes.subarray(512 * KIB), {
    'content-range': `bytes ${512 * KIB}-${bytes.length - 1}/${bytes.length}`,
  });
  expect(await rest.json()).toMatchObject({
    size: String(bytes.length),
    crc32c: crc(bytes),
    md5Hash: md5(bytes),
  });
});

test('a resumable upload that is cancelled is gone', async () => {
  await using cloud = await testCloud();
  const location = await session(cloud, 'x');
  expect((await cloud.call('DELETE', location)).status).toBe(499);
  expect((await cloud.call('PUT', location, 'text')).status).toBe(404);
  expect(await blobs(cloud)).toEqual([]);
});

test('preconditions', async () => {
  await using cloud = await testCloud();
  const { generation } = await put(cloud, 'a', 'one');
  const upload = (query: string) => cloud.call('POST', `${UPLOAD}?uploadType=media&name=a&${query}`, 'two');
  const object = (method: string, query: string, body?: Json) => cloud.call(method, `${O}/a?${query}`, body);
  const failed = [412, 'conditionNotMet'];
  expect(await refused(upload('ifGenerationMatch=0'))).toEqual(failed);
  expect(await refused(upload('ifGenerationMatch=7'))).toEqual(failed);
  expect(await refused(upload(`ifGenerationNotMatch=${generation}`))).toEqual(failed);
  expect(await refused(upload('ifMetagenerationMatch=2'))).toEqual(failed);
  expect(await refused(upload('ifMetagenerationNotMatch=1'))).toEqual(failed);
  expect(await refused(upload('ifGenerationMatch=x'))).toEqual([400, 'invalid']);
  expect(await refused(object('PATCH', 'ifMetagenerationMatch=2', {}))).toEqual(failed);
  expect(await refused(object('DELETE', 'ifGenerationMatch=7'))).toEqual(failed);
  expect(await refused(object('GET', 'ifGenerationMatch=7'))).toEqual(failed);
  expect((await object('GET', `ifGenerationNotMatch=${generation}`)).status).toBe(304);
  expect((await object('GET', 'ifMetagenerationNotMatch=1&alt=media')).status).toBe(304);
  expect(await refused(object('GET', 'generation=7'))).toEqual([404, 'notFound']);
  const late = cloud.call('POST', `${UPLOAD}?uploadType=resumable&name=a&ifGenerationMatch=0`, {});
  expect(await refused(late)).toEqual(failed);
  // The object appears while the upload is under way: its end is refused.
  const location = await session(cloud, 'b', {}, '&ifGenerationMatch=0');
  await put(cloud, 'b');
  expect(await refused(cloud.call('PUT', location, 'text'))).toEqual(failed);
  expect(await read(cloud, 'a')).toBe('one');
  const second = (await (await upload(`ifGenerationMatch=${generation}`)).json()) as Json;
  expect(BigInt(String(second.generation))).toBeGreaterThan(BigInt(String(generation)));
  expect(await read(cloud, 'a', `&generation=${second.generation}`)).toBe('two');
  expect((await object('DELETE', `generation=${second.generation}`)).status).toBe(204);
  expect(await refused(object('DELETE', ''))).toEqual([404, 'notFound']);
  expect(await blobs(cloud)).toHaveLength(1);
});

test('what is said of an object: PATCH changes it, PUT says it anew', async () => {
  await using cloud = await testCloud();
  await multipart(cloud, { name: 'a', contentType: 'text/a', metadata: { x: '1', y: '2' } }, 'text');
  const patched = await cloud.json('PATCH', `${O}/a`, {
    cacheControl: 'no-store',
    metadata: { x: null, z: '3' },
  });
  expect(patched).toMatchObject({
    contentType: 'text/a',
    cacheControl: 'no-store',
    metageneration: '2',
    size: '4',
  });
  expect(patched.metadata).toEqual({ y: '2', z: '3' });
  const cleared = await cloud.json('PATCH', `${O}/a`, { cacheControl: null, metadata: null });
  expect([cleared.cacheControl, cleared.metadata]).toEqual([undefined, undefined]);
  const anew = await cloud.json('PUT', `${O}/a`, { metadata: { w: '1' } });
  expect([anew.contentType, anew.metadata, anew.metageneration]).toEqual([undefined, { w: '1' }, '4']);
  expect(await cloud.json('GET', `${O}/a`)).toEqual(anew);
});

test('ranges, and packed objects', async () => {
  await using cloud = await testCloud();
  await put(cloud, 'a', '0123456789');
  const get = (range: string) => cloud.call('GET', `${O}/a?alt=media`, undefined, { range });
  const cases = [
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-30', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['lines=1-2', 200, '0123456789', null],
  ] as const;
  for (const [range, status, text, header] of cases) {
    const response = await get(range);
    expect([range, response.status, await response.text(), response.headers.get('content-range')]).toEqual([
      range,
      status,
      text,
      header,
    ]);
  }
  const whole = await cloud.call('GET', `/download${O}/a?alt=media`);
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    'content-length': '10',
    'x-goog-hash': `crc32c=${crc('0123456789')},md5=${md5('0123456789')}`,
    'x-goog-stored-content-encoding': 'identity',
    'x-goog-metageneration': '1',
  });
  const packed = gzipSync('packed text');
  await cloud.call('POST', `${UPLOAD}?uploadType=media&name=z`, packed);
  await cloud.json('PATCH', `${O}/z`, { contentEncoding: 'gzip', contentType: 'text/plain' });
  const raw = await fetch(`${cloud.origin}${O}/z?alt=media`, {
    headers: { 'accept-encoding': 'gzip' },
    decompress: false,
  });
  expect(raw.headers.get('content-encoding')).toBe('gzip');
  expect(Buffer.from(await raw.arrayBuffer()).equals(packed)).toBe(true);
  const plain = await fetch(`${cloud.origin}${O}/z?alt=media`, {
    headers: { 'accept-encoding': 'identity' },
  });
  expect([await plain.text(), plain.headers.get('content-encoding')]).toEqual(['packed text', null]);
});

test('lists: prefix, delimiter, offsets, pages', async () => {
  await using cloud = await testCloud();
  for (const name of ['b', 'a/', 'a/1', 'a/b/2', 'a/b/3', 'a/c', 'd/4', 'ü', '\uffee', '😀'])
    await put(cloud, name);
  const list = async (query: string) => {
    const { items = [], prefixes = [], nextPageToken } = await cloud.json('GET', `${O}?${query}`);
    const names = (items as Json[]).map(({ name }) => name).join(' ');
    return { names, prefixes: (prefixes as string[]).join(' '), token: nextPageToken };
  };
  const shown = async (query: string) => {
    const { names, prefixes } = await list(query);
    return [names, prefixes];
  };
  // In the order of UTF-8 bytes, which is not JavaScript's.
  expect(await shown('')).toEqual(['a/ a/1 a/b/2 a/b/3 a/c b d/4 ü \uffee 😀', '']);
  expect(await shown('prefix=a/b')).toEqual(['a/b/2 a/b/3', '']);
  expect(await shown('prefix=nothing')).toEqual(['', '']);
  expect(await shown('delimiter=/')).toEqual(['b ü \uffee 😀', 'a/ d/']);
  expect(await shown('prefix=a/&delimiter=/')).toEqual(['a/ a/1 a/c', 'a/b/']);
  expect(await shown('delimiter=/&includeTrailingDelimiter=true')).toEqual(['a/ b ü \uffee 😀', 'a/ d/']);
  expect(await shown('startOffset=a/b/3&endOffset=d')).toEqual(['a/b/3 a/c b', '']);
  expect(await shown('startOffset=a&prefix=a/b')).toEqual(['a/b/2 a/b/3', '']);
  expect(await shown(`startOffset=${encodeURIComponent('\uffef')}`)).toEqual(['😀', '']);
  for (const query of ['', 'delimiter=/', 'prefix=a/&delimiter=/', 'delimiter=b']) {
    const all = await list(query);
    const paged = { names: [] as string[], prefixes: [] as string[] };
    for (let token: unknown = ''; token !== undefined; ) {
      const page = await list(`${query}&maxResults=1&pageToken=${token}`);
      expect([page.names, page.prefixes].filter(Boolean)).toHaveLength(1);
      paged.names.push(...(page.names ? [page.names] : []));
      paged.prefixes.push(...(page.prefixes ? [page.prefixes] : []));
      token = page.token;
    }
    expect([query, paged.names.join(' '), paged.prefixes.join(' ')]).toEqual([
      query,
      all.names,
      all.prefixes,
    ]);
  }
  expect(await refused(cloud.call('GET', `${O}?matchGlob=**`))).toEqual([501, 'notImplemented']);
  expect(await refused(cloud.call('GET', `${O}?maxResults=-1`))).toEqual([400, 'invalid']);
});

test('compose, copy and rewrite', async () => {
  await using cloud = await testCloud();
  const one = await multipart(cloud, { name: 'one', contentType: 'text/a', metadata: { x: '1' } }, '1');
  await put(cloud, 'two', '2');
  const compose = (sourceObjects: Json[], destination = {}) =>
    cloud.call('POST', `${O}/all/compose`, { sourceObjects, destination });
  const both = await compose([{ name: 'one', generation: one.generation }, { name: 'two' }], {
    contentType: 'text/b',
  });
  expect(await both.json()).toMatchObject({
    size: '2',
    contentType: 'text/b',
    componentCount: 2,
    crc32c: crc('12'),
  });
  // An object may be a part of its own successor.
  const longer = await compose([{ name: 'all' }, { name: 'one' }]);
  expect(await longer.json()).toMatchObject({ size: '3', componentCount: 3 });
  expect(await read(cloud, 'all')).toBe('121');
  expect(await refused(compose([{ name: 'nobody' }]))).toEqual([404, 'notFound']);
  expect(await refused(compose([{ name: 'one', generation: '1' }]))).toEqual([404, 'notFound']);
  const wanted = { name: 'one', objectPreconditions: { ifGenerationMatch: '1' } };
  expect(await refused(compose([wanted]))).toEqual([412, 'conditionNotMet']);
  expect(await refused(compose([]))).toEqual([400, 'invalid']);

  await cloud.json('POST', '/storage/v1/b', { name: 'other' });
  const rewritten = await cloud.json('POST', `${O}/one/rewriteTo/b/other/o/${encodeURIComponent('x/y')}`);
  expect(rewritten).toMatchObject({
    kind: 'storage#rewriteResponse',
    done: true,
    objectSize: '1',
    totalBytesRewritten: '1',
    resource: {
      bucket: 'other',
      name: 'x/y',
      contentType: 'text/a',
      metadata: { x: '1' },
      md5Hash: md5('1'),
    },
  });
  const copied = await cloud.json('POST', `${O}/all/copyTo/b/sandbox/o/copy`, { contentType: 'text/c' });
  expect(copied).toMatchObject({ contentType: 'text/c', size: '3', componentCount: 3 });
  const self = await cloud.json('POST', `${O}/one/rewriteTo/b/sandbox/o/one`, { contentType: 'text/d' });
  expect(self.resource).toMatchObject({ contentType: 'text/d' });
  await cloud.call('DELETE', `${O}/all`);
  expect([await read(cloud, 'copy'), await read(cloud, 'one')]).toEqual(['121', '1']);
  const copy = (query: string) => cloud.call('POST', `${O}/one/copyTo/b/sandbox/o/two?${query}`);
  expect(await refused(copy('ifSourceGenerationMatch=1'))).toEqual([412, 'conditionNotMet']);
  expect(await refused(copy('ifGenerationMatch=0'))).toEqual([412, 'conditionNotMet']);
  expect(await refused(copy('sourceGeneration=1'))).toEqual([404, 'notFound']);
  expect(await blobs(cloud)).toHaveLength(4);
});

test('objects outlive the server, and bytes without a name do not', async () => {
  const { Storage } = await import('./index.ts');
  await using cloud = await testCloud();
  const dir = join(cloud.dir, 'another');
  const first = new Storage(dir, 'p', () => '');
  first.createBucket({ name: 'kept' });
  first.objects.put('kept', 'a', await first.objects.receive(new Blob(['text']).stream()), {}, {});
  await Bun.write(join(dir, 'blobs', 'left.part'), 'x');
  first.objects.close();
  const second = new Storage(dir, 'p', () => '');
  const { blob, size } = second.objects.require('kept', 'a');
  expect([size, await Bun.file(second.objects.path(blob)).text()]).toEqual([4, 'text']);
  expect(await readdir(join(dir, 'blobs'))).toEqual([blob]);
  second.objects.close();
});

test("Google's Node library finds everything by STORAGE_EMULATOR_HOST, which leaves /storage/v1 out", async () => {
  await using cloud = await testCloud();
  const code = `
    const { Storage } = await import('@google-cloud/storage');
    const bucket = new Storage({ projectId: 'sandbox' }).bucket('fresh');
    await bucket.create();
    const file = bucket.file('a/b c');
    await file.save('small', { resumable: false });
    await bucket.file('large').save('large', { resumable: true });
    await bucket.combine(['a/b c', 'large'], 'both');
    await file.copy(bucket.file('copy'));
    await file.setMetadata({ metadata: { k: 'v' } });
    const [files] = await bucket.getFiles();
    const [text] = await bucket.file('both').download();
    const [meta] = await file.getMetadata();
    await file.delete();
    const [there] = await file.exists();
    console.log(JSON.stringify([files.map((f) => f.name), String(text), meta.metadata, there]));`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    cwd: join(import.meta.dir, '..', '..', '..'),
    env: { PATH: process.env.PATH, HOME: cloud.dir, STORAGE_EMULATOR_HOST: cloud.origin },
    stdout: 'pipe',
  });
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual([
    ['a/b c', 'both', 'copy', 'large'],
    'smalllarge',
    { k: 'v' },
    false,
  ]);
}, 60_000);

test('without MD5, objects are as those that Google composes: CRC32C alone, and other bytes are refused by it', async () => {
  await using cloud = await testCloud({ md5: false });
  const stored = await multipart(cloud, { name: 'a' }, 'text');
  expect(stored).toMatchObject({ crc32c: crc('text') });
  expect(stored.md5Hash).toBeUndefined();
  const media = await cloud.call('GET', '/storage/v1/b/sandbox/o/a?alt=media');
  expect(media.headers.get('x-goog-hash')).toBe(`crc32c=${crc('text')}`);
  const refused = await multipart(cloud, { name: 'b', crc32c: crc('other') }, 'text');
  expect(refused.error).toMatchObject({ code: 400 });
});
