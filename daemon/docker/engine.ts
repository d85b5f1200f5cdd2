/** A Docker Engine, over its socket. https://docs.docker.com/reference/api/engine/ */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { Pool } from 'undici/index.js';
import * as z from 'zod';
import { BorealisError, codeOf, messageOf, UsageError } from '../../core/errors.ts';

/** Spoken by Docker 20.10 (Debian 12); what comes before is not supported. */
const OLDEST = '1.41';
/** Of Docker 27. Newer Engines speak it too (29 asks for 1.44 at least), and what it says is known here. */
const NEWEST = '1.47';

/** An Engine that takes a connection and then says nothing is as good as none. */
const ANSWER_WITHIN_MS = 10_000;

export type Env = Readonly<Record<string, string | undefined>>;

export interface EngineAddress {
  socketPath?: string;
  host?: string;
  port?: number;
  /** The folder with ca.pem, cert.pem and key.pem; and whether the Engine's own certificate is checked against the first. */
  tls?: { folder: string; verify: boolean };
}

/**
 * Where DOCKER_HOST points; the system's socket when it is not set. As the program docker has it, DOCKER_TLS_VERIFY asks for TLS
 * to a tcp address, DOCKER_TLS for TLS with whoever answers, and DOCKER_CERT_PATH names the folder of the certificates. Throws
 * UsageError for what cannot be used.
 */
export function engineAddress(dockerHost: string | undefined, env: Env = {}): EngineAddress {
  const value = dockerHost || 'unix:///var/run/docker.sock';
  if (value.startsWith('unix://')) return { socketPath: value.slice('unix://'.length) };
  const [, scheme, bracketed, plain, port] =
    /^(tcp|http|https):\/\/(?:\[([0-9a-f:]+)\]|([^:/[\]]+))(?::(\d+))?\/?$/i.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (!host)
    throw new UsageError(`DOCKER_HOST=${value}: must be unix:///path/of/docker.sock or tcp://host:port`);
  const verify = Boolean(env.DOCKER_TLS_VERIFY);
  const secure = scheme === 'https' || verify || Boolean(env.DOCKER_TLS);
  const folder = env.DOCKER_CERT_PATH || env.DOCKER_CONFIG || join(env.HOME ?? homedir(), '.docker');
  return {
    host,
    port: Number(port ?? (secure ? 2376 : 2375)),
    ...(secure && { tls: { folder, verify: verify || scheme === 'https' } }),
  };
}

/** The Engine's refusal of a request, in its own words. */
export class EngineError extends BorealisError {
  override readonly name = 'EngineError';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export const isNotFound = (thrown: unknown) => thrown instanceof EngineError && thrown.status === 404;
export const isConflict = (thrown: unknown) => thrown instanceof EngineError && thrown.status === 409;

/** The connection failed, not the request: the Engine is being restarted, or is gone. */
export function isEngineAway(thrown: unknown): boolean {
  const code = codeOf(thrown) ?? '';
  return /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|UND_ERR_SOCKET|UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/.test(
    code,
  );
}

export interface RequestOptions {
  body?: unknown;
  headers?: Record<string, string>;
  /** The answer is text, not JSON. */
  text?: boolean;
  signal?: AbortSignal;
}

export class Engine implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #tls: TlsFiles | undefined;
  #api: Promise<string> | null = null;

  constructor(readonly address: EngineAddress) {
    const { socketPath, tls } = address;
    this.#tls = tls && readTlsFiles(tls);
    // Bodies may be silent for hours: a container that prints nothing is no failure.
    this.#pool = new Pool(originOf(address), {
      connect: { ...(socketPath && { socketPath }), ...this.#tls },
      bodyTimeout: 0,
      headersTimeout: 0,
    });
  }

  /** Connects to the Engine that the environment names. Throws BorealisError that says how to mend it when none answers. */
  static async open(env: Env, signal?: AbortSignal): Promise<Engine> {
    const engine = new Engine(engineAddress(env.DOCKER_HOST, env));
    try {
      await engine.version(signal);
      return engine;
    } catch (thrown) {
      await engine[Symbol.asyncDispose]();
      signal?.throwIfAborted();
      throw unreachable(engine.address, thrown);
    }
  }

  /** The version of the API that both sides speak, asked for once. Throws BorealisError for an Engine that is too old. */
  version(signal?: AbortSignal): Promise<string> {
    this.#api ??= this.#negotiate(signal).catch((thrown) => {
      this.#api = null;
      throw thrown;
    });
    return this.#api;
  }

  async #negotiate(signal?: AbortSignal): Promise<string> {
    const limit = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: '/_ping',
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
    const text = await body.text();
    if (statusCode >= 400) throw new EngineError(statusCode, messageIn(text));
    const spoken = String(headers['api-version'] ?? '');
    if (!/^1\.\d+$/.test(spoken))
      throw new BorealisError(
        `what answers there is no Docker Engine (its API has version '${spoken.slice(0, 20)}')`,
      );
    if (minorOf(spoken) < minorOf(OLDEST))
      throw new BorealisError(`it speaks version ${spoken} of the API; Docker 20.10 or newer is needed`);
    return minorOf(spoken) < minorOf(NEWEST) ? spoken : NEWEST;
  }

  /** One request with a JSON answer. Throws EngineError for an answer of 400 or more. */
  async request(method: 'GET' | 'POST' | 'DELETE', path: string, o: RequestOptions = {}): Promise<unknown> {
    const body = o.body === undefined ? undefined : JSON.stringify(o.body);
    const answer = await this.#send(method, path, { ...o, body });
    const text = await answer.text();
    return o.text || text === '' ? text : JSON.parse(text);
  }

  /** Sends a small tar archive. Throws EngineError when it is refused, also half-way. */
  async upload(path: string, tar: Blob): Promise<void> {
    const body = Buffer.from(await tar.arrayBuffer());
    const answer = await this.#send('POST', path, { body, headers: { 'content-type': 'application/x-tar' } });
    const text = await answer.text();
    if (text.includes('"error"')) throw new EngineError(500, messageIn(text));
  }

  /**
   * A request whose answer is a stream of JSON lines: a pull, a wait. Returns when the Engine has begun to answer; what it
   * gives ends when `signal` aborts, by throwing its reason.
   */
  async lines(
    method: 'GET' | 'POST',
    path: string,
    o: { headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<AsyncGenerator<Record<string, unknown>>> {
    return jsonLines(await this.#send(method, path, o));
  }

  async #send(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    o: { body?: string | Buffer; headers?: Record<string, string>; signal?: AbortSignal },
  ) {
    const api = await this.version(o.signal);
    const { statusCode, body } = await this.#pool.request({
      method,
      path: `/v${api}${path}`,
      headers: { ...(o.body !== undefined && { 'content-type': 'application/json' }), ...o.headers },
      body: o.body,
      signal: o.signal,
    });
    if (statusCode >= 400) throw new EngineError(statusCode, messageIn(await body.text()));
    return body;
  }

  /**
   * Attaches to a container's output: a stream of frames (see output.ts). Done before its start, nothing is missed, and it is the
   * fastest way: 24 MB of output came at 21 MB/s attached, and at 11 by following the log. Who reads slowly slows the container
   * down.
   */
  async attach(id: string, signal?: AbortSignal): Promise<Socket> {
    const api = await this.version(signal);
    const socket = await this.#dial(signal);
    const path = `/v${api}/containers/${id}/attach?stream=1&stdout=1&stderr=1`;
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`,
    );
    try {
      await takeUpgrade(socket, signal);
      return socket;
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    }
  }

  #dial(signal?: AbortSignal): Promise<Socket> {
    signal?.throwIfAborted();
    const { socketPath, host, port } = this.address;
    return new Promise((resolve, reject) => {
      const event = this.#tls ? 'secureConnect' : 'connect';
      const socket = socketPath
        ? connect(socketPath)
        : this.#tls
          ? connectTls({ host, port, ...this.#tls })
          : connect(port as number, host as string);
      const abort = () => fail(signal?.reason);
      const fail = (thrown: unknown) => {
        signal?.removeEventListener('abort', abort);
        socket.destroy();
        reject(thrown);
      };
      signal?.addEventListener('abort', abort, { once: true });
      socket.once('error', fail);
      socket.once(event, () => {
        signal?.removeEventListener('abort', abort);
        socket.off('error', fail);
        resolve(socket);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }
}

async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Record<string, unknown>> {
  let held = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const parts = (held + decoder.decode(chunk, { stream: true })).split('\n');
    held = parts.pop() ?? '';
    for (const line of parts) if (line.trim()) yield JSON.parse(line) as Record<string, unknown>;
  }
  if (held.trim()) yield JSON.parse(held) as Record<string, unknown>;
}

/** Reads the answer to a request for an upgrade; what comes after it is left in the socket. Throws EngineError for a refusal. */
function takeUpgrade(socket: Socket, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const status = Number(/^HTTP\/1\.\d (\d+)/.exec(head.toString('latin1', 0, end))?.[1]);
    const rest = head.subarray(end + 4);
    if (status !== 101 && status !== 200)
      return reject(new EngineError(status, messageIn(rest.toString('utf8').replace(/^[0-9a-f]+\r\n/i, ''))));
    socket.off('data', onData).pause();
    if (rest.length > 0) socket.unshift(rest);
    resolve();
  };
  const onEnd = () => reject(Object.assign(new Error('the Docker Engine closed the connection'), closed));
  const onAbort = () => reject(signal?.reason);
  socket.on('data', onData).once('error', reject).once('end', onEnd);
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    socket.off('data', onData).off('error', reject).off('end', onEnd);
    signal?.removeEventListener('abort', onAbort);
  });
}

const closed = { code: 'ECONNRESET' };

interface TlsFiles {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  rejectUnauthorized: boolean;
}

/** An Engine may do without the client's own certificate; it then says so itself when it does not. */
function readTlsFiles({ folder, verify }: { folder: string; verify: boolean }): TlsFiles {
  const read = (name: string, optional: boolean) => {
    try {
      return readFileSync(join(folder, name));
    } catch (thrown) {
      if (optional && codeOf(thrown) === 'ENOENT') return undefined;
      throw new UsageError(
        `The Docker Engine is to be reached by TLS, but ${join(folder, name)} cannot be read: ${messageOf(thrown)}. Set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem`,
        { cause: thrown },
      );
    }
  };
  const [cert, key] = [read('cert.pem', true), read('key.pem', true)];
  return {
    ...(verify && { ca: read('ca.pem', false) }),
    ...(cert && key && { cert, key }),
    rejectUnauthorized: verify,
  };
}

function originOf({ socketPath, host, port, tls }: EngineAddress): string {
  if (socketPath) return 'http://docker';
  return `${tls ? 'https' : 'http'}://${host?.includes(':') ? `[${host}]` : host}:${port}`;
}

const minorOf = (version: string) => Number(version.split('.')[1]);

const refusal = z.union([
  z.object({ message: z.string() }).transform(({ message }) => message),
  z
    .looseObject({ errorDetail: z.looseObject({ message: z.string() }) })
    .transform(({ errorDetail }) => errorDetail.message),
]);

/** What a refusal says: `{"message": ...}`, or the last line of a stream that ends badly. */
function messageIn(text: string): string {
  const last = text.trim().split('\n').at(-1) ?? '';
  try {
    return refusal.parse(JSON.parse(last)).trim();
  } catch {
    return text.trim() || 'no reason was given';
  }
}

function unreachable(address: EngineAddress, cause: unknown): BorealisError {
  const where = address.socketPath ?? `${address.host}:${address.port}`;
  const code = codeOf(cause);
  if (code === 'EACCES' || code === 'EPERM') {
    return new BorealisError(
      `No permission for the Docker Engine's socket ${where}. Add this user to its group: sudo usermod -aG docker $USER, then sign in again`,
      { cause },
    );
  }
  if (cause instanceof BorealisError)
    return new BorealisError(`The Docker Engine at ${where} cannot be used: ${cause.message}`, { cause });
  const detail =
    code === 'ENOENT'
      ? 'there is no such socket'
      : (cause as Error)?.name === 'TimeoutError'
        ? `it says nothing for ${ANSWER_WITHIN_MS / 1000} s`
        : messageOf(cause);
  return new BorealisError(
    `No Docker Engine answers at ${where}: ${detail}. Install docker.io and start it, or set DOCKER_HOST`,
    { cause },
  );
}
