import { expect, test } from 'bun:test';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { isConflict, isPassing } from './api_error.ts';
import { readEndpoints } from './endpoints.ts';
import { Storage } from './storage.ts';
import { testProxy } from './test_proxy.ts';

const SOON = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 10_000 };

/** A cloud, the storage in it, and what was asked of it. */
async function world(answer: (request: Request) => Response | null = () => null) {
  const cloud = await testCloud();
  const between = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const { pathname, search } = new URL(request.url);
      return (
        answer(request) ??
        fetch(new Request(`${cloud.origin}${pathname}${search}`, request), { decompress: false })
      );
    },
  });
  const proxy = await testProxy(between.url.origin);
  const storage = new Storage(readEndpoints({ STORAGE_EMULATOR_HOST: proxy.origin }), { policy: SOON });
  return {
    cloud,
    proxy,
    storage,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await between.stop(true);
      await cloud[Symbol.asyncDispose]();
    },
  };
}

test('an object is copied by the server, also when that takes several requests; nothing unseen is replaced', async () => {
  let steps = 0;
  await using w = await world((request) => {
    if (!request.url.includes('/rewriteTo/') || ++steps % 2 === 0) return null;
    return Response.json({ kind: 'storage#rewriteResponse', done: false, rewriteToken: `token ${steps}` });
  });
  await w.cloud.json('POST', '/storage/v1/b?project=sandbox', { name: 'other' });
  await w.storage.write('sandbox', 'a/ü b.txt', 'text');
  const from = await w.storage.find('sandbox', 'a/ü b.txt');
  if (!from) throw new Error('it is not there');
  const copied = await w.storage.copy('sandbox', from, 'other', 'c/#?', { generation: '0' });
  expect(copied).toMatchObject({ name: 'c/#?', size: 4, crc32c: from.crc32c, metadata: {} });
  const asked = w.proxy.calls.filter((call) => call.includes('/rewriteTo/'));
  expect(asked).toHaveLength(2);
  for (const call of asked) expect(call).toContain('ifGenerationMatch=0');
  expect(asked[1]).toContain('rewriteToken=token%201');
  const again = w.storage.copy('sandbox', from, 'other', 'c/#?', { generation: '0' });
  expect(isConflict(await again.catch((thrown: unknown) => thrown))).toBe(true);

  const marked = { metadata: { of: 'a' }, generation: copied.generation };
  await w.storage.copy('sandbox', from, 'other', 'c/#?', marked);
  expect((await w.storage.find('other', 'c/#?'))?.metadata).toEqual({ of: 'a' });
  await w.storage.write('sandbox', from.name, 'another');
  await expect(w.storage.copy('sandbox', from, 'other', 'd')).rejects.toThrow('there is no such object');
});

test('an object that is stored packed is read unpacked, and its checksum is that of the packed bytes', async () => {
  await using w = await world();
  const text = 'the same line\n'.repeat(1000);
  const packed = await w.cloud.storage.objects.receive(new Blob([Bun.gzipSync(text)]).stream());
  w.cloud.storage.objects.put('sandbox', 'packed', packed, { contentEncoding: 'gzip' }, {});
  expect(Buffer.from(await w.storage.read('sandbox', 'packed')).toString()).toBe(text);
});

test("answers of Google's client that are late, or no JSON, are asked for again", async () => {
  let answers = 0;
  await using w = await world(() => (++answers % 2 === 1 ? new Response('<html>busy</html>') : null));
  expect(await Array.fromAsync(w.storage.list('sandbox', ''))).toEqual([]);
  expect(await w.storage.find('sandbox', 'nothing')).toBeNull();
});

test('the credentials are those that Google finds; an emulator is shown none', async () => {
  await using cloud = await testCloud();
  await cloud.boot('demo-0');
  const code = `
    const { GoogleStorage } = await import('./core/cloud/google_storage.ts');
    const at = [undefined, 'https://storage.example', 'http://127.0.0.1:9'].map((url) => url && new URL(url));
    const shown = at.map((url) => new GoogleStorage(url).authorization());
    console.log(JSON.stringify(await Promise.all(shown)));`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    cwd: `${import.meta.dir}/../..`,
    env: {
      PATH: process.env.PATH,
      HOME: cloud.dir,
      GCE_METADATA_HOST: String(cloud.compute.vms.get('demo-0')?.vm.metadataHost),
      METADATA_SERVER_DETECTION: 'assume-present',
      // The library takes it for its own address, whatever it is told.
      STORAGE_EMULATOR_HOST: 'http://127.0.0.1:9',
    },
    stdout: 'pipe',
  });
  const token = { authorization: expect.stringMatching(/^Bearer sandbox-\d+$/) as string };
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual([token, token, {}]);
});
