/**
 * Outputs that could not be stored: they stay on this VM's disk, so that hours of work are not lost to a storage that is away.
 * When the same Firework runs again on this worker, with the same image, parameters and inputs, they are stored without running
 * its container again.
 */
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../core/errors.ts';
import { MINUTE } from '../../core/wait.ts';

/** Longer than anybody takes to rerun. */
const KEEP_FOR_MS = 7 * 24 * 60 * MINUTE;

/** Whose outputs they are: a Firetask of a Firework of a LaunchPad. */
export interface Owner {
  launchPad: string;
  fwId: number;
  taskIndex: number;
}

export interface Manifest {
  /** All that the outputs follow from. */
  madeFrom: string;
  /** In the names of the `>>` logs. */
  stamp: string;
  /** What came of the run besides: its FWAction, in JSON. */
  fwaction: string | null;
}

export class KeptOutputs {
  constructor(readonly folder: string) {}

  #place({ launchPad, fwId, taskIndex }: Owner): string {
    return join(this.folder, `fw_${fwId}_${taskIndex}_${Bun.hash(launchPad).toString(36)}`);
  }

  /** Moves the folder with the outputs here. Returns where they are. A crash half-way leaves no manifest: they are swept. */
  async keep(owner: Owner, outputs: string, manifest: Manifest): Promise<string> {
    await mkdir(this.folder, { recursive: true });
    await this.#sweep();
    const place = this.#place(owner);
    await rm(place, { recursive: true, force: true });
    await mkdir(place);
    await move(outputs, join(place, 'outputs'));
    await writeFile(join(place, 'manifest.json'), JSON.stringify(manifest));
    return join(place, 'outputs');
  }

  /** What was kept for this owner; null: nothing. */
  async find(owner: Owner): Promise<Manifest | null> {
    try {
      return JSON.parse(await readFile(join(this.#place(owner), 'manifest.json'), 'utf8')) as Manifest;
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') await this.forget(owner);
      return null;
    }
  }

  /** Moves what was kept to where outputs of a run are. */
  async takeBack(owner: Owner, outputs: string): Promise<void> {
    await rm(outputs, { recursive: true, force: true });
    await move(join(this.#place(owner), 'outputs'), outputs);
    await this.forget(owner);
  }

  async forget(owner: Owner): Promise<void> {
    await rm(this.#place(owner), { recursive: true, force: true });
  }

  async #sweep(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      const place = join(this.folder, name);
      const manifest = await stat(join(place, 'manifest.json')).catch(() => null);
      if (!manifest || Date.now() - manifest.mtimeMs > KEEP_FOR_MS)
        await rm(place, { recursive: true, force: true });
    }
  }
}

/** Also to another disk: a Firework may name its launch folder. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EXDEV') throw thrown;
    await cp(from, to, { recursive: true, verbatimSymlinks: true });
    await rm(from, { recursive: true });
  }
}
