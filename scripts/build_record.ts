/**
 * What a binary was made of, kept beside it: so that a build, the demo and the tests know whether it has to be made again.
 *
 * A record that says so is right, or not there. It is written when the binary is in place, and not when a source changed
 * while that was made; one that is of another binary, as after a build that was killed half-way, counts for nothing.
 */
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';

interface BuildRecord {
  /** Of all but the files: how it was built, with what. */
  recipe: string;
  binary: { bytes: number; changedMs: number };
  /** The content of each file that is in it, as a hash, by its path from the checkout. */
  inputs: Record<string, string>;
}

/** What the bundler tells of a build (`--metafile`), as far as it matters here. */
export interface Metafile {
  inputs: Record<string, unknown>;
}

/** By which a file's time may be behind the clock: the kernel's own steps are of 4 ms, or 10. */
const CLOCK_STEP_MS = 20;

const recordOf = (binary: string) => join(dirname(binary), `.${basename(binary)}.json`);

async function identityOf(binary: string): Promise<BuildRecord['binary']> {
  const { size, mtimeMs } = await stat(binary);
  return { bytes: size, changedMs: mtimeMs };
}

const hashOf = async (path: string) => Bun.hash(await readFile(path)).toString(36);

/** Whether the binary at this path is what `recipe` would make of the checkout's files as they are now. */
export async function isCurrent(binary: string, recipe: string, checkout: string): Promise<boolean> {
  try {
    const record: BuildRecord = JSON.parse(await readFile(recordOf(binary), 'utf8'));
    if (record.recipe !== recipe || !Bun.deepEquals(record.binary, await identityOf(binary))) return false;
    const same = await Promise.all(
      Object.entries(record.inputs).map(
        async ([path, hash]) => (await hashOf(resolve(checkout, path))) === hash,
      ),
    );
    return same.every(Boolean);
  } catch {
    // No record or binary, or a source that is gone.
    return false;
  }
}

/** Writes the record of a binary that was just made, in `cwd`, by a build that began at `startedMs`. */
export async function recordBuild(
  binary: string,
  o: { recipe: string; checkout: string; cwd: string; startedMs: number; metafile: Metafile },
): Promise<void> {
  const inputs: Record<string, string> = {};
  for (const input of Object.keys(o.metafile.inputs)) {
    const path = resolve(o.cwd, input);
    if ((await stat(path)).mtimeMs > o.startedMs - CLOCK_STEP_MS) return;
    inputs[relative(o.checkout, path)] = await hashOf(path);
  }
  const record: BuildRecord = { recipe: o.recipe, binary: await identityOf(binary), inputs };
  const written = `${recordOf(binary)}.${process.pid}`;
  await writeFile(written, JSON.stringify(record));
  await rename(written, recordOf(binary));
}
