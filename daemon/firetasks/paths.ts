import { homedir } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import type { Flight } from './firetask.ts';

/** A path of a Firetask's parameters, which is relative to the launch folder; `~` and `$NAME` mean what a shell makes of them. */
export function inLaunchDir(flight: Pick<Flight, 'launchDir' | 'env'>, path: string): string {
  const expanded = expandPath(path, flight.env);
  return isAbsolute(expanded) ? expanded : resolve(flight.launchDir, expanded);
}

/** Python's `expanduser(expandvars(path))`: variables that are not set stay as they are. */
export function expandPath(path: string, env: Readonly<Record<string, string | undefined>>): string {
  const named = path.replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, bare, braced) => env[bare ?? braced] ?? whole);
  return named.replace(/^~(?=\/|$)/, env.HOME ?? homedir());
}
