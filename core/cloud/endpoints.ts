/**
 * Where Google Cloud is, from the variables that the ecosystem already has, so that any emulator can stand in; and whose
 * project and zone it is. A plain-http address is an emulator's: no credentials are sent there.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ClientOptions } from 'google-gax';
import { UsageError } from '../errors.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface Endpoints {
  /** Host (and port) of the metadata server. */
  metadataHost: string;
  /** Base URLs that replace Google's own. */
  storage?: URL;
  compute?: URL;
  logging?: URL;
  secrets?: URL;
}

export function readEndpoints(env: Env = process.env): Endpoints {
  return {
    metadataHost: env.GCE_METADATA_HOST || 'metadata.google.internal',
    storage: url('STORAGE_EMULATOR_HOST', env),
    compute: url('CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE', env),
    logging: url('CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING', env),
    secrets: url('CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER', env),
  };
}

function url(name: string, env: Env): URL | undefined {
  const value = env[name];
  if (!value) return undefined;
  // STORAGE_EMULATOR_HOST is also given as host:port.
  const text = /^\w+:\/\//.test(value) ? value : `http://${value}`;
  if (!URL.canParse(text))
    throw new UsageError(`${name}=${value}: must be an address such as http://127.0.0.1:8080`);
  return new URL(text);
}

/** Options of a Google client made from an API description (Compute, Logging) for an endpoint; Google's own when undefined. */
export async function clientOptions(endpoint: URL | undefined, projectId: string): Promise<ClientOptions> {
  if (!endpoint) return { projectId };
  const options: ClientOptions = {
    projectId,
    apiEndpoint: endpoint.hostname,
    port: Number(endpoint.port) || (endpoint.protocol === 'http:' ? 80 : 443),
    fallback: true,
    protocol: endpoint.protocol.replace(':', ''),
  };
  if (endpoint.protocol === 'http:') {
    const { PassThroughClient } = await import('google-auth-library');
    // Google's own type leaves this client out, which sends no credentials.
    options.authClient = new PassThroughClient() as unknown as ClientOptions['authClient'];
  }
  return options;
}

/** What gcloud is configured to, without asking gcloud: the active configuration's file. */
function gcloudValue(section: string, key: string, env: Env): string | undefined {
  const folder = env.CLOUDSDK_CONFIG ?? join(env.HOME ?? homedir(), '.config', 'gcloud');
  try {
    const active =
      env.CLOUDSDK_ACTIVE_CONFIG_NAME ?? readFileSync(join(folder, 'active_config'), 'utf8').trim();
    const text = readFileSync(join(folder, 'configurations', `config_${active}`), 'utf8');
    const part = text.split(/^\[/m).find((one) => one.startsWith(`${section}]`)) ?? '';
    return new RegExp(`^${key}\\s*=\\s*(.+)$`, 'm').exec(part)?.[1]?.trim();
  } catch {
    return undefined;
  }
}

/** The project: a flag, the environment, gcloud's configuration, or (on a VM) the metadata server's answer. */
export function resolveProject(o: { flag?: string; env?: Env; onVm?: string }): string {
  const { env = process.env } = o;
  const found =
    o.flag ??
    (env.CLOUDSDK_CORE_PROJECT || env.GOOGLE_CLOUD_PROJECT || gcloudValue('core', 'project', env) || o.onVm);
  if (found) return found;
  throw new UsageError(
    'No Google Cloud project is configured. Set one: gcloud config set project PROJECT, or CLOUDSDK_CORE_PROJECT, or --project',
  );
}

/** The zone, from the same places. */
export function resolveZone(o: { flag?: string; env?: Env; onVm?: string }): string {
  const { env = process.env } = o;
  const found = o.flag ?? (env.CLOUDSDK_COMPUTE_ZONE || gcloudValue('compute', 'zone', env) || o.onVm);
  if (found) return found;
  throw new UsageError(
    'No Compute Engine zone is configured. Set one: gcloud config set compute/zone ZONE, or CLOUDSDK_COMPUTE_ZONE, or --zone',
  );
}
