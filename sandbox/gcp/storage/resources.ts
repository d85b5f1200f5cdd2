import { badRequest } from '../http.ts';
import type { Preconditions, StoredObject } from './objects.ts';

/** An object as the JSON API tells of it: numbers beyond 32 bits are text. */
export function resourceOf(object: StoredObject, origin: string): Record<string, unknown> {
  const path = `${encodeURIComponent(object.bucket)}/o/${encodeURIComponent(object.name)}`;
  return {
    kind: 'storage#object',
    id: `${object.bucket}/${object.name}/${object.generation}`,
    selfLink: `${origin}/storage/v1/b/${path}`,
    mediaLink: `${origin}/download/storage/v1/b/${path}?generation=${object.generation}&alt=media`,
    name: object.name,
    bucket: object.bucket,
    generation: String(object.generation),
    metageneration: String(object.metageneration),
    storageClass: 'STANDARD',
    ...object.said,
    size: String(object.size),
    ...(object.md5 && { md5Hash: object.md5 }),
    crc32c: object.crc32c,
    etag: etagOf(object),
    ...(object.componentCount && { componentCount: object.componentCount }),
    timeCreated: object.created,
    updated: object.updated,
    timeStorageClassUpdated: object.created,
    timeFinalized: object.created,
  };
}

export function etagOf({ generation, metageneration }: StoredObject): string {
  return Buffer.from(`${generation}/${metageneration}`).toString('base64');
}

/** The preconditions in a request's query. */
export function preconditions(query: URLSearchParams, prefix = 'if'): Preconditions {
  const number = (name: string) => {
    const text = query.get(name);
    if (text === null) return undefined;
    if (!/^\d+$/.test(text)) throw badRequest(`Invalid value for ${name}: '${text}'`);
    return Number(text);
  };
  return {
    ifGenerationMatch: number(`${prefix}GenerationMatch`),
    ifGenerationNotMatch: number(`${prefix}GenerationNotMatch`),
    ifMetagenerationMatch: number(`${prefix}MetagenerationMatch`),
    ifMetagenerationNotMatch: number(`${prefix}MetagenerationNotMatch`),
  };
}
