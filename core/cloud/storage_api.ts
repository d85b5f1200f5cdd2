/** One request to Cloud Storage's JSON API. https://cloud.google.com/storage/docs/json_api/v1 */
import { SECOND } from '../wait.ts';

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
  #credentials: Promise<{ getRequestHeaders(url: string): Promise<Headers> }> | null = null;
  /** The server's clock less ours. */
  #aheadMs = 0;

  constructor(
    endpoint: URL | undefined,
    /** How long an answer may take, besides the time for its bytes. */
    readonly answerWithinMs = 60 * SECOND,
    /** The slowest connection that is still waited for. */
    readonly slowestBytesPerSecond = 64 * 1024,
  ) {
    this.#base = endpoint ?? new URL('https://storage.googleapis.com');
  }

  /** The time by the server's clock, as its last answer had it: to the second. */
  now(): Date {
    return new Date(Date.now() + this.#aheadMs);
  }

  /**
   * Asks, and hands the answer to `read`, which must read all of its body: a connection is used again only then. Throws
   * Refusal, what `signal` was aborted with, or what went wrong on the way; a connection that hangs is given up.
   */
  async ask<T>(request: Request, read: (response: Response) => Promise<T>): Promise<T> {
    const { signal, body, expects } = request;
    signal?.throwIfAborted();
    const stop = new AbortController();
    const forBytesMs = (((body?.length ?? 0) + (expects ?? 0)) / this.slowestBytesPerSecond) * SECOND;
    const late = setTimeout(
      () => stop.abort(new Error('Cloud Storage timed out: no answer')),
      this.answerWithinMs + forBytesMs,
    );
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const response = await fetch(this.#url(request), {
        method: request.method ?? 'GET',
        headers: {
          ...(expects !== undefined && { 'accept-encoding': 'gzip' }),
          ...(await this.#authorization()),
          ...request.headers,
        },
        body,
        signal: stop.signal,
        // 308 is how a resumable upload says "go on".
        redirect: 'manual',
        // The checksum of a packed object is that of its packed bytes.
        decompress: expects === undefined,
      });
      const date = Date.parse(response.headers.get('date') ?? '');
      if (date) this.#aheadMs = date - Date.now();
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

  /** Nothing is shown to an emulator: it is known by its plain http. */
  async #authorization(): Promise<Record<string, string>> {
    if (this.#base.protocol === 'http:') return {};
    this.#credentials ??= import('google-auth-library').then(
      ({ GoogleAuth }) => new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/devstorage.read_write' }),
    );
    const credentials = await this.#credentials;
    return Object.fromEntries(await credentials.getRequestHeaders(this.#base.href));
  }
}
