import { isSecret, secretName } from '../../core/cloud/secrets.ts';
import { UsageError } from '../../core/errors.ts';

/** `KEY=VALUE` flags as a dictionary; a value may hold further `=`. Throws UsageError for one without a key. */
export function parsePairs(flag: string, pairs: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const key = (at < 0 ? pair : pair.slice(0, at)).trim();
    if (!key) throw new UsageError(`${flag} ${pair}: must be KEY=VALUE`);
    found[key] = at < 0 ? '' : pair.slice(at + 1).trim();
  }
  return found;
}

/** `-m KEY=VALUE` flags, whose keys are such as Compute accepts, and whose secrets are named as they must be. */
export function parseMetadata(pairs: readonly string[]): Record<string, string> {
  const found = parsePairs('-m', pairs);
  for (const [key, value] of Object.entries(found)) {
    checkKey('-m', key);
    if (isSecret(value)) secretName(`-m ${key}`, value);
  }
  return found;
}

/** The same where a key alone (`-m KEY`) removes it: its value is null. */
export function parseMetadataChange(pairs: readonly string[]): Record<string, string | null> {
  const removed = pairs.filter((pair) => !pair.includes('=')).map((pair) => pair.trim());
  for (const key of removed) checkKey('-m', key);
  const set = parseMetadata(pairs.filter((pair) => pair.includes('=')));
  return { ...Object.fromEntries(removed.map((key) => [key, null])), ...set };
}

/** Throws UsageError for a key that Compute refuses. */
export function checkKey(flag: string, key: string): void {
  if (!/^[\w-]{1,128}$/.test(key))
    throw new UsageError(`${flag} ${key}: a key has letters, digits, - and _ only, at most 128`);
}

/** Keys whose values are nobody's business on a screen. */
const SECRET = /password|secret|token|credential/i;

/** The same dictionary with secrets as `***`, for dry runs. A password inside a connection string is one too. */
export function redact(pairs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(pairs).map(([key, value]) => [key, masked(key, value)]));
}

function masked(key: string, value: string): string {
  // What only names a secret is none.
  if (isSecret(value)) return value;
  return SECRET.test(key) ? '***' : value.replace(/(\w+:\/\/)[^/\s]+@/g, '$1***@');
}

/** The same request with the secrets in its metadata as `***`. */
export function maskRequest<Request>(request: Request): Request {
  const text = JSON.stringify(request, (_, inner: unknown) =>
    isItem(inner) ? { ...inner, value: masked(inner.key, inner.value) } : inner,
  );
  return JSON.parse(text) as Request;
}

function isItem(value: unknown): value is { key: string; value: string } {
  const item = value as { key?: unknown; value?: unknown } | null;
  return typeof item?.key === 'string' && typeof item.value === 'string';
}
