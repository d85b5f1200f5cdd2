import { expect, test } from 'bun:test';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { isPassing } from './api_error.ts';
import { crc32c, crcText } from './crc32c.ts';
import { readEndpoints } from './endpoints.ts';
import { LongBodies } from './long_body.ts';
import { pieceEnd } from './resumable.ts';
import { Storage } from './storage.ts';

const MIB = 1024 * 1024;
const SOON = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 10_000 };

/** No two blocks of it are the same. */
function large(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let i = 0; i + 4 <= bytes; i += 4) all.writeUInt32LE((i * 2654435761) >>> 0, i);
  return all;
}

async function folder() {
  const dir = await mkdtemp(join(tmpdir(), 'resumable-'));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

/** Takes connections, and reads nothing of what comes. */
async function deafServer() {
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test.each([
  // What is little is read twice: its checksum goes with it.
  [0, 1, 64 * MIB, 1],
  [0, 16 * MIB, 64 * MIB, 16 * MIB],
  // Else little is left over for the last piece, and what goes before is whole quanta.
  [0, 16 * MIB + 1, 64 * MIB, 16 * MIB],
  [0, 17 * MIB, 64 * MIB, 17 * MIB - 256 * 1024],
  [0, 1000 * MIB, 64 * MIB, 64 * MIB],
  [64 * MIB, 128 * MIB, 64 * MIB, 128 * MIB - 256 * 1024],
  [3 * MIB, 4 * MIB, MIB / 4, 3.25 * MIB],
  [3.75 * MIB, 4 * MIB, MIB / 4, 4 * MIB],
])('from byte %p of %p, in pieces of %p at most: up to %p', (at, size, most, end) => {
  expect(pieceEnd(at, size, most)).toBe(end);
});

test('pieces of many blocks: a server that refuses one half-way gets what it has not; a file that shrinks is not stored', async () => {
  await using cloud = await testCloud();
  await using own = await folder();
  const bytes = large(41 * MIB + 4321);
  const file = join(own.dir, 'large');
  await writeFile(file, bytes);
  const storage = new Storage(readEndpoints(cloud.env), { policy: SOON, storePieceBytes: 20 * MIB });
  for (const [name, times] of [
    ['whole', 0],
    ['busy', 3],
  ] as const) {
    // It answers before it has read anything of the body.
    if (times > 0) cloud.faults.add({ service: 'storage', match: 'PUT', status: 503, times });
    let counted = 0;
    await storage.upload(file, 'sandbox', name, { onBytes: (n) => (counted += n) });
    const { size, crc32c: sum } = await cloud.json('GET', `/storage/v1/b/sandbox/o/${name}`);
    expect([name, size, sum, counted]).toEqual([
      name,
      String(bytes.length),
      crcText(crc32c(bytes)),
      bytes.length,
    ]);
  }
  const shrinking = storage.upload(file, 'sandbox', 'shorter', {
    onBytes: () => void truncate(file, 21 * MIB),
  });
  await expect(shrinking).rejects.toThrow('became shorter while it was stored');
  expect(await storage.find('sandbox', 'shorter')).toBeNull();
}, 60_000);

test('an upload that nobody reads any more is given up; one that is aborted ends at once', async () => {
  await using deaf = await deafServer();
  await using own = await folder();
  const file = join(own.dir, 'large');
  await writeFile(file, large(40 * MIB));
  using server = Bun.serve({
    port: 0,
    fetch: () => new Response(null, { headers: { location: `${deaf.origin}/upload` } }),
  });
  const storage = (answerWithinMs: number) =>
    new Storage(
      { metadataHost: '', storage: server.url },
      { policy: { ...SOON, deadlineMs: 300 }, answerWithinMs, slowestBytesPerSecond: 100e6 },
    );
  await expect(storage(300).upload(file, 'sandbox', 'a')).rejects.toThrow('timed out: no answer');
  const stop = new AbortController();
  const why = new Error('preempted');
  const uploading = storage(60_000).upload(file, 'sandbox', 'a', { signal: stop.signal });
  setTimeout(() => stop.abort(why), 200);
  await expect(uploading).rejects.toBe(why);
}, 60_000);

test('a long body goes through the proxy of the environment, but for hosts that need none', async () => {
  let through = 0;
  const proxy = createHttp().on('connect', ({ url = '' }, socket: Socket) => {
    through++;
    const [host, port] = url.split(':');
    const there = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      there.pipe(socket).pipe(there);
    });
    for (const one of [socket, there]) one.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const http_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  using server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request) => new Response(crcText(crc32c(await request.bytes()))),
  });
  const bytes = large(3 * MIB);
  try {
    for (const [env, times] of [
      [{}, 0],
      [{ http_proxy }, 1],
      [{ HTTP_PROXY: http_proxy, no_proxy: '127.0.0.1' }, 1],
    ] as const) {
      const answer = await new LongBodies(env).put({
        url: server.url,
        headers: {},
        length: bytes.length,
        blocks: (async function* () {
          for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
        })(),
        signal: new AbortController().signal,
        onProgress: () => {},
      });
      expect([answer.status, answer.text, through]).toEqual([200, crcText(crc32c(bytes)), times]);
    }
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});
