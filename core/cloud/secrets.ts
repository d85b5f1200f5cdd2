/**
 * Secrets that metadata names instead of holding them: `secret:projects/P/secrets/S`, with `/versions/V` or the latest. They
 * are read on the VM, by its service account. https://cloud.google.com/secret-manager/docs/reference/rest
 */
import { UsageError } from '../errors.ts';
import { type RetryPolicy, type RetryWorld, retry } from '../retry.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { cloudError, isPassing } from './api_error.ts';
import type { Endpoints } from './endpoints.ts';

const REFERENCE = /^secret:(projects\/[^/]+\/secrets\/[\w-]+)(\/versions\/(?:latest|\d+))?$/;

const PASSING: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: 8 * SECOND,
  deadlineMs: 2 * MINUTE,
};

/** True for a value that stands for a secret. */
export const isSecret = (value: string) => value.startsWith('secret:');

/** The name of the secret's version that a value stands for. Throws UsageError for one that is written wrongly. */
export function secretName(key: string, value: string): string {
  const [, secret, version = '/versions/latest'] = REFERENCE.exec(value) ?? [];
  if (secret) return secret + version;
  throw new UsageError(`${key}=${value}: must be secret:projects/PROJECT/secrets/NAME, or with /versions/N`);
}

/** The same attributes, with the secrets that they name. Throws BorealisError with the secret's name when one cannot be read. */
export async function withSecrets(
  attributes: Readonly<Record<string, string>>,
  endpoints: Endpoints,
  world: RetryWorld = {},
): Promise<Record<string, string>> {
  const entries = Object.entries(attributes).map(async ([key, value]) => [
    key,
    isSecret(value) ? await readSecret(secretName(key, value), endpoints, world) : value,
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

async function readSecret(name: string, endpoints: Endpoints, world: RetryWorld): Promise<string> {
  const base = endpoints.secrets ?? new URL('https://secretmanager.googleapis.com/');
  try {
    const headers = base.protocol === 'http:' ? {} : await authorization();
    const text = await retry(PASSING, () => get(new URL(`v1/${name}:access`, base), headers), world);
    const { payload } = JSON.parse(text) as { payload: { data: string } };
    return Buffer.from(payload.data, 'base64').toString();
  } catch (thrown) {
    throw cloudError(`read the secret ${name}`, thrown);
  }
}

async function get(url: URL, headers: Record<string, string>): Promise<string> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(20 * SECOND) });
  const text = await response.text();
  if (response.ok) return text;
  throw Object.assign(new Error(text || response.statusText), { status: response.status });
}

async function authorization(): Promise<Record<string, string>> {
  const { GoogleAuth } = await import('google-auth-library');
  const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
  return { authorization: `Bearer ${await auth.getAccessToken()}` };
}
