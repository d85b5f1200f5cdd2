/**
 * One request that carries the bytes of an object, or a piece of them, to or from Cloud Storage. All others are made by Google's client (google_storage.ts);
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
import { type LongAnswer, LongBodies, type LongRequest } from './long_body.ts';

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
  /** Below the API's address, encoded. */
  path: string;
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** An object's own bytes are asked for, packed or not: so many of them. */
  expects?: number;
  signal?: AbortSignal;
}

/** On its way, but not there: as much as the kernel and what lies between take in before the server reads it. */
const ON_THE_WAY_BYTES = 4 * 1024 * 1024;

export class StorageApi {
  readonly #base: URL;
  readonly #long = new LongBodies();

  constructor(readonly google: GoogleStorage) {
    this.#base = google.endpoint ?? new URL('https://storage.googleapis.com');
  }

  /**
   * Asks, and hands the answer to `read`, which must read all of its body: a connection is used again only then. Throws
   * Refusal, what `signal` was aborted with, or what went wrong on the way; a connection that hangs is given up.
   */
  async ask<T>(request: Request, read: (response: Response) => Promise<T>): Promise<T> {
    const { body, expects } = request;
    const bytes = (body?.length ?? 0) + (expects ?? 0);
    return await this.#whileHeard(bytes, request.signal, async (signal) => {
      const response = await fetch(this.#url(request), {
        method: request.method ?? 'GET',
        headers: {
          ...(expects !== undefined && { 'accept-encoding': 'gzip' }),
          ...(await this.google.authorization(signal)),
          ...request.headers,
        },
        body,
        signal,
        // 308 is how a resumable upload says "go on".
        redirect: 'manual',
        // The checksum of a packed object is that of its packed bytes.
        decompress: expects === undefined,
      });
      if (response.status >= 400) throw new Refusal(response.status, await response.text());
      return await read(response);
    });
  }

  /** Puts what is read meanwhile, however long it is: given up when nothing of it goes any more. Throws as `ask`. */
  async put(request: Omit<LongRequest, 'signal' | 'onProgress'>, signal?: AbortSignal): Promise<LongAnswer> {
    return await this.#whileHeard(ON_THE_WAY_BYTES, signal, async (stop, onProgress) => {
      const headers = { ...(await this.google.authorization(stop)), ...request.headers };
      const answer = await this.#long.put({ ...request, headers, signal: stop, onProgress });
      if (answer.status >= 400) throw new Refusal(answer.status, answer.text);
      return answer;
    });
  }

  /** Does `work`, which is aborted with `signal`, or when it takes longer than so many bytes since there was progress. */
  async #whileHeard<T>(
    bytes: number,
    signal: AbortSignal | undefined,
    work: (stop: AbortSignal, onProgress: () => void) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const late = setTimeout(
      () => stop.abort(new Error('Cloud Storage timed out: no answer')),
      this.google.patienceMs(bytes),
    );
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(stop.signal, () => void late.refresh());
    } catch (thrown) {
      throw stop.signal.aborted ? stop.signal.reason : thrown;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The answer as JSON. */
  async json<T>(request: Request): Promise<T> {
    return await this.ask(request, async (response) => parsedText<T>(await response.text()));
  }

  #url({ path, query = {} }: Request): string {
    const asked = Object.entries(query).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`],
    );
    return `${this.#base.origin}${path}${asked.length > 0 ? `?${asked.join('&')}` : ''}`;
  }
}

/** An answer as JSON. */
export function parsedText<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (thrown) {
    // Passing: no server says such things, but what stands between may break them.
    throw new Error(`Cloud Storage's connection spoilt an answer: ${text.slice(0, 100)}`, { cause: thrown });
  }
}
