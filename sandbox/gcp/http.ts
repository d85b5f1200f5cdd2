/** A small router, and answers in the shape that Google's APIs give. */

export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** `reason` of the error's detail: notFound, conflict, conditionNotMet... */
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

export const badRequest = (message: string) => new ApiError(400, 'invalid', message);
export const notFound = (message: string) => new ApiError(404, 'notFound', message);
export const conditionNotMet = (message: string) => new ApiError(412, 'conditionNotMet', message);

/** A refusal in the shape of Compute and Storage. */
export function errorAnswer(status: number, reason: string, message: string): Response {
  // The body of a 304 is empty by HTTP's rules.
  if (status === 304) return new Response(null, { status });
  const precondition = status === 412 && { locationType: 'header', location: 'If-Match' };
  const errors = [{ message, domain: 'global', reason, ...precondition }];
  return json({ error: { code: status, message, errors } }, status);
}

/** The names of statuses in the shape of younger APIs. https://cloud.google.com/apis/design/errors */
const STATUS_NAMES: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

/** A refusal in the shape of Logging: google.rpc.Status. */
export function rpcErrorAnswer(status: number, message: string): Response {
  return json({ error: { code: status, message, status: STATUS_NAMES[status] ?? 'INTERNAL' } }, status);
}

/** A JSON answer. A large one, as in lists of objects, streams like a small one. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8', ...headers },
  });
}

export interface Call {
  request: Request;
  url: URL;
  query: URLSearchParams;
  /** What the pattern's `:names` stand for, decoded. */
  params: Record<string, string>;
}

export type Handler = (call: Call) => Response | Promise<Response>;

interface Route {
  method: string;
  pattern: RegExp;
  names: string[];
  handler: Handler;
}

/** Routes such as `GET /storage/v1/b/:bucket/o/:object`: `:name` is one segment of the path. */
export class Router {
  readonly #routes: Route[] = [];

  on(method: string, path: string, handler: Handler): this {
    const names: string[] = [];
    const source = path.replace(/(?<=\/):(\w+)/g, (_, name) => {
      names.push(name);
      return '([^/]+)';
    });
    this.#routes.push({ method, pattern: new RegExp(`^${source}$`), names, handler });
    return this;
  }

  /** Answers a request to `url` for `path`, as it is encoded there; null when no route fits. */
  async answer(request: Request, url: URL, path: string): Promise<Response | null> {
    for (const route of this.#routes) {
      if (route.method !== request.method) continue;
      const match = route.pattern.exec(path);
      if (!match) continue;
      try {
        const params: Record<string, string> = {};
        for (const [i, name] of route.names.entries()) params[name] = decodeURIComponent(match[i + 1] ?? '');
        return await route.handler({ request, url, query: url.searchParams, params });
      } catch (thrown) {
        if (thrown instanceof ApiError) return errorAnswer(thrown.status, thrown.reason, thrown.message);
        if (thrown instanceof URIError) return errorAnswer(400, 'invalid', 'The path is not encoded rightly');
        // Nobody hears the answer, and what a broken connection breaks is no fault of the sandbox.
        if (!request.signal.aborted) console.error(`sandbox: ${request.method} ${path}:`, thrown);
        return errorAnswer(500, 'backendError', String(thrown));
      }
    }
    return this.#routes.some(({ pattern }) => pattern.test(path))
      ? errorAnswer(405, 'methodNotAllowed', `${request.method} is not allowed for ${path}`)
      : null;
  }
}

/** The JSON body of a request, packed (as Google's Node library sends it) or plain; an empty one is an empty object. */
export async function bodyOf(request: Request): Promise<Record<string, unknown>> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  try {
    const packed = request.headers.get('content-encoding') === 'gzip' && bytes.length > 0;
    const text = new TextDecoder().decode(packed ? Bun.gunzipSync(bytes) : bytes);
    if (text.trim() === '') return {};
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Answered below.
  }
  throw new ApiError(400, 'parseError', 'Parse Error: the body must be a JSON object');
}

/** One page of `items` in the order of their keys, and the token of the next one: the last key that was told. */
export function page<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  query: URLSearchParams,
  most = 500,
): { items?: T[]; nextPageToken?: string } {
  const asked = query.get('maxResults');
  const size = Number(asked ?? most);
  if (!Number.isInteger(size) || size < 0 || size > most)
    throw badRequest(
      `Invalid value for field 'maxResults': '${asked}'. Values must be in the range: [0, ${most}]`,
    );
  const token = query.get('pageToken');
  const last = token && Buffer.from(token, 'base64url').toString();
  // By keys, not by places: what was deleted meanwhile does not shift the rest.
  const rest = items
    .map((item) => [keyOf(item), item] as const)
    .filter(([key]) => !last || key > last)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = rest.slice(0, size || most);
  const [end] = shown.at(-1) ?? [];
  return {
    ...(shown.length > 0 && { items: shown.map(([, item]) => item) }),
    ...(end !== undefined &&
      shown.length < rest.length && { nextPageToken: Buffer.from(end).toString('base64url') }),
  };
}
