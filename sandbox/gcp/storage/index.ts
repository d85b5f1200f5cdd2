/** Cloud Storage's JSON API. https://cloud.google.com/storage/docs/json_api/v1 */
import { link } from 'node:fs/promises';
import { ApiError, badRequest, bodyOf, type Call, json, page, type Router } from '../http.ts';
import { byBytes, checkConditions, Objects, type StoredObject, saidIn } from './objects.ts';
import { etagOf, preconditions, resourceOf } from './resources.ts';
import { Uploads } from './upload.ts';

export class Storage {
  readonly objects: Objects;

  constructor(
    dir: string,
    readonly project: string,
    readonly origin: () => string,
    md5 = true,
  ) {
    this.objects = new Objects(dir, md5);
  }

  routes(router: Router): void {
    const object = '/storage/v1/b/:bucket/o/:object';
    router
      .on('GET', '/storage/v1/b', ({ query }) => this.#listBuckets(query))
      .on('POST', '/storage/v1/b', async ({ request }) => json(this.createBucket(await bodyOf(request))))
      .on('GET', '/storage/v1/b/:bucket', (call) => json(this.#bucket(call, true)))
      .on('PATCH', '/storage/v1/b/:bucket', (call) => this.#patchBucket(call))
      .on('DELETE', '/storage/v1/b/:bucket', (call) => {
        this.objects.deleteBucket(String(this.#bucket(call).name));
        return new Response(null, { status: 204 });
      })
      .on('GET', '/storage/v1/b/:bucket/o', (call) => this.#list(call))
      .on('GET', object, (call) => this.#get(call, call.query.get('alt') === 'media'))
      .on('GET', '/download/storage/v1/b/:bucket/o/:object', (call) => this.#get(call, true))
      .on('PATCH', object, (call) => this.#change(call, (object) => object.said))
      .on('PUT', object, (call) => this.#change(call, () => ({})))
      .on('DELETE', object, (call) => this.#delete(call))
      .on('POST', `${object}/compose`, (call) => this.#compose(call))
      .on('POST', '/storage/v1/b/:bucket/o/:object/rewriteTo/b/:toBucket/o/:toObject', async (call) => {
        const resource = resourceOf(await this.#copy(call), this.origin());
        const sizes = { totalBytesRewritten: resource.size, objectSize: resource.size };
        return json({ kind: 'storage#rewriteResponse', ...sizes, done: true, resource });
      })
      .on('POST', '/storage/v1/b/:bucket/o/:object/copyTo/b/:toBucket/o/:toObject', async (call) =>
        json(resourceOf(await this.#copy(call), this.origin())),
      );
    new Uploads(this.objects, this.origin).routes(router);
  }

  createBucket(body: Record<string, unknown>): Record<string, unknown> {
    const name = String(body.name ?? '');
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
      location: String(body.location ?? 'US').toUpperCase(),
      locationType: /-/.test(String(body.location ?? '')) ? 'region' : 'multi-region',
      storageClass: String(body.storageClass ?? 'STANDARD'),
      ...('labels' in body && { labels: body.labels }),
      generation: String(Date.now() * 1000),
      metageneration: '1',
      etag: 'CAE=',
      timeCreated: now,
      updated: now,
    };
    this.objects.putBucket(name, bucket);
    return bucket;
  }

  #bucket({ params, query }: Call, reading = false): Record<string, unknown> {
    const bucket = this.objects.requireBucket(params.bucket ?? '');
    const there = { generation: Number(bucket.generation), metageneration: Number(bucket.metageneration) };
    checkConditions(there, preconditions(query), reading);
    return bucket;
  }

  #listBuckets(query: URLSearchParams): Response {
    const prefix = query.get('prefix') ?? '';
    const buckets = this.objects.buckets().filter(({ name }) => String(name).startsWith(prefix));
    return json({ kind: 'storage#buckets', ...page(buckets, ({ name }) => String(name), query, 1000) });
  }

  async #patchBucket(call: Call): Promise<Response> {
    const { labels, storageClass } = await bodyOf(call.request);
    const bucket = this.#bucket(call);
    const all = { ...(bucket.labels as object | undefined), ...(labels as object | undefined) };
    const kept = Object.entries(all).filter(([, value]) => value !== null);
    const metageneration = Number(bucket.metageneration) + 1;
    const changed = {
      ...bucket,
      ...(storageClass !== undefined && { storageClass }),
      ...(labels !== undefined && { labels: Object.fromEntries(kept) }),
      updated: new Date().toISOString(),
      metageneration: String(metageneration),
      etag: Buffer.from([8, metageneration]).toString('base64'),
    };
    this.objects.putBucket(String(bucket.name), changed);
    return json(changed);
  }

  /** A page of objects, and with a delimiter the "folders" that stand for what lies deeper. */
  #list({ params, query }: Call): Response {
    const bucket = params.bucket ?? '';
    this.objects.requireBucket(bucket);
    for (const name of ['matchGlob', 'softDeleted', 'filter'])
      if (query.get(name)) throw new ApiError(501, 'notImplemented', `The sandbox has no ${name}`);
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const end = query.get('endOffset');
    const most = Math.min(Number(query.get('maxResults') || 1000), 1000);
    if (!(most >= 1)) throw badRequest(`Invalid value for maxResults: '${query.get('maxResults')}'`);
    const token = query.get('pageToken');
    const after = token ? Buffer.from(token, 'base64url').toString() : '';
    const start = [query.get('startOffset') ?? '', after].sort(byBytes).at(-1) ?? '';
    const items: Record<string, unknown>[] = [];
    const prefixes: string[] = [];
    let last = '';
    let more = false;
    for (const object of this.objects.list(bucket, prefix, start)) {
      if (after && byBytes(object.name, after) <= 0) continue;
      if (end && byBytes(object.name, end) >= 0) break;
      const cut = delimiter ? object.name.indexOf(delimiter, prefix.length) : -1;
      const folder = cut >= 0 ? object.name.slice(0, cut + delimiter.length) : null;
      // What lies deeper is told once, also when the last page ended in the middle of it.
      const told = folder !== null && (prefixes.at(-1) === folder || after.startsWith(folder));
      if (!told) {
        more = items.length + prefixes.length >= most;
        if (more) break;
        if (folder) prefixes.push(folder);
        if (!folder || (query.get('includeTrailingDelimiter') === 'true' && folder === object.name))
          items.push(resourceOf(object, this.origin()));
      }
      last = object.name;
    }
    return json({
      kind: 'storage#objects',
      ...(more && { nextPageToken: Buffer.from(last).toString('base64url') }),
      ...(prefixes.length > 0 && { prefixes }),
      ...(items.length > 0 && { items }),
    });
  }

  #get({ params, query, request }: Call, media: boolean): Response {
    const object = this.objects.generation(params.bucket ?? '', params.object ?? '', query.get('generation'));
    checkConditions(object, preconditions(query), true);
    return media ? this.#media(object, request.headers) : json(resourceOf(object, this.origin()));
  }

  #media(object: StoredObject, asked: Headers): Response {
    const file = Bun.file(this.objects.path(object.blob));
    const { contentType, contentEncoding, contentDisposition, cacheControl, storageClass } = object.said;
    const headers: Record<string, string> = {
      'content-type': contentType ?? 'application/octet-stream',
      'x-goog-generation': String(object.generation),
      'x-goog-metageneration': String(object.metageneration),
      'x-goog-storage-class': storageClass ?? 'STANDARD',
      'x-goog-stored-content-length': String(object.size),
      'x-goog-stored-content-encoding': contentEncoding ?? 'identity',
      'x-goog-hash': [`crc32c=${object.crc32c}`, object.md5 && `md5=${object.md5}`].filter(Boolean).join(','),
      etag: etagOf(object),
      'accept-ranges': 'bytes',
      ...(contentDisposition && { 'content-disposition': contentDisposition }),
      ...(cacheControl && { 'cache-control': cacheControl }),
    };
    // A client that cannot unpack gets plain bytes, the whole of them: a range of packed bytes would be of no use.
    if (contentEncoding === 'gzip' && !/gzip/.test(asked.get('accept-encoding') ?? '')) {
      const plain = file.stream().pipeThrough(new DecompressionStream('gzip'));
      return new Response(plain, { headers: { ...headers, warning: '214 UploadServer gunzipped' } });
    }
    if (contentEncoding) headers['content-encoding'] = contentEncoding;
    const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(asked.get('range') ?? '') ?? [];
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

  /** PATCH lays what the body says over what was said before; PUT says it all anew. */
  async #change(
    { params, request, query }: Call,
    before: (object: StoredObject) => StoredObject['said'],
  ): Promise<Response> {
    const body = await bodyOf(request);
    const object = this.objects.generation(params.bucket ?? '', params.object ?? '', query.get('generation'));
    checkConditions(object, preconditions(query));
    object.said = saidIn(body, before(object));
    object.metageneration++;
    object.updated = new Date().toISOString();
    this.objects.save(object);
    return json(resourceOf(object, this.origin()));
  }

  async #delete({ params, query }: Call): Promise<Response> {
    const { bucket, name } = this.objects.generation(
      params.bucket ?? '',
      params.object ?? '',
      query.get('generation'),
    );
    await this.objects.delete(bucket, name, preconditions(query));
    return new Response(null, { status: 204 });
  }

  async #compose({ params, request, query }: Call): Promise<Response> {
    const bucket = params.bucket ?? '';
    const body = await bodyOf(request);
    const sources = (body.sourceObjects ?? []) as {
      name: string;
      // Python's library writes numbers.
      generation?: string | number;
      objectPreconditions?: { ifGenerationMatch?: string | number };
    }[];
    if (sources.length === 0 || sources.length > 32)
      throw badRequest('The number of source components must be between 1 and 32.');
    const parts = sources.map(({ name, generation, objectPreconditions }) => {
      const part = this.objects.generation(bucket, name, generation);
      const wanted = objectPreconditions?.ifGenerationMatch;
      checkConditions(part, wanted === undefined ? {} : { ifGenerationMatch: Number(wanted) });
      return part;
    });
    const wanted = preconditions(query);
    this.objects.check(bucket, params.object ?? '', wanted);
    const { objects } = this;
    const joined = async function* () {
      for (const part of parts) yield* Bun.file(objects.path(part.blob)).stream();
    };
    const meta = (body.destination ?? {}) as Record<string, unknown>;
    const object = objects.put(bucket, params.object ?? '', await objects.receive(joined()), meta, wanted);
    // Google computes no MD5 for composed objects.
    object.md5 = null;
    object.componentCount = parts.reduce((sum, part) => sum + (part.componentCount ?? 1), 0);
    objects.save(object);
    return json(resourceOf(object, this.origin()));
  }

  /** The same bytes under a second name: files are never changed once they are there. */
  async #copy({ params, request, query }: Call): Promise<StoredObject> {
    const source = this.objects.generation(
      params.bucket ?? '',
      params.object ?? '',
      query.get('sourceGeneration'),
    );
    checkConditions(source, preconditions(query, 'ifSource'));
    const meta = saidIn(await bodyOf(request), source.said);
    const blob = crypto.randomUUID();
    await link(this.objects.path(source.blob), this.objects.path(blob));
    const { size, crc32c, md5, componentCount } = source;
    const bytes = { blob, size, crc32c, md5 };
    const wanted = preconditions(query);
    const object = this.objects.put(params.toBucket ?? '', params.toObject ?? '', bytes, { ...meta }, wanted);
    if (componentCount) this.objects.save(Object.assign(object, { componentCount }));
    return object;
  }
}
