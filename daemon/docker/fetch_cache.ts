/**
 * Large inputs that were fetched, kept for the next task on this VM: many tasks that share an input fetch it once.
 *
 * An entry is one generation of one object. A task gets it as a hard link, which costs nothing; but then what it writes into
 * its input it writes into the entry, and to forbid that does not help: most tasks are root. So
 *
 * - an entry is lent to one task at a time. Whoever else wants it meanwhile, and whoever has named the file as an output too,
 *   gets a copy, whose checksum is that of the object;
 * - before it is lent, size, times and inode must be those that were noted after the last change of ours. ctime cannot be set
 *   by anybody; each link that is made or removed changes it, which is noted. What differs is fetched anew.
 *
 * A crash between a link and its note leaves an entry that does not fit its note: it is dropped at the next look.
 */
import { createReadStream } from 'node:fs';
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c, crcText } from '../../core/cloud/crc32c.ts';
import { modeOf, type StorageObject } from '../../core/cloud/object.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';

const MIB = 1024 * 1024;
/** Smaller ones are fetched as fast as they are looked for. */
const CACHED_FROM = MIB;

/** What is noted of an entry, beside it. */
interface Note {
  name: string;
  size: number;
  /** Of the file, when it was last as it should be: inode, mtime and ctime. */
  state: string;
  usedAt: number;
}

/** A file that a task has by a link to an entry. */
export interface Loan {
  key: string;
  file: string;
}

export class FetchCache {
  readonly #notes = new Map<string, Note>();
  /** The last thing that is being done with an entry: one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();

  private constructor(
    readonly folder: string,
    readonly mostBytes: number,
    readonly log: Logger,
  ) {}

  /** Opens the cache in a folder, which is made. It takes `mostBytes`, and at most a quarter of the disk. */
  static async open(folder: string, mostBytes: number, log: Logger): Promise<FetchCache> {
    await mkdir(folder, { recursive: true });
    const disk = await statfs(folder);
    const cache = new FetchCache(folder, Math.min(mostBytes, (disk.blocks * disk.bsize) / 4), log);
    for (const file of await readdir(folder)) {
      if (!file.endsWith('.json')) continue;
      try {
        const note = JSON.parse(await readFile(join(folder, file), 'utf8')) as Note;
        cache.#notes.set(file.replace(/\.json$/, ''), note);
      } catch {
        // Cut off by a crash: the entry is unknown, and swept below.
      }
    }
    for (const file of await readdir(folder))
      if (!cache.#notes.has(file.replace(/\.json$/, ''))) await rm(join(folder, file), { force: true });
    return cache;
  }

  get bytes(): number {
    return [...this.#notes.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Puts an object's content at `file`, fetched by `fetch` when it is not here. Of many who want the same at once, one
   * fetches. Returns a loan, to be given back, when the file is a link to the entry; null when it is the task's own.
   */
  async provide(
    bucket: string,
    object: StorageObject,
    file: string,
    o: { own: boolean; fetch: (file: string) => Promise<void> },
  ): Promise<Loan | null> {
    if (
      object.size < CACHED_FROM ||
      object.size > this.mostBytes ||
      object.crc32c === null ||
      object.packed
    ) {
      await o.fetch(file);
      return null;
    }
    const name = `gs://${bucket}/${object.name}#${object.generation}`;
    const key = new Bun.CryptoHasher('sha256').update(name).digest('hex');
    return await this.#inTurn(key, async () => {
      if (!(await this.#isHere(key))) {
        await this.#makeRoom(object.size);
        await o.fetch(this.#path(key));
        await this.#note(key, { name, size: object.size });
      }
      if (!o.own && (await this.#lend(key, file))) return { key, file };
      if (!(await copyChecked(this.#path(key), file, object))) {
        await this.#drop(key);
        await o.fetch(file);
      }
      return null;
    });
  }

  /** Takes a loan back: the file goes. An entry that its task changed goes too. */
  async giveBack({ key, file }: Loan): Promise<void> {
    await this.#inTurn(key, async () => {
      const note = this.#notes.get(key);
      const untouched = note && (await stateOf(file)) === note.state;
      await rm(file, { force: true });
      if (!note) return;
      if (untouched) return await this.#note(key, note);
      this.log.info(`A task changed its input ${note.name}: it will be fetched again`);
      await this.#drop(key);
    });
  }

  /** Removes all entries that nobody is at. Tasks that have links to them keep those. Returns how many bytes that were. */
  async clear(): Promise<number> {
    const { bytes } = this;
    for (const key of [...this.#notes.keys()]) if (!this.#turns.has(key)) await this.#drop(key);
    return bytes - this.bytes;
  }

  /** One after the other for one entry. */
  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      return await work();
    })();
    this.#turns.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(key) === mine) this.#turns.delete(key);
    }
  }

  #path(key: string): string {
    return join(this.folder, key);
  }

  async #isHere(key: string): Promise<boolean> {
    const note = this.#notes.get(key);
    if (!note) return false;
    const state = await stateOf(this.#path(key));
    if (state === note.state) return true;
    if (state) this.log.warning(`${note.name} was changed in ${this.folder}: it is fetched again`);
    await this.#drop(key);
    return false;
  }

  async #lend(key: string, file: string): Promise<boolean> {
    const entry = this.#path(key);
    if ((await stat(entry)).nlink > 1) return false;
    const beside = `${file}.link-${crypto.randomUUID().slice(0, 8)}`;
    try {
      await link(entry, beside);
    } catch (thrown) {
      this.log.debug(`No link from ${this.folder} to ${file}: ${messageOf(thrown)}`);
      return false;
    }
    // Docker has been promised a file here: it is replaced.
    await rename(beside, file);
    await this.#note(key, this.#notes.get(key) as Note);
    return true;
  }

  /** Notes how an entry is now. */
  async #note(key: string, { name, size }: Pick<Note, 'name' | 'size'>): Promise<void> {
    const state = await stateOf(this.#path(key));
    if (!state) return await this.#drop(key);
    const note = { name, size, state, usedAt: Date.now() };
    this.#notes.set(key, note);
    await writeFile(`${this.#path(key)}.json`, JSON.stringify(note));
  }

  async #drop(key: string): Promise<void> {
    this.#notes.delete(key);
    for (const file of [this.#path(key), `${this.#path(key)}.json`]) await rm(file, { force: true });
  }

  /** Drops what has not been used for the longest time, until so many bytes more are within the bound. */
  async #makeRoom(bytes: number): Promise<void> {
    const oldest = [...this.#notes].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [key] of oldest) {
      if (this.bytes + bytes <= this.mostBytes) return;
      if (!this.#turns.has(key)) await this.#drop(key);
    }
  }
}

/** What changes when a file is changed, whoever does it; null when there is none. */
async function stateOf(file: string): Promise<string | null> {
  const found = await stat(file, { bigint: true }).catch(() => null);
  return found && `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}

/** Copies an entry. False, and no copy, when it is not what the object is: somebody writes to it. */
async function copyChecked(from: string, to: string, object: StorageObject): Promise<boolean> {
  // Never written into what is there: that may be a link to the entry.
  const beside = `${to}.copy-${crypto.randomUUID().slice(0, 8)}`;
  try {
    let crc = 0;
    await using copy = await open(beside, 'w');
    for await (const chunk of createReadStream(from, { highWaterMark: MIB })) {
      crc = crc32c(chunk, crc);
      await copy.appendFile(chunk);
    }
    if (crcText(crc) !== object.crc32c) return false;
    await chmod(beside, modeOf(object));
    await rename(beside, to);
    return true;
  } finally {
    await rm(beside, { force: true });
  }
}
