/** Names of a fleet's VMs: PREFIX-0, PREFIX-1, ... Pure. */
import { userInfo } from 'node:os';
import { UsageError } from '../../core/errors.ts';

/** The label by which a fleet's VMs are found again. */
export const FLEET_LABEL = 'borealis-fleet';
/** Who made a VM, and with which version. */
export const OWNER_LABEL = 'borealis-owner';
export const VERSION_LABEL = 'borealis-version';

/** More VMs at a time than anybody has asked for. */
export const MOST_AT_ONCE = 1000;

/** More than this is more likely a slip than a wish: `up` asks, and upstream's `gce` refuses. */
export const MANY = 100;

/** `fireworker-$USER` when nobody says otherwise. */
export function defaultPrefix(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return `fireworker-${userName(env)}`;
}

/** Who makes VMs. */
export const userName = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  env.USER || userInfo().username;

/**
 * A prefix as Compute Engine accepts it: lower case, other characters than a-z, 0-9 and - become -, and (upstream's rule)
 * the word "workflow" is left out for brevity. Throws UsageError for one that cannot begin a VM's name.
 */
export function sanitizePrefix(prefix: string): string {
  const clean = prefix
    .toLowerCase()
    .replaceAll('workflow', '')
    .replace(/[^-a-z0-9]+/g, '-')
    .replace(/-+$/, '');
  if (!/^[a-z][-a-z0-9]*$/.test(clean))
    throw new UsageError(`PREFIX '${prefix}': a VM's name begins with a letter`);
  if (clean.length > 58)
    throw new UsageError(`PREFIX '${prefix}': must be at most 58 characters, for a VM's name has at most 63`);
  return clean;
}

/** A whole number of a flag; undefined when the flag was not given. */
export function wholeNumber(
  flag: string,
  text: string | undefined,
  least: number,
  most: number,
  hint = '',
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  const said = `${flag.length === 1 ? '-' : '--'}${flag} ${text}`;
  if (Number.isNaN(value)) throw new UsageError(`${said}: must be a whole number`);
  if (value < least) throw new UsageError(`${said}: must be at least ${least}`);
  if (value > most) throw new UsageError(`${said}: must be at most ${most}${hint}`);
  return value;
}

/** The flags --base and --count, checked. */
export function rangeOf(
  base: string | undefined,
  count: string | undefined,
  most = MOST_AT_ONCE,
): { base?: number; count?: number } {
  const hint = '. For more VMs run the command again, with another --base';
  return {
    base: wholeNumber('base', base, 0, 1_000_000),
    count: wholeNumber('count', count, 0, most, hint),
  };
}

/** The names PREFIX-base to PREFIX-(base+count-1). Throws UsageError when they grow too long. */
export function vmNames(prefix: string, base: number, count: number): string[] {
  const names = Array.from({ length: count }, (_, i) => `${prefix}-${base + i}`);
  const last = names.at(-1) ?? '';
  if (last.length > 63)
    throw new UsageError(`${last}: the name of a VM may have at most 63 characters: choose a shorter PREFIX`);
  return names;
}

/** `demo-0 .. demo-2`, for a sentence. */
export function nameSpan(names: readonly string[]): string {
  const [first = 'none'] = names;
  return names.length < 2 ? first : `${first} .. ${names.at(-1)}`;
}
