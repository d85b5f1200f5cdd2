/**
 * Secret Manager, as far as a worker's password needs it: secrets with versions, in memory alone.
 * https://cloud.google.com/secret-manager/docs/reference/rest
 */
import { ApiError, bodyOf, type Call, json, notFound, type Router } from './http.ts';

export class Secrets {
  /** Versions by `projects/P/secrets/S`, the first one first. */
  readonly #versions = new Map<string, Buffer[]>();

  constructor(readonly project: string) {}

  routes(router: Router): void {
    const root = '/v1/projects/:project/secrets';
    router
      .on('POST', root, (call) => this.#create(call))
      .on('POST', `${root}/:secret`, (call) => this.#addVersion(call))
      .on('GET', `${root}/:secret/versions/:version`, (call) => this.#access(call));
  }

  #create({ params, query }: Call): Response {
    const name = this.#nameOf(params.project, query.get('secretId') ?? '');
    if (this.#versions.has(name))
      throw new ApiError(409, 'alreadyExists', `Secret [${name}] already exists.`);
    this.#versions.set(name, []);
    return json({ name });
  }

  async #addVersion({ request, params }: Call): Promise<Response> {
    const [secret = '', verb] = (params.secret ?? '').split(':');
    if (verb !== 'addVersion') throw notFound(`Unknown verb '${verb}'`);
    const { payload } = (await bodyOf(request)) as { payload?: { data?: string } };
    return json({ name: this.add(secret, Buffer.from(payload?.data ?? '', 'base64')), state: 'ENABLED' });
  }

  /** Adds a version to a secret, which is made when it is not there. Returns the version's name. */
  add(secret: string, value: string | Buffer): string {
    const name = this.#nameOf(this.project, secret);
    const versions = this.#versions.get(name) ?? [];
    this.#versions.set(name, versions);
    return `${name}/versions/${versions.push(Buffer.from(value))}`;
  }

  #access({ params }: Call): Response {
    const [version = '', verb] = (params.version ?? '').split(':');
    if (verb !== 'access') throw notFound(`Unknown verb '${verb}'`);
    const name = this.#nameOf(params.project, params.secret ?? '');
    const versions = this.#versions.get(name) ?? [];
    const number = version === 'latest' ? versions.length : Number(version);
    const value = versions[number - 1];
    if (!value) throw notFound(`Secret Version [${name}/versions/${version}] not found or has no versions.`);
    const payload = { data: value.toString('base64'), dataCrc32c: String(crc32c(value)) };
    return json({ name: `${name}/versions/${number}`, payload });
  }

  #nameOf(project = '', secret: string): string {
    if (project !== this.project) throw notFound(`Project [${project}] was not found.`);
    return `projects/${project}/secrets/${secret}`;
  }
}

/** CRC-32 by Castagnoli's polynomial, bit by bit: secrets are short. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
