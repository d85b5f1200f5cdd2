/** One file to one object: small ones in one request, large ones in pieces, so that a broken upload goes on where it broke. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Storage as Client } from '@google-cloud/storage';
import { BorealisError } from '../errors.ts';
import { answerOf, isNotFound, statusOf } from './api_error.ts';
import { crc32c, crcText } from './crc32c.ts';
import {
  modeMetadata,
  OBJECT_FIELDS,
  type ObjectResource,
  objectOf,
  type StorageObject,
  uploadPath,
} from './object.ts';
import type { Request } from './storage_api.ts';
import { Mismatch, SessionLost, type TransferOptions, type Wire, wholeAgain } from './wire.ts';

export interface UploadOptions extends TransferOptions {
  /** Store only when the object has this generation, '0': is not there. Else it is refused with 412. */
  generation?: string;
  metadata?: Record<string, string>;
}

/** Stores a file with its permissions. The server checks the bytes before the object appears. */
export async function upload(
  wire: Wire,
  path: string,
  bucket: string,
  name: string,
  o: UploadOptions,
): Promise<StorageObject> {
  await using file = await open(path, 'r');
  const { size, mode } = await file.stat();
  const said = {
    name,
    contentType: Bun.file(name).type,
    metadata: { ...o.metadata, ...modeMetadata(mode) },
  };
  if (size > wire.pieceBytes)
    return await wholeAgain(() => storePieces(wire, { file, path, size }, bucket, said, o));
  return await wire.budget.spend(size, async () => {
    const bytes = await readPiece(file, path, 0, size);
    return await storeBytes(wire, bytes, bucket, said, o);
  });
}

/** What is said of an object when it is stored. */
interface Said {
  name: string;
  contentType: string;
  metadata?: Record<string, string>;
}

/** Stores bytes in one request. */
async function storeBytes(
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

interface Source {
  file: FileHandle;
  path: string;
  size: number;
}

/** How far a resumable upload has come: the server has the first `kept` bytes, or all, and the object is there. */
type Standing = { kept: number } | { stored: ObjectResource };

async function storePieces(
  wire: Wire,
  source: Source,
  bucket: string,
  said: Said,
  o: UploadOptions,
): Promise<StorageObject> {
  const { file, path, size } = source;
  const session = await wire.again(() => begin(wire, bucket, said, size, o), o);
  for (let at = 0, crc = 0; ; ) {
    const length = Math.min(wire.storePieceBytes, size - at);
    const standing = await wire.budget.spend(length, async () => {
      const bytes = await readPiece(file, path, at, length);
      const next = await wire.again(once(wire, session, { at, size, bytes, crc }, o.signal), o);
      const kept = 'stored' in next ? size : next.kept;
      crc = crc32c(bytes.subarray(0, kept - at), crc);
      o.onBytes?.(kept - at);
      at = kept;
      return next;
    });
    if (!('stored' in standing)) continue;
    const { stored } = standing;
    if (!stored.crc32c || stored.crc32c === crcText(crc)) return objectOf(stored);
    // A server that did not look at the checksum: what it stored must not stay.
    const remove = (client: Client) =>
      client
        .bucket(bucket)
        .file(said.name, { generation: stored.generation })
        .delete({ ignoreNotFound: true });
    await wire.again(() => wire.google.ask(remove, o), o);
    o.onBytes?.(-size);
    throw new Mismatch(`its CRC32C should be ${crcText(crc)} and is ${stored.crc32c}`);
  }
}

/** Begins a resumable upload. Returns the address that its pieces go to. */
async function begin(
  { google }: Wire,
  bucket: string,
  { name, contentType, metadata }: Said,
  size: number,
  o: UploadOptions,
): Promise<string> {
  const [session] = await google.ask(
    (client) =>
      client
        .bucket(bucket)
        .file(name)
        .createResumableUpload({
          metadata: { contentType, contentLength: size, metadata },
          preconditionOpts: onlyOn(o.generation),
        }),
    o,
  );
  if (!session) throw new BorealisError('The server began no upload: it named no session');
  return session;
}

/** The condition of a write, as Google's client takes it. */
export function onlyOn(generation: string | undefined): { ifGenerationMatch?: number } {
  return generation === undefined ? {} : { ifGenerationMatch: Number(generation) };
}

/** Sends one piece; called again, asks first how much of it the server has: only it knows what came before a connection broke. */
function once(
  wire: Wire,
  session: string,
  piece: { at: number; size: number; bytes: Uint8Array<ArrayBuffer>; crc: number },
  signal?: AbortSignal,
): () => Promise<Standing> {
  const { at, size, bytes } = piece;
  let sent = false;
  return async () => {
    if (sent) {
      const standing = await put(wire, session, { 'content-range': `bytes */${size}` }, undefined, signal);
      if ('stored' in standing || standing.kept > at) return standing;
      if (standing.kept < at) throw new SessionLost('the server lost what it had');
    }
    sent = true;
    const end = at + bytes.length;
    const headers: Record<string, string> = { 'content-range': `bytes ${at}-${end - 1}/${size}` };
    if (end === size) headers['x-goog-hash'] = `crc32c=${crcText(crc32c(bytes, piece.crc))}`;
    const standing = await put(wire, session, headers, bytes, signal);
    if ('stored' in standing || standing.kept > at) return standing;
    // Passing: it is asked again, a little later.
    throw new Error('Cloud Storage timed out: it kept nothing of a piece');
  };
}

async function put(
  { api }: Wire,
  session: string,
  headers: Record<string, string>,
  body?: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<Standing> {
  const request = { method: 'PUT', path: new URL(session), headers, body, signal };
  const sending = api.ask(request, async (response): Promise<Standing> => {
    const text = await response.text();
    if (response.status !== 308) return { stored: JSON.parse(text) as ObjectResource };
    const last = /^bytes=0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1];
    return { kept: last === undefined ? 0 : Number(last) + 1 };
  });
  return await sending.catch((thrown) => {
    if (isNotFound(thrown) || statusOf(thrown) === 410) throw new SessionLost('the server forgot the upload');
    return mismatchOf(thrown);
  });
}

/** Throws a refusal of bytes as what it is: they were spoilt on the way. */
export function mismatchOf(thrown: unknown): never {
  if (statusOf(thrown) === 400 && /CRC32C|MD5|hash/i.test(answerOf(thrown).message))
    throw new Mismatch('the server got other bytes', { cause: thrown });
  throw thrown;
}

async function readPiece(
  file: FileHandle,
  path: string,
  start: number,
  length: number,
): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) throw new BorealisError(`${path} became shorter while it was stored`);
    done += bytesRead;
  }
  return bytes;
}
