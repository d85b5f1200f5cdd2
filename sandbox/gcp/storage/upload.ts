/** The three ways of uploading: media, multipart, resumable. https://cloud.google.com/storage/docs/uploads-downloads */
import { closeSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import {
  ApiError,
  badRequest,
  bodyOf,
  type Call,
  errorAnswer,
  json,
  notFound,
  type Router,
} from '../http.ts';
import {
  type Bytes,
  type Checksums,
  type Objects,
  type Preconditions,
  SMALL,
  type StoredObject,
  writeAll,
} from './objects.ts';
import { preconditions, resourceOf } from './resources.ts';

/** Google keeps the bytes of an unfinished upload in multiples of this. */
const QUANTUM = 256 * 1024;

interface Session {
  id: string;
  bucket: string;
  name: string;
  meta: Record<string, unknown>;
  wanted: Preconditions;
  /** Bytes so far, in this file. */
  path: string;
  received: number;
  /** Of all of them. */
  sums: Checksums;
  /** Of the whole quanta among them: what came after may have to come again. */
  kept: Checksums;
  finished: StoredObject | null;
}

export class Uploads {
  readonly #sessions = new Map<string, Session>();

  constructor(
    readonly objects: Objects,
    readonly origin: () => string,
  ) {}

  routes(router: Router): void {
    for (const base of ['/upload/storage/v1/b/:bucket/o', '/resumable/upload/storage/v1/b/:bucket/o']) {
      router
        .on('POST', base, (call) => this.#begin(call))
        .on('PUT', base, (call) => this.#continue(call))
        .on('DELETE', base, (call) => this.#cancel(call));
    }
  }

  async #begin(call: Call): Promise<Response> {
    const { query, request, params } = call;
    const bucket = params.bucket ?? '';
    this.objects.requireBucket(bucket);
    switch (query.get('uploadType')) {
      case 'media':
        return await this.#media(call, bucket);
      case 'multipart':
        return await this.#multipart(call, bucket);
      case 'resumable':
        return await this.#resumable(request, query, bucket);
      default:
        throw badRequest(`Invalid uploadType: '${query.get('uploadType')}'`);
    }
  }

  async #media({ request, query }: Call, bucket: string): Promise<Response> {
    const name = query.get('name');
    if (!name) throw new ApiError(400, 'required', 'Required');
    const wanted = preconditions(query);
    const blob = await this.objects.receive(bodyChunks(request));
    const meta = {
      contentType: request.headers.get('content-type') ?? undefined,
      ...hashesIn(request.headers),
    };
    return this.#put(bucket, name, blob, meta, wanted);
  }

  #put(
    bucket: string,
    name: string,
    bytes: Bytes,
    meta: Record<string, unknown>,
    wanted: Preconditions,
  ): Response {
    return json(resourceOf(this.objects.put(bucket, name, bytes, meta, wanted), this.origin()));
  }

  async #multipart({ request, query }: Call, bucket: string): Promise<Response> {
    const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/.exec(request.headers.get('content-type') ?? '');
    const mark = boundary?.[1] ?? boundary?.[2];
    if (!mark) throw badRequest('multipart upload: the content type has no boundary');
    const parts = new MultipartReader(bodyChunks(request), mark);
    const head = await parts.metadata();
    const meta = parseMeta(head.text);
    const wanted = preconditions(query);
    const blob = await this.objects.receive(parts.content());
    return this.#put(
      bucket,
      String(query.get('name') ?? meta.name ?? ''),
      blob,
      { contentType: parts.contentType, ...meta },
      wanted,
    );
  }

  async #resumable(request: Request, query: URLSearchParams, bucket: string): Promise<Response> {
    const id = crypto.randomUUID();
    const meta = await bodyOf(request);
    const name = String(query.get('name') ?? meta.name ?? '');
    if (!name) throw new ApiError(400, 'required', 'Required');
    // Asked again at the end: who would lose need not send it all first.
    this.objects.check(bucket, name, preconditions(query));
    const type = request.headers.get('x-upload-content-type');
    const path = this.objects.path(`${id}.part`);
    closeSync(openSync(path, 'w'));
    const sums = this.objects.sums();
    this.#sessions.set(id, {
      id,
      bucket,
      name,
      meta: { ...(type && { contentType: type }), ...meta },
      wanted: preconditions(query),
      path,
      received: 0,
      sums,
      kept: sums.copy(),
      finished: null,
    });
    const location = `${this.origin()}/upload/storage/v1/b/${encodeURIComponent(bucket)}/o?uploadType=resumable&name=${encodeURIComponent(name)}&upload_id=${id}`;
    return new Response(null, { headers: { location, 'x-guploader-uploadid': id } });
  }

  /** A piece of a resumable upload, or (bytes `*`) the question how much has arrived. */
  async #continue({ request, query }: Call): Promise<Response> {
    const session = this.#sessions.get(query.get('upload_id') ?? '');
    if (!session) throw notFound('No such upload session');
    if (session.finished) return json(resourceOf(session.finished, this.origin()));
    const header = request.headers.get('content-range') ?? '';
    const [, range, from, to, total] = /^bytes (\*|(\d+)-(\d+|\*))\/(\d+|\*)$/.exec(header) ?? [];
    if (header && range === undefined) throw badRequest(`Invalid Content-Range: '${header}'`);
    const start = range && range !== '*' ? Number(from) : 0;
    const known = total === undefined || total === '*' ? null : Number(total);
    if (range !== '*') {
      if (start > session.received)
        return errorAnswer(
          503,
          'backendError',
          `Invalid request.  According to the Content-Range header, the upload offset is ${start} byte(s), which exceeds already uploaded size of ${session.received} byte(s).`,
        );
      await this.#append(session, request.body ?? empty(), start);
      // No header, or `bytes 0-*/*`: the end of the request is the end of the object.
      if (!header || (to === '*' && known === null)) return await this.#finish(session, request.headers);
    }
    if (known !== null && session.received >= known) return await this.#finish(session, request.headers);
    keepWholeQuanta(session);
    return incomplete(session.received);
  }

  /** What has come when a connection breaks is kept, in whole quanta. */
  async #append(session: Session, body: AsyncIterable<Uint8Array>, start: number): Promise<void> {
    const file = openSync(session.path, 'r+');
    let whole = false;
    try {
      let at = start;
      for await (const chunk of body) {
        // What arrived before the connection broke is sent again by some clients: it is skipped.
        const skip = Math.max(0, Math.min(chunk.byteLength, session.received - at));
        writeAll(file, chunk.subarray(skip), at + skip);
        sum(session, chunk.subarray(skip));
        at += chunk.byteLength;
        session.received = Math.max(session.received, at);
      }
      whole = true;
    } finally {
      if (!whole) keepWholeQuanta(session);
      closeSync(file);
    }
  }

  async #finish(session: Session, headers: Headers): Promise<Response> {
    const blob = await this.objects.adopt(session.path, session.sums);
    const meta = { ...session.meta, ...hashesIn(headers) };
    try {
      session.finished = this.objects.put(session.bucket, session.name, blob, meta, session.wanted);
    } catch (thrown) {
      // It can only be begun again.
      this.#sessions.delete(session.id);
      throw thrown;
    }
    return json(resourceOf(session.finished, this.origin()));
  }

  async #cancel({ query }: Call): Promise<Response> {
    const id = query.get('upload_id') ?? '';
    const session = this.#sessions.get(id);
    if (!session) throw notFound('No such upload session');
    this.#sessions.delete(id);
    await rm(session.path, { force: true });
    return new Response(null, { status: 499 });
  }
}

function sum(session: Session, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const part = bytes.subarray(at, at + QUANTUM - (session.sums.size % QUANTUM));
    session.sums.update(part);
    if (session.sums.size % QUANTUM === 0) session.kept = session.sums.copy();
    at += part.length;
  }
}

function keepWholeQuanta(session: Session): void {
  session.sums = session.kept.copy();
  session.received = session.sums.size;
}

/** 308 with what has arrived; no Range header means nothing. */
function incomplete(received: number): Response {
  return new Response(null, {
    status: 308,
    headers: received > 0 ? { range: `bytes=0-${received - 1}` } : {},
  });
}

async function* empty(): AsyncGenerator<Uint8Array> {}

/** A body as it comes; a small one at once, for to pass on a stream of one chunk costs more than all else that is done with it. */
function bodyChunks(request: Request): AsyncIterable<Uint8Array> {
  const length = request.headers.get('content-length');
  if (length === null || Number(length) > SMALL) return request.body ?? empty();
  return (async function* () {
    yield new Uint8Array(await request.arrayBuffer());
  })();
}

function hashesIn(headers: Headers): { crc32c?: string; md5Hash?: string } {
  const found = Object.fromEntries(
    [...(headers.get('x-goog-hash') ?? '').matchAll(/(crc32c|md5)=([^,\s]+)/g)].map((m) => [m[1], m[2]]),
  );
  return { ...(found.crc32c && { crc32c: found.crc32c }), ...(found.md5 && { md5Hash: found.md5 }) };
}

function parseMeta(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new ApiError(400, 'parseError', 'Parse Error: the first part must be JSON');
  }
}

/** Reads a multipart/related body of two parts: JSON, then the content, which is passed on as it comes. */
class MultipartReader {
  contentType: string | undefined;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #mark: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>, boundary: string) {
    this.#source = body[Symbol.asyncIterator]();
    this.#mark = Buffer.from(`\r\n--${boundary}`);
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done) return false;
    this.#held = Buffer.concat([this.#held, next.value]);
    return true;
  }

  async #until(mark: Buffer): Promise<Buffer> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      if (at >= 0) {
        const before = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + mark.length);
        return before;
      }
      if (!(await this.#more())) throw badRequest('multipart upload: the body ends too early');
    }
  }

  async metadata(): Promise<{ text: string }> {
    await this.#until(Buffer.from('\r\n\r\n'));
    const text = (await this.#until(this.#mark)).toString('utf8');
    const head = (await this.#until(Buffer.from('\r\n\r\n'))).toString('utf8');
    this.contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim();
    return { text };
  }

  /** The second part, held back by as much as the closing boundary is long. */
  async *content(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.#held.indexOf(this.#mark);
      if (at >= 0) {
        if (at > 0) yield this.#held.subarray(0, at);
        while ((await this.#source.next()).done !== true) {}
        return;
      }
      const safe = this.#held.length - this.#mark.length;
      if (safe > 0) {
        yield this.#held.subarray(0, safe);
        this.#held = this.#held.subarray(safe);
      }
      if (!(await this.#more())) throw badRequest('multipart upload: the closing boundary is missing');
    }
  }
}
