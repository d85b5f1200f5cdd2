/** Images: found, or pulled with the user's credentials. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type RetryPolicy, retry } from '../../core/retry.ts';
import { MINUTE, SECOND } from '../../core/wait.ts';
import { type Engine, EngineError } from './engine.ts';

export type Pull = 'always' | 'missing' | 'never';

const inspected = z.looseObject({ Id: z.string() });

/** Registries answer so when they are busy; what they say about names and permissions is final. */
const BUSY: RetryPolicy = {
  retryable: (e) =>
    /toomanyrequests|429|50[0234]|timeout|connection (reset|refused)|EOF|TLS handshake/i.test(messageOf(e)) &&
    !/not found|denied|unauthorized/i.test(messageOf(e)),
  firstDelayMs: SECOND,
  longestDelayMs: 30 * SECOND,
  deadlineMs: 3 * MINUTE,
};

/** `name` and `tag` (or digest) of an image reference; no tag means `latest`, or every tag would be pulled. */
export function parseImage(image: string): { name: string; tag: string; registry: string } {
  const [beforeDigest = '', digest] = image.split('@');
  const slash = beforeDigest.lastIndexOf('/');
  const colon = beforeDigest.indexOf(':', slash + 1);
  const name = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon);
  const first = name.split('/')[0] ?? '';
  const registry = name.includes('/') && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
  return { name, tag: digest ?? (colon < 0 ? 'latest' : beforeDigest.slice(colon + 1)), registry };
}

/** Makes sure that an image is on the Engine, as `pull` says, and returns its id. */
export async function provideImage(
  engine: Engine,
  image: string,
  pull: Pull,
  o: { log: Logger; signal: AbortSignal; env: Readonly<Record<string, string | undefined>> },
): Promise<string> {
  const local = await inspect(engine, image);
  if (local && pull !== 'always') return local;
  if (pull === 'never')
    throw new BorealisError(
      `Image ${image} is not on this machine, and pull is 'never'. Load it, or set pull: missing`,
    );
  try {
    await retry(BUSY, () => pullImage(engine, image, o), { signal: o.signal });
  } catch (thrown) {
    o.signal.throwIfAborted();
    throw pullError(image, thrown);
  }
  const id = await inspect(engine, image);
  if (!id)
    throw new BorealisError(`Image ${image} was pulled but is not there: is the Docker Engine's disk full?`);
  return id;
}

async function inspect(engine: Engine, image: string): Promise<string | null> {
  try {
    return inspected.parse(await engine.request('GET', `/images/${image}/json`)).Id;
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.status === 404) return null;
    throw thrown;
  }
}

async function pullImage(
  engine: Engine,
  image: string,
  o: { log: Logger; signal: AbortSignal; env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  const { name, tag, registry } = parseImage(image);
  o.log.debug(`Pulling image ${name}:${tag}`);
  const auth = await credentials(registry, o.env);
  const headers: Record<string, string> = auth
    ? { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64url') }
    : {};
  const query = new URLSearchParams({ fromImage: name, tag });
  for await (const line of engine.lines(`/images/create?${query}`, headers, o.signal)) {
    // A pull that fails half-way answers 200 and tells it in the stream.
    if (typeof line.error === 'string') throw new BorealisError(line.error);
  }
}

const dockerConfig = z.looseObject({
  auths: z.record(z.string(), z.looseObject({ auth: z.string().optional() })).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
});

/** The user's credentials for a registry, from ~/.docker/config.json and its helper programs; null: none. */
async function credentials(
  registry: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string> | null> {
  const path = join(env.DOCKER_CONFIG ?? join(env.HOME ?? homedir(), '.docker'), 'config.json');
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  const config = dockerConfig.safeParse(jsonIn(text, path));
  if (!config.success) return null;
  const { auths, credHelpers, credsStore } = config.data;
  const key = registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
  const helper = credHelpers[registry] ?? credsStore;
  if (helper) {
    const program = `docker-credential-${helper}`;
    if (!Bun.which(program, { PATH: env.PATH ?? '' }))
      throw new BorealisError(`${path} names the helper ${program}, which is not on this machine`);
    const child = Bun.spawn([program, 'get'], {
      env,
      stdin: new Blob([key]),
      stdout: 'pipe',
      stderr: 'ignore',
    });
    const answer = await new Response(child.stdout).text();
    if ((await child.exited) === 0) {
      const { Username, Secret } = JSON.parse(answer) as { Username: string; Secret: string };
      return { username: Username, password: Secret, serveraddress: key };
    }
  }
  const encoded = auths[key]?.auth ?? auths[registry]?.auth;
  if (!encoded) return null;
  const [username = '', ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return { username, password: password.join(':'), serveraddress: key };
}

function jsonIn(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new BorealisError(`${path} is not JSON: ${messageOf(thrown)}`);
  }
}

function pullError(image: string, cause: unknown): BorealisError {
  const message = messageOf(cause);
  const { registry } = parseImage(image);
  const mend = /denied|unauthorized|authentication/i.test(message)
    ? `Give this machine access to ${registry}, or sign in: docker login ${registry}`
    : /not found|manifest unknown/i.test(message)
      ? 'Push the image, or correct `image` in the Firetask'
      : /no space/i.test(message)
        ? "The Docker Engine's disk is full: use a larger boot disk (-o boot-disk-size=...)"
        : 'Is the registry reachable from this machine?';
  return new BorealisError(`Cannot pull ${image}: ${message}. ${mend}`, { cause });
}
