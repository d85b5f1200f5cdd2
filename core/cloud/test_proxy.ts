/**
 * For tests: a network that misbehaves, between our client and an honest server. What happens to a request is decided by its
 * method, path and query.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Trouble {
  /** Fits `GET /storage/v1/b/x/o/y?alt=media`. */
  on: RegExp;
  /** How many requests; 1 when left out. */
  times?: number;
  /**
   * A number: this status, and the server hears nothing. reset: the connection breaks before the server hears of it. lose: it
   * breaks after the server obeyed. truncate: half of the body comes. corrupt: a byte of the body is another. hang: nothing
   * comes any more. spoil: a byte of what is sent is another when it arrives.
   */
  does: number | 'reset' | 'lose' | 'truncate' | 'corrupt' | 'hang' | 'spoil';
}

export interface TestProxy extends AsyncDisposable {
  origin: string;
  /** What was asked for, in order. */
  calls: string[];
  trouble(one: Trouble): void;
  /** No more troubles. */
  forget(): void;
  /** The most requests that were under way at once. */
  mostAtOnce(): number;
}

export async function testProxy(upstream: string): Promise<TestProxy> {
  const troubles: (Trouble & { left: number })[] = [];
  const calls: string[] = [];
  let [atOnce, most] = [0, 0];

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = `${request.method} ${request.url}`;
    calls.push(call);
    const trouble = troubles.find(({ on, left }) => left > 0 && on.test(call));
    if (trouble) trouble.left--;
    const body = await buffer(request);
    const does = trouble?.does;
    if (does === 'reset') return void request.socket.resetAndDestroy();
    if (does === 'hang') return;
    if (typeof does === 'number') {
      response.writeHead(does, { 'content-type': 'application/json' });
      return void response.end(JSON.stringify({ error: { code: does, message: 'asked for' } }));
    }
    if (does === 'spoil') body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
    const { host, connection, 'content-length': length, ...headers } = request.headers;
    const answer = await fetch(upstream + request.url, {
      method: request.method,
      headers: headers as Record<string, string>,
      ...(body.length > 0 && { body }),
      redirect: 'manual',
      decompress: false,
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (does === 'lose') return void request.socket.resetAndDestroy();
    if (does === 'corrupt') bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    const given = Object.fromEntries(answer.headers);
    if (given.location) given.location = given.location.replace(upstream, origin);
    delete given['transfer-encoding'];
    response.writeHead(answer.status, { ...given, 'content-length': String(bytes.length) });
    if (does !== 'truncate') return void response.end(bytes);
    response.write(bytes.subarray(0, bytes.length >> 1), () => request.socket.destroy());
  }

  const server = createServer((request, response) => {
    most = Math.max(most, ++atOnce);
    request.on('error', () => {});
    void pass(request, response)
      .catch(() => request.socket.destroy())
      .finally(() => atOnce--);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    calls,
    trouble: (one) => troubles.push({ ...one, left: one.times ?? 1 }),
    forget: () => void troubles.splice(0),
    mostAtOnce: () => most,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
