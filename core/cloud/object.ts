/** What Cloud Storage knows of an object. https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
import { BorealisError } from '../errors.ts';

export interface StorageObject {
  name: string;
  size: number;
  updated: Date | null;
  /** Another one for each content that the name has had. */
  generation: string;
  /** base64 */
  crc32c: string | null;
  /** Stored packed by gzip, to be read unpacked. */
  packed: boolean;
  /** What its owner says of it. */
  metadata: Record<string, string>;
}

/** What is said of an object when it is stored. */
export interface Said {
  name: string;
  contentType: string;
  metadata?: Record<string, string>;
}

/** An object as the API tells of it: numbers beyond 32 bits are text. */
export interface ObjectResource {
  name: string;
  size?: string;
  updated?: string;
  generation?: string;
  crc32c?: string;
  contentEncoding?: string;
  metadata?: Record<string, string>;
}

/** The fields of a resource that are used here: a list of 1,000 is 200 kB instead of 900. */
export const OBJECT_FIELDS = 'name,size,updated,generation,crc32c,contentEncoding,metadata';

export function objectOf(resource: ObjectResource): StorageObject {
  return {
    name: resource.name,
    size: Number(resource.size ?? 0),
    updated: resource.updated ? new Date(resource.updated) : null,
    generation: resource.generation ?? '',
    crc32c: resource.crc32c ?? null,
    packed: resource.contentEncoding === 'gzip',
    metadata: resource.metadata ?? {},
  };
}

export const bucketPath = (bucket: string) => `/storage/v1/b/${encodeURIComponent(bucket)}`;
export const objectPath = (bucket: string, name: string) =>
  `${bucketPath(bucket)}/o/${encodeURIComponent(name)}`;
export const uploadPath = (bucket: string) => `/upload${bucketPath(bucket)}/o`;

/** Where gsutil and gcloud, too, keep the permissions of a file: octal digits in the metadata. */
const MODE = 'goog-reserved-posix-mode';
/** What a file has that nobody thought about: this need not be said. */
export const USUAL_MODE = 0o644;

export function modeMetadata(mode: number): Record<string, string> {
  const permissions = mode & 0o777;
  return permissions === USUAL_MODE ? {} : { [MODE]: `0${permissions.toString(8).padStart(3, '0')}` };
}

/** The permissions that a file of this object has; whoever fetched it may read it. */
export function modeOf({ metadata }: StorageObject): number {
  const text = metadata[MODE] ?? '';
  const mode = /^0?[0-7]{3,6}$/.test(text) ? Number.parseInt(text, 8) & 0o777 : USUAL_MODE;
  return mode | 0o400;
}

/** Splits `bucket/path`, or `gs://bucket/path`. */
export function parseStoragePath(text: string): { bucket: string; path: string } {
  const [, bucket = '', path = ''] = /^(?:gs:\/\/)?([^/]*)\/?(.*)$/s.exec(text) ?? [];
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(bucket))
    throw new BorealisError(
      `'${text}' is no storage path: it begins with a bucket's name, as in gs://bucket/folder`,
    );
  return { bucket, path };
}
