/** A task's files on this machine: fetched before it, stored after it, in a folder that is gone at the end. */
import { mkdir, open, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isPassing } from '../../core/cloud/api_error.ts';
import { originOf } from '../../core/cloud/copy.ts';
import { modeOf } from '../../core/cloud/object.ts';
import type { Run } from '../../core/cloud/overwrite.ts';
import { parseStoragePath, type Storage, type StorageObject } from '../../core/cloud/storage.ts';
import {
  foldersAbove,
  type PlannedTree,
  planTree,
  type TreeEntry,
  treeEntries,
} from '../../core/cloud/tree.ts';
import { BorealisError, codeOf, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { RetryPolicy } from '../../core/retry.ts';
import { SECOND } from '../../core/wait.ts';
import type { Depot } from './depot.ts';
import type { Loan } from './fetch_cache.ts';
import type { Manifest, Owner } from './kept_outputs.ts';
import { shownSize } from './memory.ts';
import { mapPath, objectName, type PathMapping } from './paths.ts';
import { Progress } from './progress.ts';

export interface Staged extends PathMapping {
  /** The file or folder on this machine. */
  local: string;
}

/** What became of outputs in storage. */
export interface Stored {
  objects: StorageObject[];
  /** The names of those that stand for folders: a tree itself, and empty ones in it. */
  folders: string[];
}

export interface StagingOptions {
  inputs: readonly string[];
  outputs: readonly string[];
  internalPrefix: string;
  storagePrefix: string;
  stamp: string;
  owner: Owner & { launchId: number };
  depot: Depot;
  log: Logger;
}

/** An input as it was found in storage. */
interface Found {
  object: StorageObject;
  file: string;
  /** It is also an output, or part of one: the task may write to it. */
  own: boolean;
}

export class Staging implements AsyncDisposable {
  readonly bucket: string;
  readonly prefix: string;
  readonly inputs: readonly Staged[];
  outputs: readonly Staged[];
  #stamp: string;
  #found: { files: Found[]; folders: string[] } | null = null;
  #startedAt = new Date();
  readonly #loans: Loan[] = [];
  #bytesIn = 0;
  #bytesOut = 0;

  private constructor(
    readonly folder: string,
    readonly o: StagingOptions,
  ) {
    const { bucket, path } = parseStoragePath(o.storagePrefix);
    this.bucket = bucket;
    this.prefix = path;
    this.#stamp = o.stamp;
    this.inputs = this.#map('inputs', o.inputs);
    this.outputs = this.#map('outputs', o.outputs);
  }

  /** Makes the folder with an empty file or folder for each path: Docker mounts what is there, as what it is. */
  static async open(folder: string, o: StagingOptions): Promise<Staging> {
    const staging = new Staging(folder, o);
    for (const { local, tree } of [...staging.inputs, ...staging.outputs]) {
      await mkdir(tree ? local : dirname(local), { recursive: true });
      if (!tree) await (await open(local, 'a')).close();
    }
    return staging;
  }

  #map(group: 'inputs' | 'outputs', paths: readonly string[]): Staged[] {
    return paths.map((path) => {
      const mapping = mapPath(path, this.o.internalPrefix, this.#stamp);
      return { ...mapping, local: join(this.folder, group, mapping.sub) };
    });
  }

  /** What the container gets to see: inputs and outputs, but not what is captured from its output. */
  get mounts(): { source: string; target: string }[] {
    return [...this.inputs, ...this.outputs]
      .filter((path) => path.capture === null)
      .map(({ local, internal }) => ({
        source: local.replace(/\/$/, ''),
        target: internal.replace(/(.)\/$/, '$1'),
      }));
  }

  /** What was transferred, for whoever counts. What came from the cache of this VM is not. */
  get bytes(): { in: number; out: number } {
    return { in: this.#bytesIn, out: this.#bytesOut };
  }

  /** Looks for all inputs in storage. Throws one error that names all that are not there, or cannot be files. */
  async findInputs(storage: Storage, signal: AbortSignal): Promise<void> {
    if (this.#found) return;
    await this.#lookForInputs(storage, signal);
    this.#startedAt = storage.now();
  }

  async #lookForInputs(storage: Storage, signal: AbortSignal): Promise<void> {
    const files = new Map<string, Found>();
    const folders: string[] = [];
    const wrong = new Map<Staged, string>();
    await storage.each(this.inputs, { signal }, async (input) => {
      try {
        const found = await this.#find(storage, input, signal);
        const own = this.outputs.some((output) => overlap(input.internal, output.internal));
        for (const { object, file } of found.files) files.set(file, { object, file, own });
        folders.push(...found.folders);
      } catch (thrown) {
        signal.throwIfAborted();
        wrong.set(input, messageOf(thrown));
      }
    });
    const told = this.inputs.flatMap((input) => wrong.get(input) ?? []);
    if (told.length > 0) throw new BorealisError([...new Set(told)].join('; '));
    this.#found = { files: [...files.values()], folders };
  }

  async #find(storage: Storage, { sub, local, tree }: Staged, signal: AbortSignal): Promise<PlannedTree> {
    const name = objectName(this.prefix, sub);
    const url = `gs://${this.bucket}/${name}`;
    const below = () => Array.fromAsync(storage.list(this.bucket, tree ? name : `${name}/`, { signal }));
    if (tree) {
      const objects = await below();
      if (objects.length === 0) throw new BorealisError(`Nothing is in storage below ${url}`);
      return planTree(objects, name, local);
    }
    const object = await storage.find(this.bucket, name, { signal });
    if (object) return { files: [{ object, file: local }], folders: [] };
    const hint =
      (await below()).length > 0 ? ": it is a tree there, which an input names with a '/' at its end" : '';
    throw new BorealisError(`${url} is not in storage${hint}`);
  }

  /** What was found, by its path here: which object it is and what a file of it would be. Another answer, another input. */
  get inputFacts(): string[] {
    const { files, folders } = this.#found ?? { files: [], folders: [] };
    const facts = files.map(({ object, file }) => {
      const { size, crc32c, packed } = object;
      const own = [originOf(this.bucket, object), size, crc32c, modeOf(object), packed];
      return JSON.stringify([relative(this.folder, file), ...own]);
    });
    return [...facts, ...folders.map((folder) => relative(this.folder, folder))].sort();
  }

  /** Whether the inputs in storage are those that were found: nobody has replaced one since. */
  async inputsAreTheSame(storage: Storage, signal: AbortSignal): Promise<boolean> {
    const before = this.inputFacts;
    await this.#lookForInputs(storage, signal);
    return isDeepStrictEqual(before, this.inputFacts);
  }

  /** Fetches all inputs, or takes them from this VM's cache. Throws before anything is fetched when one is not there. */
  async fetchInputs(storage: Storage, signal: AbortSignal): Promise<void> {
    await this.findInputs(storage, signal);
    try {
      await this.#fetchFound(storage, signal);
    } catch (thrown) {
      // The cache is for speed: a task that has no room without it has none at all.
      if (codeOf(thrown) !== 'ENOSPC' || !this.o.depot.cache) throw thrown;
      await this.#giveBackLoans();
      const freed = await this.o.depot.cache.clear();
      if (freed === 0) throw thrown;
      this.o.log.warning(`The disk is full: ${shownSize(freed)} of inputs kept for other tasks are removed`);
      await this.#fetchFound(storage, signal);
    }
  }

  async #fetchFound(storage: Storage, signal: AbortSignal): Promise<void> {
    const { files, folders } = this.#found ?? { files: [], folders: [] };
    for (const folder of folders) await mkdir(folder, { recursive: true });
    using progress = new Progress('Fetched', totalOf(files.map(({ object }) => object)), this.o.log);
    const o = { signal, onBytes: progress.onBytes };
    const { cache } = this.o.depot;
    try {
      await storage.each(files, o, async ({ object, file, own }) => {
        const fetch = (to: string) => storage.fetch(this.bucket, object, to, o);
        if (!cache) await fetch(file);
        else {
          const loan = await cache.provide(this.bucket, object, file, { own, fetch });
          if (loan) this.#loans.push(loan);
        }
        progress.fileDone();
      });
      progress.done();
    } finally {
      this.#bytesIn += progress.bytes;
    }
  }

  /** Who stores. */
  get run(): Run {
    const { launchPad, fwId, launchId } = this.o.owner;
    return { launchPad, fwId, launchId, startedAt: this.#startedAt };
  }

  /**
   * Stores outputs, with objects for their folders. What cannot be stored at once is tried again for as long as the depot
   * says. Throws before anything is stored when a file has a name that no object can have.
   */
  async store(storage: Storage, paths: readonly Staged[], signal?: AbortSignal): Promise<Stored> {
    const entries = (await Promise.all(paths.map((path) => this.#entriesOf(path)))).flat();
    const files = entries.filter(({ name }) => !name.endsWith('/'));
    const empty = new Set(entries.filter(({ name }) => name.endsWith('/')).map(({ name }) => name));
    const above = new Set(
      entries.flatMap(({ name }) => foldersAbove(name)).filter((name) => !empty.has(name)),
    );
    using progress = new Progress('Stored', totalOf(files), this.o.log);
    const policy: RetryPolicy = { ...STORING, deadlineMs: this.o.depot.storeRetryMs };
    const briefly = { ...policy, deadlineMs: Math.min(policy.deadlineMs, FOLDERS_WITHIN_MS) };
    const o = { signal, policy, onBytes: progress.onBytes };
    const objects: StorageObject[] = [];
    const done = await Promise.allSettled([
      storage.each(files, o, async ({ path, name }) => {
        objects.push(await storage.storeOutput(path, this.bucket, name, this.run, o));
        progress.fileDone();
      }),
      storage.makeFolders(this.bucket, empty, o),
      // Only for those who look at the bucket: whoever may not make them may store files all the same.
      storage.makeFolders(this.bucket, above, { signal, policy: briefly }).catch((thrown) => {
        if (!signal?.aborted) this.o.log.warning(`No objects for folders: ${messageOf(thrown)}`);
      }),
    ]);
    this.#bytesOut += progress.bytes;
    for (const one of done) if (one.status === 'rejected') throw one.reason;
    progress.done();
    return { objects, folders: [...empty] };
  }

  async #entriesOf({ sub, local, tree }: Staged): Promise<TreeEntry[]> {
    const name = objectName(this.prefix, sub);
    // A task may have put a link where a folder was: what it leads to is not the task's.
    const [root, path] = await Promise.all([realpath(this.folder), realpath(local)]);
    if (!path.startsWith(root + sep))
      throw new BorealisError(
        `The output gs://${this.bucket}/${name} became a link that leads out of its folder`,
      );
    if (!tree) return [{ path, name, size: (await stat(path)).size }];
    const entries = await treeEntries(path, name, this.o.log);
    return name === '' ? entries : [...entries, { path, name, size: 0 }];
  }

  /** Whether outputs of this Firework's last run wait here to be stored. */
  async hasKept(): Promise<boolean> {
    return (await this.o.depot.kept.find(this.o.owner)) !== null;
  }

  /**
   * Takes those back when they were made from the same: `facts`, and the inputs as they are in storage now. Otherwise they are
   * of no use to anybody, and go. Returns what is known of them; null: there are none.
   */
  async takeKept(facts: string): Promise<Manifest | null> {
    const { kept } = this.o.depot;
    const manifest = await kept.find(this.o.owner);
    if (manifest?.madeFrom !== this.#madeFrom(facts)) {
      await kept.forget(this.o.owner);
      return null;
    }
    await kept.takeBack(this.o.owner, join(this.folder, 'outputs'));
    this.#stamp = manifest.stamp;
    this.outputs = this.#map('outputs', this.o.outputs);
    return manifest;
  }

  /** Keeps the outputs on this VM, for they cannot be stored. Returns where. */
  async keepOutputs(facts: string, fwaction: string | null): Promise<string> {
    const manifest = { madeFrom: this.#madeFrom(facts), stamp: this.#stamp, fwaction };
    return await this.o.depot.kept.keep(this.o.owner, join(this.folder, 'outputs'), manifest);
  }

  #madeFrom(facts: string): string {
    const inputs = (this.#found?.files ?? []).map(({ object }) => `${object.name}#${object.generation}`);
    return new Bun.CryptoHasher('sha256')
      .update(JSON.stringify([facts, this.bucket, inputs.sort()]))
      .digest('hex');
  }

  async #giveBackLoans(): Promise<void> {
    for (const loan of this.#loans.splice(0)) await this.o.depot.cache?.giveBack(loan);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#giveBackLoans();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Objects that nobody reads are not worth a longer wait. */
const FOLDERS_WITHIN_MS = 30 * SECOND;

const STORING: Omit<RetryPolicy, 'deadlineMs'> = {
  retryable: isPassing,
  firstDelayMs: SECOND,
  longestDelayMs: 30 * SECOND,
};

/** Whether one path is the other, or lies in it. Trees end with '/'. */
function overlap(a: string, b: string): boolean {
  return a === b || (a.endsWith('/') && b.startsWith(a)) || (b.endsWith('/') && a.startsWith(b));
}

function totalOf(files: readonly { size: number }[]): { files: number; bytes: number } {
  return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}
