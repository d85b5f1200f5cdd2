/** Python's `glob.glob`: what a spec's patterns mean. */
import { existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/**
 * The paths that match, sorted: `*`, `?` and `[...]` within a name, and nothing else, so that braces and `**` are no more than
 * Python makes of them. Names that begin with a dot match only a pattern that does.
 */
export function pythonGlob(pattern: string, folder: string): string[] {
  let found = [isAbsolute(pattern) ? '/' : folder];
  for (const part of pattern.split('/').filter(Boolean))
    found = /[*?[]/.test(part)
      ? found.flatMap((path) => matching(path, part))
      : found.map((path) => join(path, part)).filter((path) => existsSync(path));
  return found.sort();
}

function matching(folder: string, part: string): string[] {
  const name = nameLike(part);
  const entries = readdirIn(folder).filter((entry) => part.startsWith('.') || !entry.startsWith('.'));
  return entries.filter((entry) => name.test(entry)).map((entry) => join(folder, entry));
}

/** What is no folder has nothing in it. */
function readdirIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Python's `fnmatch.translate`. */
function nameLike(part: string): RegExp {
  const text = part.replace(/\[(!?)(\]?[^\]]*)\]|[*?]|[\\^$.|+(){}[\]]/g, (piece, not, inner) => {
    if (piece === '*') return '.*';
    if (piece === '?') return '.';
    if (inner === undefined) return `\\${piece}`;
    return `[${not && '^'}${inner.replace(/[\\[\]^]/g, '\\$&')}]`;
  });
  return new RegExp(`^${text}$`, 'su');
}
