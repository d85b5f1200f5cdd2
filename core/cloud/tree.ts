/**
 * A folder and the objects below a prefix: which file is which object. Names that cannot be kept on the other side are
 * refused, all of them at once and before anything is transferred.
 */
import { lstatSync } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { BorealisError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { StorageObject } from './object.ts';

/** Of names that are refused so many are told. */
const MOST_TOLD = 10;

/** Where the object `name` below `prefix` goes in folder `dir`. Throws for names that no file there can have. */
export function fileFor(dir: string, prefix: string, name: string): string {
  const rest = name.slice(prefix.length);
  const parts = rest.replace(/\/$/, '').split('/');
  if (rest.includes('\0') || parts.includes('..') || rest.startsWith('/'))
    throw new BorealisError(`The object '${name}' would be written outside ${dir}: rename it`);
  if (rest !== '' && parts.some((part) => part === '' || part === '.'))
    throw new BorealisError(
      `The object '${name}' has an empty part in its name, which no file has: rename it`,
    );
  const long = parts.find((part) => Buffer.byteLength(part) > 255);
  if (long)
    throw new BorealisError(
      `The object '${name}' has a part of ${Buffer.byteLength(long)} bytes in its name, and a file's name has 255 at most: rename it`,
    );
  return resolve(dir, rest);
}

export interface PlannedTree {
  files: { object: StorageObject; file: string }[];
  folders: string[];
}

/** Which files and folders the objects below `prefix` are in `dir`. Throws one error that names all that cannot be. */
export function planTree(objects: readonly StorageObject[], prefix: string, dir: string): PlannedTree {
  const files: PlannedTree['files'] = [];
  const folders = new Set([resolve(dir)]);
  const refused: string[] = [];
  for (const object of objects) {
    try {
      const path = fileFor(dir, prefix, object.name);
      // An object whose name ends with '/' stands for a folder.
      if (object.name.endsWith('/') || path === resolve(dir)) folders.add(path);
      else files.push({ object, file: path });
      for (let up = path; up.length > resolve(dir).length; ) {
        up = up.slice(0, up.lastIndexOf(sep));
        if (folders.has(up)) break;
        folders.add(up);
      }
    } catch (thrown) {
      refused.push((thrown as Error).message);
    }
  }
  for (const { object, file } of files)
    if (folders.has(file))
      refused.push(`'${object.name}' and objects below '${object.name}/' cannot both be files: rename one`);
  refuseAll(refused);
  return { files, folders: [...folders] };
}

/** A file, or an empty folder, and the object that it becomes. */
export interface TreeEntry {
  path: string;
  /** Ends with '/' for a folder. */
  name: string;
  size: number;
}

/**
 * The files below `dir`, and its empty folders. A link is followed when it leads to a file inside; what else is no regular
 * file is left out with a warning. Throws one error that names all whose names no object can have.
 */
export async function treeEntries(dir: string, prefix: string, log: Logger): Promise<TreeEntry[]> {
  const root = await realpath(dir);
  const entries: TreeEntry[] = [];
  const refused: string[] = [];
  for await (const found of walk(root, root, log)) {
    const below = relative(root, found.path).split(sep).join('/');
    const name = prefix + below + (found.folder ? '/' : '');
    const why = await whyNoObject(name, found.path);
    if (why) refused.push(`${found.path} cannot be stored: ${why}`);
    else entries.push({ path: found.path, name, size: found.size });
  }
  refuseAll(refused);
  return entries;
}

function refuseAll(refused: readonly string[]): void {
  if (refused.length === 0) return;
  const more = refused.length - MOST_TOLD;
  throw new BorealisError(
    refused.slice(0, MOST_TOLD).join('; ') + (more > 0 ? `; and ${more} more of that kind` : ''),
  );
}

/** https://cloud.google.com/storage/docs/objects#naming */
async function whyNoObject(name: string, path: string): Promise<string | null> {
  const bytes = Buffer.byteLength(name);
  if (bytes > 1024) return `its object's name would have ${bytes} bytes, and 1024 are the most`;
  if (/[\r\n]/.test(name)) return 'its name has a line break';
  if (name.startsWith('.well-known/acme-challenge/')) return 'Cloud Storage keeps that name for itself';
  // What cannot be decoded is replaced by this character: the path then names nothing.
  const decoded = !path.includes('\uFFFD') || (await lstat(path).then(Boolean, () => false));
  return decoded ? null : 'its name is no UTF-8';
}

async function* walk(
  root: string,
  dir: string,
  log: Logger,
): AsyncGenerator<{ path: string; folder: boolean; size: number }> {
  const entries = await readdir(dir, { withFileTypes: true });
  if (entries.length === 0 && dir !== root) yield { path: dir, folder: true, size: 0 };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(dir, entry.name);
    const told = relative(root, path);
    if (entry.isDirectory()) yield* walk(root, path, log);
    else if (entry.isFile()) {
      // At once: to have a thread look takes ten times as long, one file after the other.
      const found = lstatSync(path, { throwIfNoEntry: false });
      // A name that cannot be decoded leads nowhere: told by whoever looks at the name.
      yield { path, folder: false, size: found?.size ?? 0 };
    } else if (entry.isSymbolicLink()) {
      const target = await realpath(path).catch(() => null);
      const found = target?.startsWith(root + sep) ? await stat(path) : null;
      if (found?.isFile()) yield { path, folder: false, size: found.size };
      else
        log.warning(`${told} is a link that leads out of the tree, to a folder, or to nothing: not stored`);
    } else log.warning(`${told} is no regular file: not stored`);
  }
}

/** The folders that lie above an object, as objects that stand for them: `a/`, `a/b/` for `a/b/c`. */
export function foldersAbove(name: string): string[] {
  const folders: string[] = [];
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1))
    folders.push(name.slice(0, at + 1));
  return folders;
}
