/** Files of parents (`_files_prev`) under the names that this Firework wants them by (`_files_in`). */
import { createReadStream, createWriteStream } from 'node:fs';
import { access, copyFile, open, rm } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { BorealisError } from '../core/errors.ts';
import { type Doc, isDoc } from '../core/launchpad/index.ts';
import { FiretaskError } from './firetasks/firetask.ts';
import { type ProgramFlight, runProgram } from './firetasks/program.ts';

/** How a file is packed, by the end of its name, as FireWorks' `zopen` has it. */
const PACKED: Record<string, 'gzip' | 'bzip2' | 'xz'> = {
  '.gz': 'gzip',
  '.z': 'gzip',
  '.bz2': 'bzip2',
  '.xz': 'xz',
  '.lzma': 'xz',
};
const packingOf = (path: string) => PACKED[extname(path).toLowerCase()] ?? null;

/** Copies them into the launch folder; packs and unpacks as the two names say. */
export async function bringFiles(spec: Doc, flight: ProgramFlight): Promise<void> {
  const { _files_in: wanted, _files_prev: offered } = spec;
  if (!isDoc(wanted) || !isDoc(offered)) return;
  for (const [key, name] of Object.entries(wanted)) {
    if (!(key in offered)) continue;
    const [from, to] = [String(offered[key]), resolve(flight.launchDir, String(name))];
    await access(from).catch((cause) => {
      throw new FiretaskError(
        'FileNotFoundError',
        `_files_in: '${key}', a parent's ${from}, is not on this worker. Let both run on one (_preserve_fworker), or on workers that share a disk`,
        null,
        undefined,
        { cause },
      );
    });
    await bring(from, to, flight);
  }
}

async function bring(from: string, to: string, flight: ProgramFlight): Promise<void> {
  const [packed, packs] = [packingOf(from), packingOf(to)];
  if (packed === packs) return await copyFile(from, to);
  if (!packs) return await unpack(from, to, flight);
  if (!packed) return await pack(from, to, flight);
  const bare = `${to}.part-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await unpack(from, bare, flight);
    await pack(bare, to, flight);
  } finally {
    await rm(bare, { force: true });
  }
}

const unpack = (from: string, to: string, flight: ProgramFlight) =>
  packingOf(from) === 'gzip'
    ? pipeline([createReadStream(from), createGunzip(), createWriteStream(to)], { signal: flight.signal })
    : filter([packingOf(from) as string, '-dc'], from, to, flight);

const pack = (from: string, to: string, flight: ProgramFlight) =>
  packingOf(to) === 'gzip'
    ? pipeline([createReadStream(from), createGzip(), createWriteStream(to)], { signal: flight.signal })
    : filter([packingOf(to) as string, '-c'], from, to, flight);

/** By the program, for the runtime knows gzip alone. */
async function filter(argv: string[], from: string, to: string, flight: ProgramFlight): Promise<void> {
  await using source = await open(from);
  await using target = await open(to, 'w');
  const said: string[] = [];
  const code = await runProgram(flight, argv, {
    stdin: source.fd,
    onStdout: (bytes) => target.appendFile(bytes),
    onStderr: (bytes) => void said.push(Buffer.from(bytes).toString()),
    captured: true,
  });
  if (code === 127) throw new BorealisError(`the program ${argv[0]} is missing on this worker: install it`);
  if (code !== 0) throw new BorealisError(said.join('').trim() || `${argv[0]} ended with exit code ${code}`);
}
