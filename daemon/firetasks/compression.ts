/** Files compressed one by one, as `gzip` and `bzip2` do: in their place, their times kept, the original gone at the end. */
import { createReadStream, createWriteStream, type Dirent } from 'node:fs';
import { chmod, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { BorealisError } from '../../core/errors.ts';
import type { Flight } from './firetask.ts';
import { runProgram } from './program.ts';

export type Compression = 'gz' | 'bz2';

/** The compression that a file's name tells of; null: none. */
export function compressionOf(file: string): Compression | null {
  const extension = extname(file).toLowerCase();
  return extension === '.bz2' ? 'bz2' : extension === '.gz' || extension === '.z' ? 'gz' : null;
}

export async function compressFile(file: string, compression: Compression, flight: Flight): Promise<void> {
  await replace(file, `${file}.${compression}`, (to) =>
    compression === 'gz' ? gzip(file, to, createGzip(), flight) : bzip2(['-c'], file, to, flight),
  );
}

/** Decompresses a file whose name has the extension of its compression. */
export async function decompressFile(file: string, compression: Compression, flight: Flight): Promise<void> {
  await replace(file, file.slice(0, -extname(file).length), (to) =>
    compression === 'gz' ? gzip(file, to, createGunzip(), flight) : bzip2(['-dc'], file, to, flight),
  );
}

/** The regular files below a folder. Links are left alone, as monty does, whose functions FireWorks calls. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The new file has its name when it is whole: a crash leaves the old one, and at most a part of the new. */
async function replace(from: string, to: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${to}.part-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await write(part);
    const { atime, mtime, mode } = await stat(from);
    await chmod(part, mode & 0o7777);
    await utimes(part, atime, mtime);
    await rename(part, to);
    await rm(from);
  } finally {
    await rm(part, { force: true });
  }
}

async function gzip(from: string, to: string, change: NodeJS.ReadWriteStream, flight: Flight): Promise<void> {
  await pipeline([createReadStream(from), change, createWriteStream(to)], { signal: flight.signal });
}

/** By the program, for the runtime knows no bzip2. */
async function bzip2(flags: string[], from: string, to: string, flight: Flight): Promise<void> {
  await using source = await open(from);
  await using target = await open(to, 'w');
  const said: string[] = [];
  const code = await runProgram(flight, ['bzip2', ...flags], {
    stdin: source.fd,
    onStdout: (bytes) => target.appendFile(bytes),
    onStderr: (bytes) => void said.push(Buffer.from(bytes).toString()),
    captured: true,
  });
  if (code === 127) throw new BorealisError('the program bzip2 is missing on this worker: install bzip2');
  if (code !== 0) throw new BorealisError(said.join('').trim() || `bzip2 ended with exit code ${code}`);
}
