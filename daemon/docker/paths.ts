/** Where a DockerTask's inputs and outputs are: in the container, on this machine, in storage. Pure. */
import { posix } from 'node:path';
import { BorealisError } from '../../core/errors.ts';

/** What an output's first letters say: `>>` a log with what surrounds it, `>` the bare output, else a file or a tree. */
export type Capture = '>>' | '>' | null;

export interface PathMapping {
  capture: Capture;
  /** A path that ends with '/' is a tree. */
  tree: boolean;
  /** In the container. */
  internal: string;
  /** Below the storage prefix, and below the group's folder on this machine. */
  sub: string;
}

export function captureOf(path: string): Capture {
  return path.startsWith('>>') ? '>>' : path.startsWith('>') ? '>' : null;
}

/**
 * Maps one input or output. The container's path must lie below `prefix`; the file of a `>>` log gets `stamp` before its
 * name, so that the logs of several runs are kept side by side. Throws BorealisError that names the path.
 */
export function mapPath(path: string, prefix: string, stamp: string): PathMapping {
  const capture = captureOf(path);
  let internal = path.replace(/^>{1,2}\s*/, '');
  const tree = internal.endsWith('/');
  if (capture && tree)
    throw new BorealisError(`'${path}': what is captured goes to a file; this names a folder`);
  if (!posix.isAbsolute(internal))
    throw new BorealisError(`'${path}': must be an absolute path in the container`);
  if (internal.includes('\0')) throw new BorealisError(`'${path}': must not contain NUL`);
  if (capture === '>>')
    internal = posix.join(posix.dirname(internal), `${stamp}_${posix.basename(internal)}`);
  const sub = posix.relative(posix.normalize(prefix), posix.normalize(internal));
  if (sub === '..' || sub.startsWith('../') || posix.isAbsolute(sub)) {
    throw new BorealisError(`'${path}' is outside of internal_prefix '${prefix}'`);
  }
  if (sub === '' && !tree)
    throw new BorealisError(
      `'${path}' is internal_prefix itself: name a file below it, or the folder with a '/' at its end`,
    );
  return {
    capture,
    tree,
    internal: tree ? `${posix.normalize(internal).replace(/\/*$/, '')}/` : posix.normalize(internal),
    sub: tree && sub ? `${sub}/` : sub,
  };
}

/** The name of a mapped path in storage: below the prefix's path, which may be empty. */
export function objectName(prefixPath: string, sub: string): string {
  const prefix = prefixPath.replace(/\/+$/, '');
  return prefix ? `${prefix}/${sub}` : sub;
}

/** `YYYYMMDD.HHMMSS` in local time, as upstream's log names. */
export function stampOf(at: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}.${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`;
}

/** Seconds as `[days, ]H:MM:SS`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const days = Math.floor(whole / 86400);
  const two = (n: number) => String(n).padStart(2, '0');
  const clock = `${Math.floor((whole % 86400) / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return days === 0 ? clock : `${days} day${days === 1 ? '' : 's'}, ${clock}`;
}
