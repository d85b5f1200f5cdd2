/** One file to one object: small ones in one request, large ones in pieces (resumable.ts). */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { BorealisError } from '../errors.ts';
import { crc32c, crcText } from './crc32c.ts';
import { readAll, readNow } from './file_blocks.ts';
import {
  modeMetadata,
  OBJECT_FIELDS,
  type ObjectResource,
  objectOf,
  type Said,
  type StorageObject,
  uploadPath,
} from './object.ts';
import { storePieces } from './resumable.ts';
import type { Request } from './storage_api.ts';
import { mismatchOf, type UploadOptions, type Wire, wholeAgain } from './wire.ts';

/** So many bytes are read here and now: to have a thread do it takes longer than that. */
const SMALL_BYTES = 128 * 1024;

/** Stores a file with its permissions. The server checks the bytes before the object appears. */
export async function upload(
  wire: Wire,
  path: string,
  bucket: string,
  name: string,
  o: UploadOptions,
): Promise<StorageObject> {
  // What is no file may keep whoever opens it waiting: it must not be this thread.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw new BorealisError(`${path} is no regular file`);
    const source = { fd, path, size: found.size };
    const said = {
      name,
      contentType: Bun.file(name).type,
      metadata: { ...o.metadata, ...modeMetadata(found.mode) },
    };
    if (source.size > wire.pieceBytes)
      return await wholeAgain(() => storePieces(wire, source, bucket, said, o));
    return await wire.budget.spend(source.size, async () => {
      const bytes = Buffer.allocUnsafe(source.size);
      if (bytes.length <= SMALL_BYTES) readNow(source, bytes);
      else await readAll(source, bytes, 0);
      return await storeBytes(wire, bytes, bucket, said, o);
    });
  } finally {
    closeSync(fd);
  }
}

/** Stores bytes in one request. */
export async function storeBytes(
  wire: Wire,
  bytes: Uint8Array,
  bucket: string,
  said: Said,
  o: UploadOptions,
): Promise<StorageObject> {
  const boundary = `borealis-${crypto.randomUUID()}`;
  const checked = { ...said, crc32c: crcText(crc32c(bytes)) };
  const body = Buffer.concat([
    Buffer.from(
      `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(checked)}\r\n--${boundary}\r\ncontent-type: ${said.contentType}\r\n\r\n`,
    ),
    bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  const request: Request = {
    method: 'POST',
    path: uploadPath(bucket),
    query: { uploadType: 'multipart', fields: OBJECT_FIELDS, ifGenerationMatch: o.generation },
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body,
    signal: o.signal,
  };
  const send = () => wire.again(() => wire.api.json<ObjectResource>(request).catch(mismatchOf), o);
  const stored = await wholeAgain(send);
  o.onBytes?.(bytes.length);
  return objectOf(stored);
}
