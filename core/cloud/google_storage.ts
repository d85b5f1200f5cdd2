/**
 * Google's client of Cloud Storage, loaded on first use: whose credentials are sent, and all requests but those that carry the
 * bytes of objects.
 */
import type { Storage as Client } from '@google-cloud/storage';
import { SECOND } from '../wait.ts';
import { Crc32c } from './crc32c.ts';

export interface Patience {
  signal?: AbortSignal;
  /** So many go there or come back. */
  bytes?: number;
}

export class GoogleStorage {
  #client: Promise<Client> | null = null;

  constructor(
    readonly endpoint: URL | undefined,
    /** How long an answer may take, besides the time for its bytes. */
    readonly answerWithinMs = 60 * SECOND,
    /** The slowest connection that is still waited for. */
    readonly slowestBytesPerSecond = 64 * 1024,
  ) {}

  /** How long is waited when so many bytes go there or come back. */
  patienceMs(bytes: number): number {
    return this.answerWithinMs + (bytes / this.slowestBytesPerSecond) * SECOND;
  }

  /**
   * What `work` gets from Google's client, which goes on for itself when it is late or aborted: it can neither be interrupted, nor
   * does it give up a connection that hangs (its `timeout` is for node-fetch's own, and Bun brings another).
   */
  async ask<T>(work: (client: Client) => Promise<T>, { signal, bytes = 0 }: Patience = {}): Promise<T> {
    signal?.throwIfAborted();
    const cut = Promise.withResolvers<never>();
    const late = setTimeout(
      () => cut.reject(new Error('Cloud Storage timed out: no answer')),
      this.patienceMs(bytes),
    );
    const onAbort = () => cut.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = this.#connected().then(work);
      answer.catch(() => {});
      return await Promise.race([answer, cut.promise]);
    } finally {
      clearTimeout(late);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** What shows who asks. Nothing is shown to an emulator: it is known by its plain http. */
  async authorization(signal?: AbortSignal): Promise<Record<string, string>> {
    if (this.endpoint?.protocol === 'http:') return {};
    const ask = ({ authClient, apiEndpoint }: Client) => authClient.getRequestHeaders(apiEndpoint);
    return Object.fromEntries(new Headers(await this.ask(ask, { signal })));
  }

  #connected(): Promise<Client> {
    this.#client ??= connect(this.endpoint);
    return this.#client;
  }
}

/** An answer that the library could not read is text to it. Passing: no server says such things, but what stands between may. */
export function parsed<T>(answer: unknown): T {
  if (typeof answer === 'object' && answer !== null) return answer as T;
  throw new Error(`Cloud Storage's connection spoilt an answer: ${String(answer).slice(0, 100)}`);
}

async function connect(endpoint: URL | undefined): Promise<Client> {
  const { IdempotencyStrategy, Storage } = await import('@google-cloud/storage');
  // The library takes the variable for the whole base path and leaves out /storage/v1, which emulators expect.
  const variable = process.env.STORAGE_EMULATOR_HOST;
  delete process.env.STORAGE_EMULATOR_HOST;
  try {
    return new Storage({
      ...(endpoint && { apiEndpoint: endpoint.href }),
      useAuthWithCustomEndpoint: endpoint?.protocol === 'https:',
      crc32cGenerator: () => new Crc32c(),
      // Its own waits of 2 s and more know no deadline of a task, no abort, and nothing of connections that hang: `retry` does.
      retryOptions: { autoRetry: false, idempotencyStrategy: IdempotencyStrategy.RetryNever },
    });
  } finally {
    if (variable !== undefined) process.env.STORAGE_EMULATOR_HOST = variable;
  }
}
