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

/** `-m KEY=VALUE` flags, whose keys are such as Compute accepts. */
export function parseMetadata(pairs: readonly string[]): Record<string, string> {
  const found = parsePairs('-m', pairs);
  for (const key of Object.keys(found))
    if (!/^[\w-]{1,128}$/.test(key))
      throw new UsageError(`-m ${key}: a key has letters, digits, - and _ only, at most 128`);
  return found;
}

/** Keys whose values are nobody's business on a screen. */
const SECRET = /password|secret|token|credential/i;

/** The same dictionary with secrets as `***`, for dry runs. A password inside a connection string is one too. */
export function redact(pairs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(pairs).map(([key, value]) => [
      key,
      SECRET.test(key) ? '***' : value.replace(/(\w+:\/\/)[^/\s]+@/g, '$1***@'),
    ]),
  );
}
