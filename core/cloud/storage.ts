/** Cloud Storage: files and trees, streamed, their CRC32C computed natively on the way and checked at the other end. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bucket, Storage as GoogleStorage } from '@google-cloud/storage';
import { BorealisError, messageOf } from '../errors.ts';
import { type Logger, silent } from '../log.ts';
import { type RetryPolicy, retry } from '../retry.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { cloudError, isNotFound, isPassing } from './api_error.ts';
import { NativeCrc32c } from './crc32c.ts';
import type { Endpoints } from './endpoints.ts';

export interface StorageObject {
  name: string;
  size: number;
  updated: Date | null;
}

export interface TransferOptions {
  signal?: AbortSignal;
  /** Files under way at once. */
  concurrency?: number;
}

const PASSING: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: 10 * SECOND,
  deadlineMs: 5 * MINUTE,
};
/** A broken transfer is whole the next time; what is stored broken stays so. */
const MOST_MISMATCHES = 3;
const AT_ONCE = 8;
/** Beyond this size an upload is worth two more requests, to go on where it broke. */
const RESUMABLE_FROM = 16 * 1024 * 1024;
/** Kept in memory while it is under way; a multiple of 256 KiB. */
const CHUNK = 8 * 1024 * 1024;

/** Splits `bucket/path`, or `gs://bucket/path`. */
export function parseStoragePath(text: string): { bucket: string; path: string } {
  const [, bucket = '', path = ''] = /^(?:gs:\/\/)?([^/]*)\/?(.*)$/s.exec(text) ?? [];
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(bucket))
    throw new BorealisError(
      `'${text}' is no storage path: it begins with a bucket's name, as in gs://bucket/folder`,
    );
  return { bucket, path };
}

/** Where the object `name` below `prefix` goes in folder `dir`. Throws for names that would leave it. */
export function fileFor(dir: string, prefix: string, name: string): string {
  const rest = name.slice(prefix.length);
  const target = resolve(dir, `./${rest}`);
  const inside = target === resolve(dir) || target.startsWith(resolve(dir) + sep);
  if (!inside || rest.includes('\0') || rest.split('/').includes('..'))
    throw new BorealisError(`The object '${name}' would be written outside ${dir}: rename it`);
  return target;
}

export class Storage {
  readonly #clients = new Map<'plain' | 'resuming', GoogleStorage>();

  constructor(
    readonly endpoints: Endpoints,
    readonly project?: string,
    readonly log: Logger = silent,
    readonly policy: RetryPolicy = PASSING,
  ) {}

  /**
   * A client that leaves trying again to `retry`, or one that knows how to resume: Google's library itself goes on with a large
   * upload where that broke, after a second or more.
   */
  async #bucket(name: string, kind: 'plain' | 'resuming' = 'plain'): Promise<Bucket> {
    const client = this.#clients.get(kind) ?? (await this.#newClient(kind === 'resuming'));
    this.#clients.set(kind, client);
    return client.bucket(name);
  }

  async #newClient(resuming: boolean): Promise<GoogleStorage> {
    const { IdempotencyStrategy, Storage: Google } = await import('@google-cloud/storage');
    const apiEndpoint = this.endpoints.storage?.href.replace(/\/$/, '');
    // The library takes the variable for the whole base path and leaves out /storage/v1, which emulators expect.
    const variable = process.env.STORAGE_EMULATOR_HOST;
    delete process.env.STORAGE_EMULATOR_HOST;
    const { RetryAlways, RetryNever } = IdempotencyStrategy;
    try {
      return new Google({
        ...(this.project && { projectId: this.project }),
        ...(apiEndpoint && { apiEndpoint }),
        crc32cGenerator: () => new NativeCrc32c(),
        retryOptions: resuming
          ? // The same bytes under the same name: a repeated upload does no harm.
            { autoRetry: true, maxRetries: 5, idempotencyStrategy: RetryAlways }
          : { autoRetry: false, idempotencyStrategy: RetryNever },
      });
    } finally {
      if (variable !== undefined) process.env.STORAGE_EMULATOR_HOST = variable;
    }
  }

  async exists(bucket: string): Promise<boolean> {
    const there = await this.#bucket(bucket);
    const [found] = await retry(this.policy, () => there.exists());
    return found;
  }

  /** Lists objects below a prefix, page by page. With `delimiter` '/', deeper ones are left out. */
  async *list(bucket: string, prefix: string, delimiter?: string): AsyncGenerator<StorageObject> {
    const from = await this.#bucket(bucket);
    let pageToken: string | undefined;
    do {
      const page = await this.#try(`list gs://${bucket}/${prefix}`, bucket, () =>
        from.getFiles({
          prefix,
          autoPaginate: false,
          maxResults: 1000,
          ...(pageToken && { pageToken }),
          ...(delimiter && { delimiter }),
        }),
      );
      for (const file of page[0]) {
        const { size, updated } = file.metadata;
        yield { name: file.name, size: Number(size ?? 0), updated: updated ? new Date(updated) : null };
      }
      pageToken = (page[1] as { pageToken?: string } | null)?.pageToken;
    } while (pageToken);
  }

  async read(bucket: string, object: string): Promise<Uint8Array> {
    const from = (await this.#bucket(bucket)).file(object);
    const [bytes] = await this.#try(`read gs://${bucket}/${object}`, bucket, () => from.download());
    return bytes;
  }

  async write(bucket: string, object: string, data: string | Uint8Array): Promise<void> {
    const to = (await this.#bucket(bucket)).file(object);
    await this.#try(`write gs://${bucket}/${object}`, bucket, () =>
      to.save(Buffer.from(data as Uint8Array), { resumable: false, validation: 'crc32c' }),
    );
  }

  /** Fetches an object to a file. It appears under its name only when it is there whole and its checksum is right. */
  async download(bucket: string, object: string, file: string, o: TransferOptions = {}): Promise<void> {
    const from = (await this.#bucket(bucket)).file(object);
    await mkdir(dirname(file), { recursive: true });
    const part = `${file}.part-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    await this.#try(
      `fetch gs://${bucket}/${object}`,
      bucket,
      () => receive(from.createReadStream({ validation: 'crc32c' }), part, o.signal),
      o.signal,
    );
    await rename(part, file);
  }

  async upload(file: string, bucket: string, object: string, o: TransferOptions = {}): Promise<void> {
    const { size } = await stat(file);
    const resumable = size >= RESUMABLE_FROM;
    const to = (await this.#bucket(bucket, resumable ? 'resuming' : 'plain')).file(object);
    // In chunks, for what the server has not kept of a chunk can be sent again: of a stream it is gone.
    const options = { resumable, validation: 'crc32c' as const, ...(resumable && { chunkSize: CHUNK }) };
    await this.#try(
      `store gs://${bucket}/${object}`,
      bucket,
      () => pipeline(createReadStream(file), to.createWriteStream(options), { signal: o.signal }),
      o.signal,
    );
  }

  /** Fetches all objects below `prefix` (which ends with '/') into `dir`. Returns how many files. */
  async downloadTree(bucket: string, prefix: string, dir: string, o: TransferOptions = {}): Promise<number> {
    await mkdir(dir, { recursive: true });
    let count = 0;
    await inLanes(o.concurrency ?? AT_ONCE, this.list(bucket, prefix), async ({ name }) => {
      o.signal?.throwIfAborted();
      const target = fileFor(dir, prefix, name);
      // An object whose name ends with '/' stands for an empty folder.
      if (name.endsWith('/')) await mkdir(target, { recursive: true });
      else {
        await this.download(bucket, name, target, o);
        count++;
      }
    });
    return count;
  }

  /** Stores all files of `dir` below `prefix`. Empty folders are kept as objects 'name/'. Returns how many files. */
  async uploadTree(dir: string, bucket: string, prefix: string, o: TransferOptions = {}): Promise<number> {
    let count = 0;
    const root = await realpath(dir);
    await inLanes(o.concurrency ?? AT_ONCE, walk(root, this.log), async ({ path, folder }) => {
      o.signal?.throwIfAborted();
      const name = prefix + relative(root, path).split(sep).join('/');
      if (folder) await this.write(bucket, `${name}/`, '');
      else {
        await this.upload(path, bucket, name, o);
        count++;
      }
    });
    return count;
  }

  async #try<T>(doing: string, bucket: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let mismatches = 0;
    const retryable = (e: unknown) =>
      this.policy.retryable(e) || (isMismatch(e) && ++mismatches < MOST_MISMATCHES);
    try {
      return await retry({ ...this.policy, retryable }, work, {
        signal,
        onRetry: (e, ms) => this.log.debug(`${doing}: again in ${ms.toFixed(0)} ms: ${messageOf(e)}`),
      });
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      if (isNotFound(thrown)) {
        const there = await this.exists(bucket).catch(() => true);
        if (!there)
          throw new BorealisError(
            `Bucket '${bucket}' does not exist. Create it: gcloud storage buckets create gs://${bucket}`,
            { cause: thrown },
          );
        throw new BorealisError(`Cannot ${doing}: there is no such object`, { cause: thrown });
      }
      throw cloudError(doing, thrown);
    }
  }
}

/**
 * Writes what comes to `file`; what does not come whole leaves none. Google's stream must not be destroyed before it has an
 * answer: it would throw where nobody can catch it (7.22). So an abort is told at once, and the stream ends a moment later.
 */
async function receive(source: Readable, file: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const answered = new Promise<void>((resolve) => {
    source.once('response', () => setImmediate(resolve)).once('close', resolve);
  });
  const stop = new AbortController();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => {
    aborted.reject(signal?.reason);
    void answered.then(() => stop.abort());
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const written = pipeline(source, createWriteStream(file), { signal: stop.signal });
  const cleared = written.catch(() => rm(file, { force: true }));
  try {
    await Promise.race([written, aborted.promise]);
  } catch (thrown) {
    if (!signal?.aborted) await cleared;
    throw thrown;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function isMismatch(thrown: unknown): boolean {
  return (
    (thrown as { code?: unknown }).code === 'CONTENT_DOWNLOAD_MISMATCH' ||
    (thrown as { code?: unknown }).code === 'FILE_NO_UPLOAD'
  );
}

/** The files below `root`, and its empty folders. A link is followed when it stays inside, else skipped with a warning. */
async function* walk(
  root: string,
  log: Logger,
  dir = root,
): AsyncGenerator<{ path: string; folder: boolean }> {
  const entries = await readdir(dir, { withFileTypes: true });
  if (entries.length === 0 && dir !== root) yield { path: dir, folder: true };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* walk(root, log, path);
    else if (entry.isFile()) yield { path, folder: false };
    else if (entry.isSymbolicLink()) {
      const target = await realpath(path).catch(() => null);
      const inside = target?.startsWith(root + sep) && (await stat(path)).isFile();
      if (inside) yield { path, folder: false };
      else
        log.warning(
          `${relative(root, path)} is a link that leads out of the tree, to a folder, or to nothing: not stored`,
        );
    } else log.warning(`${relative(root, path)} is no regular file: not stored`);
  }
}

/** Does `work` on items as they come, `lanes` at a time. After a failure no new item is begun; it is thrown at the end. */
async function inLanes<T>(
  lanes: number,
  items: AsyncIterator<T> & AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const lane = async () => {
    while (failures.length === 0) {
      const next = await items.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (thrown) {
        failures.push(thrown);
      }
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const one of settled) if (one.status === 'rejected') failures.push(one.reason);
  if (failures.length > 0) throw failures[0];
}
