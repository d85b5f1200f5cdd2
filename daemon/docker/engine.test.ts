import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, EngineError, engineAddress, isEngineAway, isNotFound } from './engine.ts';

describe('where the Engine is', () => {
  const home = { HOME: '/home/u' };
  const cases: [string | undefined, Record<string, string>, object][] = [
    [undefined, {}, { socketPath: '/var/run/docker.sock' }],
    ['', {}, { socketPath: '/var/run/docker.sock' }],
    ['unix:///x/y.sock', { DOCKER_TLS_VERIFY: '1' }, { socketPath: '/x/y.sock' }],
    ['tcp://h:1', {}, { host: 'h', port: 1 }],
    ['tcp://h', {}, { host: 'h', port: 2375 }],
    ['http://10.0.0.1:2/', {}, { host: '10.0.0.1', port: 2 }],
    ['tcp://[::1]:3', {}, { host: '::1', port: 3 }],
    [
      'tcp://h',
      { DOCKER_TLS_VERIFY: '1', ...home },
      { host: 'h', port: 2376, tls: { folder: '/home/u/.docker', verify: true } },
    ],
    [
      'tcp://h:4',
      { DOCKER_TLS: '1', DOCKER_CERT_PATH: '/c' },
      { host: 'h', port: 4, tls: { folder: '/c', verify: false } },
    ],
    ['https://h:5', { DOCKER_CERT_PATH: '/c' }, { host: 'h', port: 5, tls: { folder: '/c', verify: true } }],
    ['tcp://h:6', { DOCKER_TLS_VERIFY: '' }, { host: 'h', port: 6 }],
  ];
  test.each(cases)('%p %p', (value, env, address) => {
    expect(engineAddress(value, env)).toEqual(address);
  });

  test.each(['ssh://me@h', 'h:1', 'tcp://', 'npipe:////./pipe/x'])('%s is refused', (value) => {
    expect(() => engineAddress(value)).toThrow(
      `DOCKER_HOST=${value}: must be unix:///path/of/docker.sock or tcp://host:port`,
    );
  });

  test('certificates that are not there are named', () => {
    const address = engineAddress('tcp://h:1', { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/nowhere' });
    expect(() => new Engine(address)).toThrow(
      /by TLS, but \/nowhere\/ca\.pem cannot be read: .* Set DOCKER_CERT_PATH/,
    );
  });
});

/** An Engine of another version: what it is asked for, and its answers. */
async function engineThat(answer: (request: Request) => Response | Promise<Response>) {
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  const asked: string[] = [];
  const server = Bun.serve({
    unix: join(folder, 's'),
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      asked.push(`${request.method} ${pathname}${search}`);
      return answer(request);
    },
  });
  return {
    host: `unix://${folder}/s`,
    asked,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      await rm(folder, { recursive: true });
    },
  };
}

const pong = (version: string) => new Response('OK', { headers: { 'api-version': version } });
const isPing = (request: Request) => new URL(request.url).pathname === '/_ping';

describe('the version of the API', () => {
  test.each([
    ['1.41', '1.41'],
    ['1.44', '1.44'],
    ['1.47', '1.47'],
    ['1.52', '1.47'],
    ['1.100', '1.47'],
  ])('an Engine that speaks %s is spoken to in %s', async (spoken, used) => {
    await using there = await engineThat((request) => (isPing(request) ? pong(spoken) : Response.json({})));
    await using engine = await Engine.open({ DOCKER_HOST: there.host });
    await Promise.all([engine.request('GET', '/info'), engine.request('GET', '/version')]);
    expect(there.asked.toSorted()).toEqual(['GET /_ping', `GET /v${used}/info`, `GET /v${used}/version`]);
  });

  test.each([
    [
      '1.40',
      /The Docker Engine at \/\S+ cannot be used: it speaks version 1\.40 of the API; Docker 20\.10 or newer/,
    ],
    ['', /cannot be used: what answers there is no Docker Engine \(its API has version ''\)/],
  ])('%p is refused', async (spoken, message) => {
    await using there = await engineThat(() => pong(spoken));
    await expect(Engine.open({ DOCKER_HOST: there.host })).rejects.toThrow(message);
  });
});

describe('refusals are told in the Engine’s own words', () => {
  const cases: [string, Response, number, string][] = [
    ['JSON', Response.json({ message: 'No such image: x' }, { status: 404 }), 404, 'No such image: x'],
    ['a proxy’s page', new Response('<h1>Bad gateway</h1>\n', { status: 502 }), 502, '<h1>Bad gateway</h1>'],
    ['nothing', new Response(null, { status: 500 }), 500, 'no reason was given'],
  ];
  test.each(cases)('%s', async (_, response, status, message) => {
    await using there = await engineThat((request) => (isPing(request) ? pong('1.41') : response));
    await using engine = await Engine.open({ DOCKER_HOST: there.host });
    const thrown = (await engine.request('GET', '/x').catch((e) => e)) as EngineError;
    expect(thrown).toBeInstanceOf(EngineError);
    expect([thrown.status, thrown.message, isNotFound(thrown)]).toEqual([status, message, status === 404]);
  });

  test('of an attach too', async () => {
    await using there = await engineThat((request) =>
      isPing(request) ? pong('1.41') : Response.json({ message: 'No such container: c' }, { status: 404 }),
    );
    await using engine = await Engine.open({ DOCKER_HOST: there.host });
    const thrown = await engine.attach('c').catch((e) => e);
    expect([isNotFound(thrown), thrown.message]).toEqual([true, 'No such container: c']);
  });
});

test('lines come as they are sent, also in pieces; the last without its end', async () => {
  const parts = ['{"a":1}\n{"b"', ':"ü', '"}\n', '\n{"c":3}'];
  await using there = await engineThat((request) => {
    if (isPing(request)) return pong('1.41');
    return new Response(
      new ReadableStream({
        async start(controller) {
          for (const part of parts) {
            controller.enqueue(new TextEncoder().encode(part));
            await Bun.sleep(5);
          }
          controller.close();
        },
      }),
    );
  });
  await using engine = await Engine.open({ DOCKER_HOST: there.host });
  expect(await Array.fromAsync(await engine.lines('GET', '/events'))).toEqual([
    { a: 1 },
    { b: 'ü' },
    { c: 3 },
  ]);
});

describe('every call can be aborted', () => {
  /** Takes connections and says nothing more after the ping. */
  const dumb = () => engineThat((request) => (isPing(request) ? pong('1.41') : new Promise(() => {})));
  const calls: [string, (engine: Engine, signal: AbortSignal) => Promise<unknown>][] = [
    ['request', (engine, signal) => engine.request('GET', '/info', { signal })],
    ['lines', (engine, signal) => engine.lines('GET', '/events', { signal })],
    ['attach', (engine, signal) => engine.attach('c', signal)],
  ];
  test.each(calls)('%s', async (_, call) => {
    await using there = await dumb();
    await using engine = await Engine.open({ DOCKER_HOST: there.host });
    const stop = new AbortController();
    const called = call(engine, stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(called).rejects.toThrow('enough');
    // And before it begins.
    await expect(call(engine, stop.signal)).rejects.toThrow('enough');
  });

  test('the first question to an Engine that says nothing', async () => {
    await using there = await engineThat(() => new Promise(() => {}));
    const opened = Engine.open({ DOCKER_HOST: there.host }, AbortSignal.timeout(30));
    await expect(opened).rejects.toThrow(/timed out|timeout/i);
  });
});

test('an Engine that breaks a connection off is away, not at fault', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  const path = join(folder, 's');
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await using engine = new Engine({ socketPath: path });
  expect(isEngineAway(await engine.request('GET', '/info').catch((e) => e))).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(isEngineAway(await engine.request('GET', '/info').catch((e) => e))).toBe(true);
  expect(isEngineAway(new EngineError(500, 'x'))).toBe(false);
  await rm(folder, { recursive: true });
});

test('many calls at a time do not wait for one another', async () => {
  const gate = Promise.withResolvers<Response>();
  await using there = await engineThat((request) =>
    isPing(request) ? pong('1.41') : request.url.endsWith('/wait') ? gate.promise : Response.json(1),
  );
  await using engine = await Engine.open({ DOCKER_HOST: there.host });
  const waiting = engine.request('POST', '/wait');
  expect(await engine.request('GET', '/info')).toBe(1);
  gate.resolve(Response.json(2));
  expect(await waiting).toBe(2);
});

test('a socket without permission is told with the mend', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  await writeFile(join(folder, 'file'), '');
  const opened = Engine.open({ DOCKER_HOST: `unix://${folder}/file` });
  await expect(opened).rejects.toThrow(
    /^No Docker Engine answers at \/\S+\/file: .* Install docker\.io and start it/,
  );
  await rm(folder, { recursive: true });
});
