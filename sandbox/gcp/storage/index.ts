/** Cloud Storage's JSON API. https://cloud.google.com/storage/docs/json_api/v1 */
import { link, rm } from 'node:fs/promises';
import { ApiError, badRequest, bodyOf, type Call, json, notFound, type Router } from '../http.ts';
import { Objects, type StoredObject } from './objects.ts';
import { preconditions, resourceOf } from './resources.ts';
import { Uploads } from './upload.ts';

export class Storage {
  readonly objects: Objects;

  constructor(
    dir: string,
    readonly project: string,
    readonly origin: () => string,
  ) {
    this.objects = new Objects(dir);
  }

  routes(router: Router): void {
    const object = '/storage/v1/b/:bucket/o/:object';
    router
      .on('GET', '/storage/v1/b', () => json({ kind: 'storage#buckets', items: this.objects.buckets() }))
      .on('POST', '/storage/v1/b', async ({ request }) =>
        json(this.createBucket(String((await bodyOf(request)).name ?? ''))),
      )
      .on('GET', '/storage/v1/b/:bucket', ({ params }) =>
        json(this.objects.requireBucket(params.bucket ?? '')),
      )
      .on('PATCH', '/storage/v1/b/:bucket', (call) => this.#patchBucket(call))
      .on('DELETE', '/storage/v1/b/:bucket', ({ params }) => {
        this.objects.deleteBucket(params.bucket ?? '');
        return new Response(null, { status: 204 });
      })
      .on('GET', '/storage/v1/b/:bucket/o', (call) => this.#list(call))
      .on('GET', object, (call) => this.#get(call, call.query.get('alt') === 'media'))
      .on('GET', '/download/storage/v1/b/:bucket/o/:object', (call) => this.#get(call, true))
      .on('PATCH', object, (call) => this.#patch(call))
      .on('DELETE', object, (call) => this.#delete(call))
      .on('POST', `${object}/compose`, (call) => this.#compose(call))
      .on('POST', '/storage/v1/b/:bucket/o/:object/rewriteTo/b/:toBucket/o/:toObject', (call) =>
        this.#copy(call, true),
      )
      .on('POST', '/storage/v1/b/:bucket/o/:object/copyTo/b/:toBucket/o/:toObject', (call) =>
        this.#copy(call, false),
      );
    new Uploads(this.objects, this.origin).routes(router);
  }

  createBucket(name: string): Record<string, unknown> {
    if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(name)) throw badRequest(`Invalid bucket name: '${name}'`);
    if (this.objects.bucket(name))
      throw new ApiError(
        409,
        'conflict',
        'Your previous request to create the named bucket succeeded and you already own it.',
      );
    const now = new Date().toISOString();
    const bucket = {
      kind: 'storage#bucket',
      id: name,
      name,
      selfLink: `${this.origin()}/storage/v1/b/${name}`,
      projectNumber: '123456789012',
      location: 'US-WEST1',
      locationType: 'region',
      storageClass: 'STANDARD',
      metageneration: '1',
      etag: 'CAE=',
      timeCreated: now,
      updated: now,
    };
    this.objects.putBucket(name, bucket);
    return bucket;
  }

  async #patchBucket({ request, params }: Call): Promise<Response> {
    const bucket = this.objects.requireBucket(params.bucket ?? '');
    const { labels } = await bodyOf(request);
    const changed = {
      ...bucket,
      ...(labels !== undefined && { labels }),
      updated: new Date().toISOString(),
      metageneration: String(Number(bucket.metageneration) + 1),
    };
    this.objects.putBucket(params.bucket ?? '', changed);
    return json(changed);
  }

  /** A page of objects, and with a delimiter the "folders" that stand for what lies deeper. */
  #list({ params, query }: Call): Response {
    const bucket = params.bucket ?? '';
    this.objects.requireBucket(bucket);
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const end = query.get('endOffset');
    const most = Math.min(Number(query.get('maxResults') || 1000), 1000);
    const token = query.get('pageToken');
    const after = token ? Buffer.from(token, 'base64url').toString() : '';
    const start = [query.get('startOffset') ?? '', after].sort().at(-1) ?? '';
    const items: Record<string, unknown>[] = [];
    const prefixes: string[] = [];
    let last = '';
    for (const object of this.objects.list(bucket, prefix, start)) {
      if (after && object.name <= after) continue;
      if (end && object.name >= end) break;
      const cut = delimiter ? object.name.indexOf(delimiter, prefix.length) : -1;
      const folder = cut >= 0 ? object.name.slice(0, cut + delimiter.length) : null;
      // The rest of a folder that the last page ended with is not told again.
      if (folder && (prefixes.at(-1) === folder || after.startsWith(folder))) {
        last = object.name;
        continue;
      }
      if (items.length + prefixes.length >= most) {
        const nextPageToken = Buffer.from(last).toString('base64url');
        return json({
          kind: 'storage#objects',
          nextPageToken,
          ...(prefixes.length > 0 && { prefixes }),
          ...(items.length > 0 && { items }),
        });
      }
      if (folder) prefixes.push(folder);
      if (!folder || (query.get('includeTrailingDelimiter') === 'true' && folder === object.name))
        items.push(resourceOf(object, this.origin()));
      last = object.name;
    }
    return json({
      kind: 'storage#objects',
      ...(prefixes.length > 0 && { prefixes }),
      ...(items.length > 0 && { items }),
    });
  }

  #get({ params, query, request }: Call, media: boolean): Response {
    const object = this.objects.require(params.bucket ?? '', params.object ?? '');
    this.objects.check(object.bucket, object.name, preconditions(query));
    const generation = query.get('generation');
    if (generation !== null && Number(generation) !== object.generation)
      throw notFound(`No such object: ${object.bucket}/${object.name}#${generation}`);
    return media
      ? this.#media(object, request.headers.get('range'))
      : json(resourceOf(object, this.origin()));
  }

  #media(object: StoredObject, range: string | null): Response {
    const file = Bun.file(this.objects.path(object.blob));
    const headers: Record<string, string> = {
      'content-type': object.contentType,
      'x-goog-generation': String(object.generation),
      'x-goog-metageneration': String(object.metageneration),
      'x-goog-storage-class': 'STANDARD',
      'x-goog-stored-content-length': String(object.size),
      'x-goog-stored-content-encoding': object.contentEncoding ?? 'identity',
      'x-goog-hash': [`crc32c=${object.crc32c}`, object.md5 && `md5=${object.md5}`].filter(Boolean).join(','),
      etag: Buffer.from(`${object.generation}/${object.metageneration}`).toString('base64'),
      'accept-ranges': 'bytes',
      ...(object.contentEncoding && { 'content-encoding': object.contentEncoding }),
    };
    const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
    if (first === undefined || (first === '' && last === '')) return new Response(file, { headers });
    const from = first === '' ? Math.max(0, object.size - Number(last)) : Number(first);
    const to = first === '' || last === '' ? object.size - 1 : Math.min(Number(last), object.size - 1);
    if (from > to)
      return new Response(null, { status: 416, headers: { 'content-range': `bytes */${object.size}` } });
    return new Response(file.slice(from, to + 1), {
      status: 206,
      headers: { ...headers, 'content-range': `bytes ${from}-${to}/${object.size}` },
    });
  }

  async #patch({ params, request, query }: Call): Promise<Response> {
    const object = this.objects.require(params.bucket ?? '', params.object ?? '');
    this.objects.check(object.bucket, object.name, preconditions(query));
    const body = await bodyOf(request);
    for (const [key, value] of Object.entries((body.metadata ?? {}) as Record<string, string | null>)) {
      if (value === null) delete object.metadata[key];
      else object.metadata[key] = value;
    }
    if (typeof body.contentType === 'string') object.contentType = body.contentType;
    if ('cacheControl' in body) object.cacheControl = (body.cacheControl as string | null) ?? null;
    object.metageneration++;
    object.updated = new Date().toISOString();
    this.objects.save(object);
    return json(resourceOf(object, this.origin()));
  }

  async #delete({ params, query }: Call): Promise<Response> {
    await this.objects.delete(params.bucket ?? '', params.object ?? '', preconditions(query));
    return new Response(null, { status: 204 });
  }

  async #compose({ params, request, query }: Call): Promise<Response> {
    const bucket = params.bucket ?? '';
    const body = await bodyOf(request);
    const sources = (body.sourceObjects ?? []) as { name: string; generation?: string }[];
    if (sources.length === 0 || sources.length > 32)
      throw badRequest('The number of source components must be between 1 and 32.');
    const parts = sources.map(({ name }) => this.objects.require(bucket, name));
    const { objects } = this;
    const joined = async function* () {
      for (const part of parts) yield* Bun.file(objects.path(part.blob)).stream();
    };
    const blob = await objects.receive(joined());
    const object = objects.put(
      bucket,
      params.object ?? '',
      blob,
      (body.destination ?? {}) as Record<string, unknown>,
      preconditions(query),
    );
    // Google computes no MD5 for composed objects.
    object.md5 = null;
    objects.save(object);
    return json(resourceOf(object, this.origin()));
  }

  async #copy({ params, request, query }: Call, rewrite: boolean): Promise<Response> {
    const source = this.objects.require(params.bucket ?? '', params.object ?? '');
    this.objects.check(source.bucket, source.name, preconditions(query, 'ifSource'));
    const meta = await bodyOf(request);
    const blob = crypto.randomUUID();
    // The same bytes under a second name: files are never changed once they are there.
    await link(this.objects.path(source.blob), this.objects.path(blob));
    try {
      const { contentType, contentEncoding, cacheControl, metadata } = source;
      const copied = this.objects.put(
        params.toBucket ?? '',
        params.toObject ?? '',
        { blob, size: source.size, crc32c: source.crc32c, md5: source.md5 ?? '' },
        {
          contentType,
          contentEncoding: contentEncoding ?? undefined,
          cacheControl: cacheControl ?? undefined,
          metadata,
          ...meta,
          crc32c: undefined,
          md5Hash: undefined,
        },
        preconditions(query),
      );
      const resource = resourceOf(copied, this.origin());
      const size = String(copied.size);
      return json(
        rewrite
          ? {
              kind: 'storage#rewriteResponse',
              done: true,
              totalBytesRewritten: size,
              objectSize: size,
              resource,
            }
          : resource,
      );
    } catch (thrown) {
      await rm(this.objects.path(blob), { force: true });
      throw thrown;
    }
  }
}
