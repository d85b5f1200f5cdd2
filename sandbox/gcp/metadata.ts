/** A VM's metadata server: one listener on a port of its own. https://cloud.google.com/compute/docs/metadata/overview */
import type { Server } from 'bun';

export type Tree = { [key: string]: Tree | string | number | null };

/** The tree below computeMetadata/v1, and the wish to hear of changes. */
export class Metadata {
  #etag = 1;
  #waiting = new Set<() => void>();
  #server: Server<undefined>;

  constructor(
    /** Makes the tree anew for each request: what is true now. */
    readonly tree: () => Tree,
    hostname = '127.0.0.1',
  ) {
    this.#server = Bun.serve({
      hostname,
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get host(): string {
    return `${this.#server.hostname}:${this.#server.port}`;
  }

  /** Tells everybody who waits that something has changed. */
  changed(): void {
    this.#etag++;
    for (const wake of [...this.#waiting]) wake();
  }

  async stop(): Promise<void> {
    for (const wake of [...this.#waiting]) wake();
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (request.headers.get('metadata-flavor') !== 'Google')
      return plain('Missing Metadata-Flavor:Google header.', 403);
    // A request that a proxy passed on could come from anywhere.
    if (request.headers.has('x-forwarded-for'))
      return plain('Requests with X-Forwarded-For are refused.', 403);
    if (url.pathname === '/') return plain('computeMetadata/\n');
    if (!url.pathname.startsWith('/computeMetadata/v1')) return plain('Not found', 404);
    const path = url.pathname.slice('/computeMetadata/v1'.length);
    if (url.searchParams.get('wait_for_change') === 'true') await this.#wait(url, request.signal);
    return this.#value(path, url.searchParams);
  }

  /** Holds until the metadata change; `last_etag` of another time than now answers at once. */
  async #wait(url: URL, signal: AbortSignal): Promise<void> {
    const last = url.searchParams.get('last_etag');
    if (last !== null && last !== this.etag) return;
    const seconds = Number(url.searchParams.get('timeout_sec') ?? 0);
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = seconds > 0 ? setTimeout(done, seconds * 1000) : undefined;
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  get etag(): string {
    return this.#etag.toString(16).padStart(16, '0');
  }

  #value(path: string, query: URLSearchParams): Response {
    const parts = path.split('/').filter(Boolean);
    let node: Tree | string | number | null | undefined = this.tree();
    for (const part of parts)
      node =
        isTree(node) && Object.hasOwn(node, decodeURIComponent(part))
          ? node[decodeURIComponent(part)]
          : undefined;
    if (node === undefined || node === null) return plain('Not found', 404, this.etag);
    if (!isTree(node)) {
      const wantsJson = query.get('alt') === 'json';
      return wantsJson ? this.#json(node) : plain(String(node), 200, this.etag);
    }
    if (query.get('recursive') === 'true') {
      return query.get('alt') === 'text'
        ? plain(lines(node, '').join('\n'), 200, this.etag)
        : this.#json(camelTree(node));
    }
    const names = Object.entries(node).map(([key, value]) => (isTree(value) ? `${key}/` : key));
    return query.get('alt') === 'json'
      ? this.#json(camelTree(node))
      : plain(names.map((name) => `${name}\n`).join(''), 200, this.etag);
  }

  #json(value: unknown): Response {
    return new Response(JSON.stringify(value), { headers: headers('application/json', this.etag) });
  }
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null;

/** In JSON directories have names like `machineType`; attributes and accounts keep theirs. */
function camelTree(tree: Tree, own = true): Tree {
  const camel = (key: string) =>
    own ? key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()) : key;
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [
      camel(key),
      isTree(value) ? camelTree(value, key !== 'attributes' && key !== 'service-accounts') : value,
    ]),
  );
}

function lines(tree: Tree, prefix: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) ? lines(value, `${prefix}${key}/`) : [`${prefix}${key} ${value}`],
  );
}

function headers(type: string, etag: string): Record<string, string> {
  return { 'content-type': type, 'metadata-flavor': 'Google', server: 'Metadata Server for VM', etag };
}

function plain(text: string, status = 200, etag = '0'): Response {
  return new Response(text, { status, headers: headers('application/text', etag) });
}
