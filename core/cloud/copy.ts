/** One object under a second name, copied by the server itself. */
import { OBJECT_FIELDS, type ObjectResource, objectOf, objectPath, type StorageObject } from './object.ts';
import type { UploadOptions } from './upload.ts';
import type { Wire } from './wire.ts';

const MARK = 'borealis-copy-of';

/** What is kept with a copy: which object it is a copy of, and a copy of a copy too. */
export function copyMetadata(bucket: string, from: StorageObject): Record<string, string> {
  return { [MARK]: originOf(bucket, from) };
}

/** The object that has these bytes first: `bucket/name#generation`. An object that is no copy is its own. */
export function originOf(bucket: string, { name, generation, metadata }: StorageObject): string {
  return metadata[MARK] ?? `${bucket}/${name}#${generation}`;
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite */
interface Rewritten {
  done: boolean;
  /** Large objects between places of storage take several requests. */
  rewriteToken?: string;
  resource?: ObjectResource;
}

/** Copies within a bucket. Refused with 404 when the object has another generation by now, and with 412 as an upload. */
export async function copy(
  wire: Wire,
  bucket: string,
  from: StorageObject,
  name: string,
  said: { contentType: string; metadata: Record<string, string> },
  o: UploadOptions,
): Promise<StorageObject> {
  for (let rewriteToken: string | undefined; ; ) {
    const request = {
      method: 'POST',
      path: `${objectPath(bucket, from.name)}/rewriteTo${objectPath(bucket, name).replace('/storage/v1', '')}`,
      query: {
        sourceGeneration: from.generation,
        ifGenerationMatch: o.generation,
        rewriteToken,
        fields: `done,rewriteToken,resource(${OBJECT_FIELDS})`,
      },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...said, ...(from.packed && { contentEncoding: 'gzip' }) }),
      signal: o.signal,
    };
    const answer = await wire.again(() => wire.api.json<Rewritten>(request), o);
    if (answer.done && answer.resource) return objectOf(answer.resource);
    rewriteToken = answer.rewriteToken;
  }
}
