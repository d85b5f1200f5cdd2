/** A registry of images on this machine, for one test: the program docker-registry of Debian. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SECOND, sleep } from '../core/wait.ts';
import type { Engine } from '../daemon/docker/engine.ts';

export const registryProgram = Bun.which('docker-registry');

export interface OwnRegistry extends AsyncDisposable {
  /** 127.0.0.1:PORT */
  host: string;
}

/** Starts one; with `users` it asks for a name and a password. */
export async function ownRegistry(users: Record<string, string> = {}): Promise<OwnRegistry> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-'));
  const port = await freePort();
  const names = Object.keys(users);
  const entries = await Promise.all(
    names.map(
      async (name) =>
        `${name}:${await Bun.password.hash(users[name] as string, { algorithm: 'bcrypt', cost: 4 })}\n`,
    ),
  );
  await Bun.write(join(dir, 'htpasswd'), entries.join(''));
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(dir, 'data') } },
    http: { addr: `127.0.0.1:${port}` },
    ...(names.length > 0 && { auth: { htpasswd: { realm: 'own', path: join(dir, 'htpasswd') } } }),
  };
  // JSON is YAML.
  await Bun.write(join(dir, 'config.yml'), JSON.stringify(config));
  const child = Bun.spawn([registryProgram as string, 'serve', join(dir, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/v2/`).then(
      () => true,
      () => false,
    );
  for (const end = Date.now() + 20 * SECOND; !(await answers()); await sleep(50))
    if (Date.now() > end) throw new Error('docker-registry does not start');
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      await rm(dir, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

/** Puts `image` into a registry as `name` (HOST/REPOSITORY:TAG), and forgets it here again under that name. Returns its digest. */
export async function push(
  engine: Engine,
  image: string,
  name: string,
  login = { username: '', password: '' },
): Promise<string> {
  const [, repo = '', tag = ''] = /^(.*):([^:/]+)$/.exec(name) ?? [];
  await engine.request('POST', `/images/${image}/tag?repo=${encodeURIComponent(repo)}&tag=${tag}`);
  const headers = { 'X-Registry-Auth': Buffer.from(JSON.stringify(login)).toString('base64') };
  const said = String(
    await engine.request('POST', `/images/${repo}/push?tag=${tag}`, { headers, text: true }),
  );
  if (said.includes('errorDetail')) throw new Error(said);
  await engine.request('DELETE', `/images/${name}`);
  return /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1] ?? '';
}

/** Makes an image of one program, at its root, and nothing else. */
export async function imageOf(
  engine: Engine,
  name: string,
  content: Uint8Array,
  program = 'file',
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    await Bun.write(join(dir, program), content);
    await chmod(join(dir, program), 0o755);
    Bun.spawnSync(['tar', '-cf', 'image.tar', program], { cwd: dir });
    const [, repo = '', tag = ''] = /^(.*):([^:/]+)$/.exec(name) ?? [];
    await engine.upload(
      `/images/create?${new URLSearchParams({ fromSrc: '-', repo, tag })}`,
      Bun.file(join(dir, 'image.tar')),
    );
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** What stands before a registry, so that a test can make it busy, slow, or away. */
export interface Front extends AsyncDisposable {
  host: string;
  /** Of each request: method and path. */
  asked: string[];
  /** Answers instead of the registry; null: the registry does. */
  instead: ((request: Request, path: string) => Response | Promise<Response> | null) | null;
}

export function frontOf(registry: OwnRegistry): Front {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      // As a proxy: it makes no tunnels.
      if (request.method === 'CONNECT') return new Response(null, { status: 405 });
      asked.push(`${request.method} ${pathname}`);
      const other = front.instead?.(request, pathname);
      if (other) return await other;
      const headers = new Headers(request.headers);
      headers.delete('accept-encoding');
      const answer = await fetch(`http://${registry.host}${pathname}${search}`, {
        method: request.method,
        headers,
        redirect: 'manual',
        signal: request.signal,
      });
      return new Response(answer.body, { status: answer.status, headers: answer.headers });
    },
  });
  const front: Front = {
    host: `127.0.0.1:${server.port}`,
    asked,
    instead: null,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return front;
}
