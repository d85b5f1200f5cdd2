/**
 * One request that carries bytes of a file, to or from Cloud Storage. All others are made by Google's client (google_storage.ts);
 * these are ours, with its credentials, for what it does not do:
 *
 * - it stores a file as one stream, and what it goes on with after a break it reads no second time; a piece that is sent alone is
 *   sent again alone, at once, and asks first how much of it came;
 * - it fetches a range without looking at its bytes, and one that breaks is fetched anew; ours are summed one by one, and joined;
 * - it hears of no abort, and waits for a connection that hangs;
 * - small files: 1,000 of 10 kB go up at 1,100 a second by its `save`, at 3,000 by ours, on two cores.
 *
 * https://cloud.google.com/storage/docs/json_api/v1
 */
import type { GoogleStorage } from './google_storage.ts';

/** A request that was answered, and refused. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    readonly status: number,
    /** JSON, most often: see `answerOf`. */
    body: string,
  ) {
    super(body || `HTTP status ${status}`);
  }
}

export interface Request {
  method?: string;
  /** Below the API's address; or a whole URL that the API gave. */
  path: string | URL;
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** An object's own bytes are asked for, packed or not: so many of them. */
  expects?: number;
  signal?: AbortSignal;
}

export class StorageApi {
  readonly #base: URL;

  constructor(readonly google: GoogleStorage) {
    this.#base = google.endpoint ?? new URL('https://storage.googleapis.com');
  }

  /**
   * Asks, and hands the answer to `read`, which must read all of its body: a connection is used again only then. Throws
   * Refusal, what `signal` was aborted with, or what went wrong on the way; a connection that hangs is given up.
   */
  async ask<T>(request: Request, read: (response: Response) => Promise<T>): Promise<T> {
    const { signal, body, expects } = request;
    signal?.throwIfAborted();
    const stop = new AbortController();
    const late = setTimeout(
      () => stop.abort(new Error('Cloud Storage timed out: no answer')),
      this.google.patienceMs((body?.length ?? 0) + (expects ?? 0)),
    );
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const response = await fetch(this.#url(request), {
        method: request.method ?? 'GET',
        headers: {
          ...(expects !== undefined && { 'accept-encoding': 'gzip' }),
          ...(await this.google.authorization(stop.signal)),
          ...request.headers,
        },
        body,
        signal: stop.signal,
        // 308 is how a resumable upload says "go on".
        redirect: 'manual',
        // The checksum of a packed object is that of its packed bytes.
        decompress: expects === undefined,
      });
      if (response.status >= 400) throw new Refusal(response.status, await response.text());
      return await read(response);
    } catch (thrown) {
      throw stop.signal.aborted ? stop.signal.reason : thrown;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The answer as JSON. */
  async json<T>(request: Request): Promise<T> {
    return await this.ask(request, async (response) => {
      const text = await response.text();
      try {
        return JSON.parse(text) as T;
      } catch (thrown) {
        // Passing: no server says such things, but what stands between may break them.
        throw new Error(`Cloud Storage's connection spoilt an answer: ${text.slice(0, 100)}`, {
          cause: thrown,
        });
      }
    });
  }

  #url({ path, query = {} }: Request): URL {
    const url = new URL(path, this.#base);
    for (const [key, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(key, String(value));
    return url;
  }
}
