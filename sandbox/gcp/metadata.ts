/** A VM's metadata server: one listener on a port of its own. https://cloud.google.com/compute/docs/metadata/overview */
import type { Server } from 'bun';
import type { Faults } from './faults.ts';

/** TypeScript 7.0 does not know it yet. */
const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };

/** A value that is JSON whoever asks for it. What is `apart` is not told with its directory, as a token. */
export class JsonValue {
  constructor(
    readonly value: unknown,
    readonly apart = false,
  ) {}
}

/** Lists are one value a line as text. */
type Value = string | number | bigint | readonly string[] | JsonValue;
export type Tree = { [key: string]: Tree | Value };

/** The tree below computeMetadata/v1, and the wish to hear of changes. */
export class Metadata {
  #waiting = new Set<() => void>();
  #server: Server<undefined>;

  constructor(
    /** Makes the tree anew for each request: what is true now. */
    readonly tree: () => Tree,
    faults: Faults,
    hostname = '127.0.0.1',
  ) {
    this.#server = Bun.serve({
      hostname,
      port: 0,
      idleTimeout: 0,
      fetch: (request) => {
        const call = `${request.method} ${new URL(request.url).pathname}`;
        return faults.around('metadata', call, () => this.#answer(request));
      },
    });
  }

  get host(): string {
    return `${this.#server.hostname}:${this.#server.port}`;
  }

  /** Wakes everybody who waits: something has changed. */
  changed(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
    this.changed();
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    // Without the header too: it is how programs find out that this is a VM.
    if (url.pathname === '/') return plain('computeMetadata/\n');
    if (request.headers.get('metadata-flavor') !== 'Google')
      return plain('Missing Metadata-Flavor:Google header.', 403);
    // A request that a proxy passed on could come from anywhere.
    if (request.headers.has('x-forwarded-for'))
      return plain('Requests with X-Forwarded-For are refused.', 403);
    if (request.method !== 'GET' && request.method !== 'HEAD') return plain('Method not allowed', 405);
    const [, path] = /^\/computeMetadata\/v1(?:\/(.*))?$/.exec(url.pathname) ?? [];
    if (path === undefined && !url.pathname.endsWith('/v1')) return plain('Not found', 404);
    const find = () => this.#find(path ?? '');
    let found = find();
    if (found === undefined) return plain('Not found', 404);
    if (isTree(found) !== url.pathname.endsWith('/')) {
      if (!isTree(found)) return plain('Not found', 404);
      const location = `${url.origin}${url.pathname}/${url.search}`;
      return new Response(`${url.pathname}/`, {
        status: 301,
        headers: { ...headers('text/html', ''), location },
      });
    }
    if (url.searchParams.get('wait_for_change') === 'true') {
      const last = url.searchParams.get('last_etag') ?? etagOf(found);
      const seconds = Number(url.searchParams.get('timeout_sec') ?? 0);
      await this.#until(() => etagOf(find()) !== last, seconds * 1000, request.signal);
      found = find();
      if (found === undefined) return plain('Not found', 404);
    }
    return show(found, path ?? '', url.searchParams);
  }

  #find(path: string): Tree | Value | undefined {
    let node: Tree | Value | undefined = this.tree();
    for (const part of path.split('/').filter(Boolean)) {
      const key = decodeURIComponent(part);
      node = isTree(node) && Object.hasOwn(node, key) ? node[key] : undefined;
    }
    return node;
  }

  /** Returns when `changed` says so, the time (0: none) is over, or the client has gone. */
  async #until(changed: () => boolean, ms: number, client: AbortSignal): Promise<void> {
    if (changed()) return;
    const over = Promise.withResolvers<void>();
    const wake = () => {
      if (changed()) over.resolve();
    };
    const timer = ms > 0 ? setTimeout(over.resolve, ms) : undefined;
    client.addEventListener('abort', () => over.resolve(), { once: true });
    this.#waiting.add(wake);
    await over.promise;
    this.#waiting.delete(wake);
    clearTimeout(timer);
  }
}

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !(value instanceof JsonValue) && !Array.isArray(value);

/** The answer for a value or a directory. */
function show(found: Tree | Value, path: string, query: URLSearchParams): Response {
  const etag = etagOf(found);
  const recursive = query.get('recursive') === 'true';
  // A directory with all that is below it is JSON unless text is asked for; everything else the other way round.
  const asJson = (query.get('alt') ?? (isTree(found) && recursive ? 'json' : 'text')) === 'json';
  if (found instanceof JsonValue || asJson)
    return new Response(JSON.stringify(jsonOf(found, hasOwnNames(path))), {
      headers: headers('application/json', etag),
    });
  if (!isTree(found)) return plain(textOf(found), 200, etag);
  const lines = recursive
    ? deepLines(found, '')
    : Object.entries(found).map(([key, value]) => (isTree(value) ? `${key}/` : key));
  return plain(lines.map((line) => `${line}\n`).join(''), 200, etag);
}

/** Changes with the value, and with nothing else: whoever waits for one attribute does not hear of another. */
function etagOf(found: Tree | Value | undefined): string {
  return Bun.hash(JSON.stringify(jsonOf(found)) ?? '')
    .toString(16)
    .padStart(16, '0');
}

/** True for directories whose entries people have named. */
function hasOwnNames(path: string): boolean {
  return /(^|\/)(attributes|service-accounts)\/?$/.test(path);
}

/** In JSON, names are like `machineType`, but for those that people gave. */
function jsonOf(value: Tree | Value | undefined, ownNames = false): unknown {
  if (value instanceof JsonValue) return value.value;
  // An id has more digits than JavaScript's numbers.
  if (typeof value === 'bigint') return rawJSON(String(value));
  if (!isTree(value)) return value;
  const camel = (key: string) => key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const told = Object.entries(value).filter(([, inner]) => !(inner instanceof JsonValue && inner.apart));
  return Object.fromEntries(
    told.map(([key, inner]) => [ownNames ? key : camel(key), jsonOf(inner, hasOwnNames(key))]),
  );
}

function textOf(value: Value): string {
  if (Array.isArray(value)) return value.map((line) => `${line}\n`).join('');
  return value instanceof JsonValue ? JSON.stringify(value.value) : String(value);
}

function deepLines(tree: Tree, prefix: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (isTree(value)) return deepLines(value, `${prefix}${key}/`);
    if (value instanceof JsonValue && value.apart) return [];
    return [`${prefix}${key} ${textOf(value).trimEnd()}`];
  });
}

function headers(type: string, etag: string): Record<string, string> {
  return {
    'content-type': type,
    'metadata-flavor': 'Google',
    server: 'Metadata Server for VM',
    ...(etag && { etag }),
  };
}

function plain(text: string, status = 200, etag = ''): Response {
  return new Response(text, { status, headers: headers('application/text', etag) });
}
