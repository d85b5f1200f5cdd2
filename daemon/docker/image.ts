/** Images: found, or pulled, each once at a time for all slots of this worker. */
import * as z from 'zod';
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type RetryPolicy, retry } from '../../core/retry.ts';
import { MINUTE, SECOND } from '../../core/wait.ts';
import type { ImageConfig } from './command.ts';
import { authHeader, credentialsFor } from './credentials.ts';
import { Engine, type Env, isNotFound } from './engine.ts';
import { pruneImages, rememberPulled, rememberUse } from './prune.ts';
import { PullProgress } from './pull_progress.ts';
import { Shared } from './shared.ts';

export type Pull = 'always' | 'missing' | 'never';

export interface Image extends ImageConfig {
  /** sha256:..., the Engine's name for what is on its disk. */
  id: string;
  /** NAME@sha256:..., by which every machine can pull the very same; null for an image that was never in a registry. */
  digest: string | null;
}

export interface ImageWorld {
  log: Logger;
  signal: AbortSignal;
  env: Env;
  /** Images go when the Engine's disk is this full. 0: never. */
  pruneAtPercent?: number;
  /** How patient it is with a registry that is busy. */
  policy?: Omit<RetryPolicy, 'retryable'>;
  /** How often a pull tells how far it is. */
  tellEveryMs?: number;
}

/** Registries say so when they are busy or out of reach; the Engine passes it on as text, with no code. */
const PASSING =
  /toomanyrequests|too many requests|status:? (429|5\d\d)|\b50[0234]\b|i\/o timeout|TLS handshake timeout|deadline exceeded|Client\.Timeout|request canceled|connection (reset|refused)|no such host|server misbehaving|network is unreachable|no route to host|unexpected EOF|: EOF/i;
/** What registries say about names and permissions is final. */
const FINAL = /not found|manifest unknown|denied|unauthorized|authentication required|invalid reference/i;

const isPassing = (thrown: unknown) => PASSING.test(messageOf(thrown)) && !isFinal(thrown);
const isFinal = (thrown: unknown) =>
  FINAL.test(messageOf(thrown)) && !/no such host|server misbehaving/i.test(messageOf(thrown));

const BUSY = {
  firstDelayMs: SECOND,
  longestDelayMs: 30 * SECOND,
  deadlineMs: 3 * MINUTE,
};

/** With the image here, waiting long for news of it is no help. */
const WITH_IMAGE_HERE_MS = 5 * SECOND;

export interface ImageReference {
  /** Without tag and digest. */
  name: string;
  /** The digest when there is one, for it says more; no tag means `latest`, or every tag would be pulled. */
  tag: string;
  registry: string;
  /** The name that the Engine finds it by. */
  canonical: string;
  byDigest: boolean;
}

export function parseImage(image: string): ImageReference {
  const [beforeDigest = '', digest] = image.split('@');
  const slash = beforeDigest.lastIndexOf('/');
  const colon = beforeDigest.indexOf(':', slash + 1);
  const name = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon);
  const first = name.split('/')[0] ?? '';
  const registry = name.includes('/') && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
  const tag = digest ?? (colon < 0 ? 'latest' : beforeDigest.slice(colon + 1));
  return { name, tag, registry, canonical: `${name}${digest ? '@' : ':'}${tag}`, byDigest: Boolean(digest) };
}

const pulls = new Shared<void>();

/** Makes sure that an image is on the Engine, as `pull` says. Throws BorealisError that says how to mend it. */
export async function provideImage(engine: Engine, image: string, pull: Pull, o: ImageWorld): Promise<Image> {
  const wanted = parseImage(image);
  const here = await inspect(engine, wanted, o.signal);
  // A digest names the content itself: there is nothing newer to ask for.
  if (here && (pull !== 'always' || wanted.byDigest)) return chosen(engine, wanted, here, o);
  if (pull === 'never')
    throw new BorealisError(
      `Image ${image} is not on this machine, and pull is 'never'. Load it, or set pull: missing`,
    );
  try {
    await pulls.join(`${JSON.stringify(engine.address)} ${wanted.canonical}`, o.signal, {
      onJoined: () => o.log.info(`Image ${image} is being pulled for another task: waiting for that`),
      work: (signal) => pullWithRetries(engine, wanted, here !== null, { ...o, signal }),
    });
  } catch (thrown) {
    o.signal.throwIfAborted();
    if (!here || !isPassing(thrown)) throw pullError(image, thrown);
    o.log.warning(
      `The registry ${wanted.registry} cannot be reached: going on with the image that is here (${messageOf(thrown)})`,
    );
    return chosen(engine, wanted, here, o);
  }
  const there = await inspect(engine, wanted, o.signal);
  if (!there)
    throw new BorealisError(`Image ${image} was pulled but is not there: is the Docker Engine's disk full?`);
  return chosen(engine, wanted, there, o);
}

function chosen(engine: Engine, { canonical }: ImageReference, image: Image, o: ImageWorld): Image {
  rememberUse(engine, canonical);
  o.log.info(`Image ${canonical} is ${image.id}${image.digest ? ` (${image.digest})` : ''}`);
  return image;
}

const lines = z
  .array(z.string())
  .nullish()
  .transform((found) => found ?? []);

const inspected = z.looseObject({
  Id: z.string(),
  RepoDigests: lines,
  Config: z.looseObject({ Entrypoint: lines, Shell: lines }).nullish(),
});

async function inspect(engine: Engine, wanted: ImageReference, signal: AbortSignal): Promise<Image | null> {
  try {
    const { Id, RepoDigests, Config } = inspected.parse(
      await engine.request('GET', `/images/${wanted.canonical}/json`, { signal }),
    );
    // The same content may have been pulled under several names.
    const digest = RepoDigests.find((one) => one.startsWith(`${wanted.name}@`)) ?? RepoDigests[0] ?? null;
    return { id: Id, digest, entrypoint: Config?.Entrypoint ?? [], shell: Config?.Shell ?? [] };
  } catch (thrown) {
    if (isNotFound(thrown)) return null;
    throw thrown;
  }
}

/** Over a connection of its own: the task that asked first may end before the others that wait. */
async function pullWithRetries(
  { address }: Engine,
  wanted: ImageReference,
  here: boolean,
  o: ImageWorld,
): Promise<void> {
  await using engine = new Engine(address);
  const { log, signal, pruneAtPercent = 0, policy = BUSY } = o;
  const prune = (atPercent: number) =>
    pruneImages(engine, { atPercent, keep: wanted.canonical, log, signal });
  if (pruneAtPercent > 0) await prune(pruneAtPercent);
  const deadlineMs = here ? Math.min(policy.deadlineMs, WITH_IMAGE_HERE_MS) : policy.deadlineMs;
  const attempt = () =>
    retry({ ...policy, retryable: isPassing, deadlineMs }, () => pullOnce(engine, wanted, o), {
      signal,
      onRetry: (thrown, ms) =>
        log.warning(
          `Pulling ${wanted.canonical}: again in ${(ms / SECOND).toFixed(1)} s: ${messageOf(thrown)}`,
        ),
    });
  try {
    await attempt();
  } catch (thrown) {
    // The disk filled on the way. What can go goes, and once more.
    if (!isDiskFull(thrown) || pruneAtPercent === 0 || (await prune(Number.MIN_VALUE)) === 0) throw thrown;
    await attempt();
  }
  rememberPulled(engine, wanted.canonical);
}

const isDiskFull = (thrown: unknown) => /no space left/i.test(messageOf(thrown));

async function pullOnce(engine: Engine, wanted: ImageReference, o: ImageWorld): Promise<void> {
  const { name, tag, registry, canonical } = wanted;
  const { log, signal, tellEveryMs = 10 * SECOND } = o;
  log.debug(`Pulling image ${canonical}`);
  const headers = authHeader(await credentialsFor(registry, o));
  const query = new URLSearchParams({ fromImage: name, tag });
  const progress = new PullProgress();
  const telling = setInterval(() => log.info(`Pulling ${canonical}: ${progress.text()}`), tellEveryMs);
  try {
    for await (const line of await engine.lines('POST', `/images/create?${query}`, { headers, signal })) {
      const failure = failureIn(line);
      if (failure) throw new BorealisError(failure);
      progress.take(line);
    }
  } finally {
    clearInterval(telling);
  }
  log.info(`Pulled image ${canonical}: ${progress.summary()}`);
}

const failing = z.looseObject({
  error: z.string().optional(),
  errorDetail: z.looseObject({ message: z.string() }).optional(),
});

/** A pull that fails half-way answers 200 and tells it in the stream; Engines from 29 on without `error`. */
function failureIn(line: Record<string, unknown>): string | undefined {
  const { error, errorDetail } = failing.parse(line);
  return errorDetail?.message ?? error;
}

function pullError(image: string, cause: unknown): BorealisError {
  const message = messageOf(cause);
  const { registry } = parseImage(image);
  const mend = /denied|unauthorized|authentication|no basic auth/i.test(message)
    ? `Give this machine access to ${registry}, or sign in: docker login ${registry}`
    : /not found|manifest unknown/i.test(message)
      ? 'Push the image, or correct `image` in the Firetask'
      : isDiskFull(cause)
        ? "The Docker Engine's disk is full: use a larger boot disk (-o boot-disk-size=...)"
        : 'Is the registry reachable from this machine?';
  return new BorealisError(`Cannot pull ${image}: ${message}. ${mend}`, { cause });
}
