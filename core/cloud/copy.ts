/** One object under a second name, copied by the server itself. */
import { parsed } from './google_storage.ts';
import { OBJECT_FIELDS, type ObjectResource, objectOf, type StorageObject } from './object.ts';
import { onlyOn, type UploadOptions, type Wire } from './wire.ts';

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

/**
 * Copies an object, with what is said of it and `metadata` besides. Refused with 404 when it has another generation by now, and
 * with 412 as an upload. The library's own `copy` forgets condition and metadata when one request is not enough (7.22).
 */
export async function copy(
  wire: Wire,
  bucket: string,
  from: StorageObject,
  toBucket: string,
  toName: string,
  o: UploadOptions,
): Promise<StorageObject> {
  const said = o.metadata && {
    contentType: Bun.file(toName).type,
    ...(from.packed && { contentEncoding: 'gzip' }),
    metadata: { ...from.metadata, ...o.metadata },
  };
  for (let rewriteToken: string | undefined; ; ) {
    const request = {
      method: 'POST' as const,
      uri: `/rewriteTo/b/${encodeURIComponent(toBucket)}/o/${encodeURIComponent(toName)}`,
      qs: {
        ...(from.generation && { sourceGeneration: from.generation }),
        ...onlyOn(o.generation),
        ...(rewriteToken && { rewriteToken }),
        fields: `done,rewriteToken,resource(${OBJECT_FIELDS})`,
      },
      json: said ?? {},
    };
    const step = () => wire.google.ask((client) => client.bucket(bucket).file(from.name).request(request), o);
    const answer = parsed<Rewritten>((await wire.again(step, o))[0]);
    if (answer.done && answer.resource) return objectOf(answer.resource);
    rewriteToken = answer.rewriteToken;
  }
}
