/**
 * Cloud Storage: files and trees, in pieces, their CRC32C computed natively on the way and checked at the other end. It stands on
 * Google's client (google_storage.ts); the bytes of objects alone go by requests of our own (storage_api.ts).
 */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Storage as Client } from '@google-cloud/storage';
import { BorealisError, codeOf, messageOf } from '../errors.ts';
import { type Logger, silent } from '../log.ts';
import { type RetryPolicy, retry } from '../retry.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { cloudError, isConflict, isNotFound, isPassing } from './api_error.ts';
import { copy, copyMetadata } from './copy.ts';
import { crc32c, crcText } from './crc32c.ts';
import { download, readPacked } from './download.ts';
import type { Endpoints } from './endpoints.ts';
import { GoogleStorage, type Patience, parsed } from './google_storage.ts';
import { ByteBudget, inLanes } from './in_flight.ts';
import { OBJECT_FIELDS, type ObjectResource, objectOf, type StorageObject } from './object.ts';
import { onTop, type Run, runMetadata, StoredByNewerRun } from './overwrite.ts';
import { StorageApi } from './storage_api.ts';
import { planTree, treeEntries } from './tree.ts';
import { storeBytes, upload } from './upload.ts';
import { Mismatch, type TransferOptions, type UploadOptions, type Wire, wholeAgain } from './wire.ts';

export { parseStoragePath, type StorageObject } from './object.ts';
export type { TransferOptions } from './wire.ts';

/** As Google's own libraries: 408, 429, 5xx and what breaks on the way. https://cloud.google.com/storage/docs/retry-strategy */
const PASSING: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: 10 * SECOND,
  deadlineMs: 5 * MINUTE,
};
/** Files at once: a request takes 30 to 100 ms there and back, and a small file no longer than that. */
const AT_ONCE = 32;
const MIB = 1024 * 1024;
const PIECE_BYTES = 4 * MIB;
const STORE_PIECE_BYTES = 64 * MIB;
/** Under way at once in all transfers of a worker: what its memory grows by. */
const MOST_BYTES = 64 * MIB;
const MOST_KNOWN_FOLDERS = 100_000;
/** Trouble that goes on is told this often. */
const TELL_EVERY_MS = 30 * SECOND;

export interface StorageOptions {
  log?: Logger;
  policy?: RetryPolicy;
  /** How long an answer may take, besides the time for its bytes. */
  answerWithinMs?: number;
  slowestBytesPerSecond?: number;
  pieceBytes?: number;
  storePieceBytes?: number;
}

export class Storage {
  readonly #wire: Wire;
  readonly #log: Logger;
  readonly #policy: RetryPolicy;
  /** Objects that stand for folders and are known to be there, or are being made. */
  readonly #folders = new Map<string, Promise<void>>();
  #toldAt = 0;
  /** The server's clock less ours; null before it was heard. */
  #aheadMs: number | null = null;

  constructor(endpoints: Endpoints, o: StorageOptions = {}) {
    this.#log = o.log ?? silent;
    this.#policy = o.policy ?? PASSING;
    const google = new GoogleStorage(endpoints.storage, o.answerWithinMs, o.slowestBytesPerSecond);
    this.#wire = {
      google,
      api: new StorageApi(google),
      budget: new ByteBudget(MOST_BYTES),
      pieceBytes: o.pieceBytes ?? PIECE_BYTES,
      storePieceBytes: o.storePieceBytes ?? STORE_PIECE_BYTES,
      again: (work, options) => this.#again(work, options),
    };
  }

  /** The time by the server's clock, to the second, once an object was looked for or a list was asked for. */
  now(): Date {
    return new Date(Date.now() + (this.#aheadMs ?? 0));
  }

  /** Asks for next to nothing of a bucket, by a list: to read the bucket itself takes a right that roles for objects have not. */
  async #knock(bucket: string, o: TransferOptions): Promise<void> {
    const request = { uri: '/o', qs: { maxResults: 1, fields: 'kind' } };
    const [, { headers }] = await this.#ask((client) => client.bucket(bucket).request(request), o);
    this.#hear(headers);
  }

  #hear({ date }: { date?: string }): void {
    const now = Date.parse(date ?? '');
    if (now) this.#aheadMs = now - Date.now();
  }

  async exists(bucket: string): Promise<boolean> {
    try {
      await this.#knock(bucket, {});
      return true;
    } catch (thrown) {
      if (isNotFound(thrown)) return false;
      throw thrown;
    }
  }

  /** Lists objects below a prefix, page by page. With `delimiter` '/', deeper ones are left out. */
  async *list(
    bucket: string,
    prefix: string,
    o: { delimiter?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<StorageObject> {
    const doing = `list gs://${bucket}/${prefix}`;
    // The library keeps the headers of a list, which tell the time, to itself.
    if (this.#aheadMs === null) await this.#try(doing, bucket, o, () => this.#knock(bucket, o));
    let pageToken: string | undefined;
    do {
      const query = {
        prefix,
        ...(o.delimiter && { delimiter: o.delimiter }),
        ...(pageToken && { pageToken }),
        autoPaginate: false,
        maxResults: 1000,
        fields: `nextPageToken,items(${OBJECT_FIELDS})`,
      };
      const page = await this.#try(doing, bucket, o, () =>
        this.#ask(async (client) => {
          const [, , answer] = await client.bucket(bucket).getFiles(query);
          return parsed<{ items?: ObjectResource[]; nextPageToken?: string }>(answer);
        }, o),
      );
      for (const item of page.items ?? []) yield objectOf(item);
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** What is known of an object; null when there is none of that name. */
  async find(bucket: string, name: string, o: TransferOptions = {}): Promise<StorageObject | null> {
    return await this.#try(`look for gs://${bucket}/${name}`, bucket, o, async () => {
      try {
        return await this.#ask(async (client) => {
          const file = client.bucket(bucket).file(name);
          const [answer, { headers }] = await file.getMetadata({ fields: OBJECT_FIELDS });
          this.#hear(headers);
          return objectOf(parsed<ObjectResource>(answer));
        }, o);
      } catch (thrown) {
        if (isNotFound(thrown) && (await this.exists(bucket))) return null;
        throw thrown;
      }
    });
  }

  /** Reads a small object. */
  async read(bucket: string, name: string): Promise<Uint8Array> {
    return await this.#newest(`read gs://${bucket}/${name}`, bucket, name, {}, (object) =>
      wholeAgain(() =>
        object.packed ? readPacked(this.#wire, bucket, object) : this.#contentOf(bucket, object),
      ),
    );
  }

  async #contentOf(bucket: string, { name, generation, size, crc32c }: StorageObject): Promise<Uint8Array> {
    const download = async (client: Client) => {
      const file = client.bucket(bucket).file(name, generation ? { generation } : {});
      const [bytes] = await file.download({ validation: 'crc32c' });
      return bytes;
    };
    return await this.#ask(download, { bytes: size }).catch((thrown) => {
      if (codeOf(thrown) !== 'CONTENT_DOWNLOAD_MISMATCH') throw thrown;
      throw new Mismatch(`its CRC32C should be ${crc32c} and is another`, { cause: thrown });
    });
  }

  async write(bucket: string, name: string, data: string | Uint8Array): Promise<void> {
    await this.#save(bucket, name, data, {});
  }

  async #save(bucket: string, name: string, data: string | Uint8Array, o: UploadOptions): Promise<void> {
    const said = { name, contentType: Bun.file(name).type };
    await this.#try(`write gs://${bucket}/${name}`, bucket, o, () =>
      storeBytes(this.#wire, Buffer.from(data as Uint8Array), bucket, said, o),
    );
  }

  /**
   * Copies this generation of an object within storage, with what is said of it and `metadata` besides. `generation` is that which
   * the new name must have, '0': none. Else it is refused with 412.
   */
  async copy(
    bucket: string,
    from: StorageObject,
    toBucket: string,
    toName: string,
    o: UploadOptions = {},
  ): Promise<StorageObject> {
    return await this.#try(`copy gs://${bucket}/${from.name} to gs://${toBucket}/${toName}`, bucket, o, () =>
      copy(this.#wire, bucket, from, toBucket, toName, o),
    );
  }

  /** Fetches an object to a file. It appears under its name only when it is there whole and its checksum is right. */
  async download(bucket: string, name: string, file: string, o: TransferOptions = {}): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    await this.#newest(`fetch gs://${bucket}/${name}`, bucket, name, o, (object) =>
      download(this.#wire, bucket, object, file, o),
    );
  }

  /** The same for an object that was looked for before; when it has been replaced since, the new one. */
  async fetch(bucket: string, object: StorageObject, file: string, o: TransferOptions = {}): Promise<void> {
    try {
      await download(this.#wire, bucket, object, file, o);
    } catch (thrown) {
      if (!isNotFound(thrown)) throw this.#told(`fetch gs://${bucket}/${object.name}`, thrown, o);
      await this.download(bucket, object.name, file, o);
    }
  }

  /** Works on the generation that is the newest, and on the next one when it goes away meanwhile. */
  async #newest<T>(
    doing: string,
    bucket: string,
    name: string,
    o: TransferOptions,
    work: (object: StorageObject) => Promise<T>,
  ): Promise<T> {
    for (let seen = ''; ; ) {
      const object = await this.find(bucket, name, o);
      if (!object) throw new BorealisError(`Cannot ${doing}: there is no such object`);
      try {
        return await work(object);
      } catch (thrown) {
        if (!isNotFound(thrown) || object.generation === seen) throw this.#told(doing, thrown, o);
        seen = object.generation;
      }
    }
  }

  /** Stores a file; what has this name is replaced. */
  async upload(file: string, bucket: string, name: string, o: UploadOptions = {}): Promise<StorageObject> {
    return await this.#try(`store gs://${bucket}/${name}`, bucket, o, () =>
      upload(this.#wire, file, bucket, name, o),
    );
  }

  /** Stores a file as the output of a run. Returns the object, or throws StoredByNewerRun. */
  async storeOutput(
    file: string,
    bucket: string,
    name: string,
    run: Run,
    o: TransferOptions = {},
  ): Promise<StorageObject> {
    const metadata = runMetadata(run);
    return await this.#onTop(bucket, name, run, o, {
      put: (generation) => this.upload(file, bucket, name, { ...o, metadata, generation }),
      content: () => checksumOf(file),
    });
  }

  /** The same with the bytes of an object of this bucket, which the server copies. Throws when it has been replaced. */
  async copyOutput(
    bucket: string,
    from: StorageObject,
    name: string,
    run: Run,
    o: TransferOptions = {},
  ): Promise<StorageObject> {
    const metadata = { ...runMetadata(run), ...copyMetadata(bucket, from) };
    return await this.#onTop(bucket, name, run, o, {
      put: (generation) => this.copy(bucket, from, bucket, name, { ...o, metadata, generation }),
      content: async () => ({ size: from.size, crc32c: from.crc32c ?? '' }),
    });
  }

  /**
   * Puts an output in its place. It does not replace what a newer run of the same Firework stored, and nothing unseen: it goes
   * through only when the object is still what it was when this was decided. Throws StoredByNewerRun.
   */
  async #onTop(
    bucket: string,
    name: string,
    run: Run,
    o: TransferOptions,
    output: {
      put: (generation: string) => Promise<StorageObject>;
      content: () => Promise<{ size: number; crc32c: string }>;
    },
  ): Promise<StorageObject> {
    let warned = false;
    // Mostly there is nothing of that name: to look first would be a request for each file.
    for (let generation = '0'; ; ) {
      try {
        return await output.put(generation);
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
      }
      const there = await this.find(bucket, name, o);
      generation = there?.generation ?? '0';
      if (!there) continue;
      const decision = onTop(there, await output.content(), run);
      if (decision === 'same') return there;
      if (decision === 'refuse')
        throw new StoredByNewerRun(
          `gs://${bucket}/${name} was stored by a newer run of this Firework: it is not replaced`,
        );
      if (decision === 'replaceChanged' && !warned)
        this.#log.warning(`gs://${bucket}/${name} was stored by somebody else while this task ran: replaced`);
      warned = true;
    }
  }

  /**
   * Makes empty objects that stand for folders (`a/b/`), side by side, each once in the life of this worker: they are what
   * gcsfuse and the console show as folders. One that is there is left as it is.
   */
  async makeFolders(bucket: string, names: Iterable<string>, o: TransferOptions = {}): Promise<void> {
    await inLanes(AT_ONCE, names, async (name) => {
      const key = `${bucket}/${name}`;
      const known = this.#folders.get(key);
      if (known) return await known;
      const making = this.#save(bucket, name, '', { ...o, generation: '0' }).catch((thrown) => {
        if (isConflict(thrown)) return;
        this.#folders.delete(key);
        throw thrown;
      });
      if (this.#folders.size >= MOST_KNOWN_FOLDERS) this.#folders.clear();
      this.#folders.set(key, making);
      await making;
    });
  }

  /** Fetches all objects below `prefix` (which ends with '/') into `dir`. Returns how many files. */
  async downloadTree(bucket: string, prefix: string, dir: string, o: TransferOptions = {}): Promise<number> {
    const objects = await Array.fromAsync(this.list(bucket, prefix, o));
    const { files, folders } = planTree(objects, prefix, dir);
    for (const folder of folders) await mkdir(folder, { recursive: true });
    await this.each(files, o, ({ object, file }) => this.fetch(bucket, object, file, o));
    return files.length;
  }

  /** Stores all files of `dir` below `prefix`. Empty folders are kept as objects 'name/'. Returns how many files. */
  async uploadTree(dir: string, bucket: string, prefix: string, o: TransferOptions = {}): Promise<number> {
    const entries = await treeEntries(dir, prefix, this.#log);
    const files = entries.filter(({ name }) => !name.endsWith('/'));
    const folders = entries.filter(({ name }) => name.endsWith('/'));
    await this.makeFolders(
      bucket,
      folders.map(({ name }) => name),
      o,
    );
    await this.each(files, o, ({ path, name }) => this.upload(path, bucket, name, o));
    return files.length;
  }

  /** Transfers many, some side by side. After a failure no new one is begun. */
  async each<T>(items: Iterable<T>, o: TransferOptions, work: (item: T) => Promise<unknown>): Promise<void> {
    await inLanes(o.concurrency ?? AT_ONCE, items, async (item) => {
      o.signal?.throwIfAborted();
      await work(item);
    });
  }

  /** Asks Google's client, and again after failures that pass. */
  async #ask<T>(work: (client: Client) => Promise<T>, o: TransferOptions & Patience): Promise<T> {
    return await this.#again(() => this.#wire.google.ask(work, o), o);
  }

  async #again<T>(work: () => Promise<T>, { policy = this.#policy, signal }: TransferOptions): Promise<T> {
    const began = Date.now();
    return await retry(policy, work, {
      signal,
      onRetry: (thrown, ms) => {
        const line = `Cloud Storage: again in ${(ms / SECOND).toFixed(1)} s: ${messageOf(thrown)}`;
        const now = Date.now();
        if (now - began < TELL_EVERY_MS || now - this.#toldAt < TELL_EVERY_MS) return this.#log.debug(line);
        this.#toldAt = now;
        this.#log.warning(`${line}; it has failed for ${((now - began) / SECOND).toFixed(0)} s`);
      },
    });
  }

  async #try<T>(doing: string, bucket: string, o: TransferOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      const told = this.#told(doing, thrown, o);
      if (isNotFound(thrown) && !(await this.exists(bucket).catch(() => true)))
        throw new BorealisError(
          `Bucket '${bucket}' does not exist. Create it: gcloud storage buckets create gs://${bucket}`,
          { cause: thrown },
        );
      throw told;
    }
  }

  /** What is thrown to the callers. */
  #told(doing: string, thrown: unknown, { signal }: TransferOptions): unknown {
    if (signal?.aborted) return signal.reason;
    if (isNotFound(thrown))
      return new BorealisError(`Cannot ${doing}: there is no such object`, { cause: thrown });
    if (codeOf(thrown) === 'ENOSPC')
      return new BorealisError(`Cannot ${doing}: the disk of this machine is full`, { cause: thrown });
    return cloudError(doing, thrown);
  }
}

async function checksumOf(path: string): Promise<{ size: number; crc32c: string }> {
  let [size, crc] = [0, 0];
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) {
    crc = crc32c(chunk, crc);
    size += chunk.length;
  }
  return { size, crc32c: crcText(crc) };
}
