/** Whose name an image is pulled in: the user's Docker configuration, else (for Google's registries) the VM's own account. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { readEndpoints } from '../../core/cloud/endpoints.ts';
import { MetadataClient } from '../../core/cloud/metadata.ts';
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { SECOND } from '../../core/wait.ts';
import type { Env } from './engine.ts';

/** What the Engine takes as X-Registry-Auth. */
export interface RegistryAuth {
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
  serveraddress: string;
}

export interface CredentialsWorld {
  env: Env;
  log: Logger;
  signal?: AbortSignal;
}

/** Docker Hub's name in configurations. */
const HUB = 'https://index.docker.io/v1/';

/** A helper that asks a person something would never end. */
const HELPER_WITHIN_MS = 30 * SECOND;

const configSchema = z.looseObject({
  auths: z
    .record(
      z.string(),
      z.looseObject({
        auth: z.string().optional(),
        username: z.string().optional(),
        password: z.string().optional(),
        identitytoken: z.string().optional(),
        registrytoken: z.string().optional(),
      }),
    )
    .nullish()
    .transform((auths) => auths ?? {}),
  credHelpers: z
    .record(z.string(), z.string())
    .nullish()
    .transform((helpers) => helpers ?? {}),
  credsStore: z.string().optional(),
});

type Config = z.infer<typeof configSchema>;

/**
 * The credentials for a registry, null for none: from the helper that the Docker configuration names for it, from the
 * configuration itself, and on Google Cloud, for Artifact Registry and gcr.io, the token of the VM's service account.
 */
export async function credentialsFor(
  registry: string,
  world: CredentialsWorld,
): Promise<RegistryAuth | null> {
  const path = join(world.env.DOCKER_CONFIG || join(world.env.HOME ?? homedir(), '.docker'), 'config.json');
  const config = await readConfig(path);
  const key = registry === 'docker.io' ? HUB : registry;
  const helper = config && (config.credHelpers[key] ?? config.credHelpers[registry] ?? config.credsStore);
  return (
    (helper ? await fromHelper(helper, key, path, world) : null) ??
    (config ? fromAuths(config, registry, key) : null) ??
    (isGoogles(registry) ? await fromMetadata(registry, world) : null)
  );
}

/** As the header wants it: with the padding, without which the Engine (20.10) takes it for no credentials, in silence. */
export function authHeader(auth: RegistryAuth | null): Record<string, string> {
  if (!auth) return {};
  const text = Buffer.from(JSON.stringify(auth)).toString('base64');
  return { 'X-Registry-Auth': text.replaceAll('+', '-').replaceAll('/', '_') };
}

async function readConfig(path: string): Promise<Config | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null || text.trim() === '') return null;
  try {
    return configSchema.parse(JSON.parse(text));
  } catch (thrown) {
    const [issue] = thrown instanceof z.ZodError ? thrown.issues : [];
    const wrong = issue ? `'${issue.path.join('.')}': ${issue.message}` : messageOf(thrown);
    throw new BorealisError(`The Docker configuration ${path} cannot be read: ${wrong}`);
  }
}

function fromAuths({ auths }: Config, registry: string, key: string): RegistryAuth | null {
  const found = auths[key] ?? Object.entries(auths).find(([name]) => hostOf(name) === registry)?.[1];
  if (!found) return null;
  const { auth, username, password, identitytoken, registrytoken } = found;
  const [, user, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(auth ?? '', 'base64').toString('utf8')) ?? [];
  const own = {
    ...((user ?? username) && { username: user ?? username }),
    // What `docker login` writes into `auth` may end with NUL bytes.
    ...((secret ?? password) && { password: (secret ?? password)?.replace(/\0+$/, '') }),
    ...(identitytoken && { identitytoken }),
    ...(registrytoken && { registrytoken }),
  };
  return Object.keys(own).length > 0 ? { ...own, serveraddress: key } : null;
}

/** `registry` of `https://registry/v1/`: how older programs wrote it. */
const hostOf = (name: string) => name.replace(/^https?:\/\//, '').split('/')[0];

const helperAnswer = z.looseObject({ Username: z.string(), Secret: z.string() });

/** Asks a program docker-credential-NAME. https://github.com/docker/docker-credential-helpers */
async function fromHelper(
  helper: string,
  key: string,
  path: string,
  { env, log, signal }: CredentialsWorld,
): Promise<RegistryAuth | null> {
  const program = `docker-credential-${helper}`;
  const file = Bun.which(program, { PATH: env.PATH ?? '' });
  if (!file) {
    log.warning(`${path} names the helper ${program}, which is not on this machine: going on without it`);
    return null;
  }
  const limit = AbortSignal.timeout(HELPER_WITHIN_MS);
  const child = Bun.spawn([file, 'get'], {
    env,
    stdin: new Blob([key]),
    stdout: 'pipe',
    stderr: 'ignore',
    signal: signal ? AbortSignal.any([limit, signal]) : limit,
    killSignal: 'SIGKILL',
  });
  const text = await new Response(child.stdout).text();
  const code = await child.exited;
  signal?.throwIfAborted();
  // The helpers' way to say that they know nothing of a registry is to fail, with this on stdout.
  if (code !== 0 && /credentials not found|no credentials/i.test(text)) return null;
  const answer = helperAnswer.safeParse(parsed(text));
  if (code !== 0 || !answer.success) {
    const why = limit.aborted ? `did not answer within ${HELPER_WITHIN_MS / SECOND} s` : 'failed';
    log.warning(`${program} ${why} for ${key}: going on without it`);
    return null;
  }
  const { Username, Secret } = answer.data;
  return Username === '<token>'
    ? { identitytoken: Secret, serveraddress: key }
    : { username: Username, password: Secret, serveraddress: key };
}

/** Artifact Registry and Container Registry. */
export const isGoogles = (registry: string) => /(^|\.)gcr\.io$|\.pkg\.dev$/.test(registry);

const token = z.looseObject({ access_token: z.string().min(1) });

async function fromMetadata(
  registry: string,
  { env, log, signal }: CredentialsWorld,
): Promise<RegistryAuth | null> {
  const metadata = new MetadataClient(readEndpoints(env).metadataHost);
  // Elsewhere than on Google Cloud nobody answers.
  const text = await metadata.get('instance/service-accounts/default/token', signal).catch(() => null);
  signal?.throwIfAborted();
  if (text === null) return null;
  const answer = token.safeParse(parsed(text));
  if (answer.success)
    return { username: 'oauth2accesstoken', password: answer.data.access_token, serveraddress: registry };
  log.warning(`The metadata server gave no token of this VM's service account for ${registry}`);
  return null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
