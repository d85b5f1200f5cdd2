/** A large file to one object, in pieces: an upload that breaks goes on where it broke. https://cloud.google.com/storage/docs/resumable-uploads */
import type { Storage as Client } from '@google-cloud/storage';
import { BorealisError } from '../errors.ts';
import { isNotFound, statusOf } from './api_error.ts';
import { crcText } from './crc32c.ts';
import { HELD_BYTES, PieceReader, type Source } from './file_blocks.ts';
import type { LongAnswer } from './long_body.ts';
import { type ObjectResource, objectOf, type Said, type StorageObject } from './object.ts';
import { parsedText } from './storage_api.ts';
import { Mismatch, mismatchOf, onlyOn, SessionLost, type UploadOptions, type Wire } from './wire.ts';

/** Of a file, from one byte up to another. */
interface Piece {
  at: number;
  end: number;
}

/** How far a resumable upload has come: the server has the first `kept` bytes, or all, and the object is there. */
type Standing = { kept: number } | { stored: ObjectResource };

/** Google takes pieces that are multiples of this; but for the last. */
const QUANTUM = 256 * 1024;
/** The last piece tells the checksum of all: what is in it is read before, to be summed. Not more than costs less than a request. */
const MOST_READ_TWICE = 64 * QUANTUM;

export async function storePieces(
  wire: Wire,
  source: Source,
  bucket: string,
  said: Said,
  o: UploadOptions,
): Promise<StorageObject> {
  const { size } = source;
  const session = await wire.again(() => begin(wire, bucket, said, size, o), o);
  for (let at = 0, crc = 0; ; ) {
    const piece = { at, end: pieceEnd(at, size, wire.storePieceBytes) };
    const standing = await wire.budget.spend(HELD_BYTES, async () => {
      const reader = new PieceReader(source, crc, at);
      const next = await wire.again(once(wire, session, reader, piece, o.signal), o);
      const kept = 'stored' in next ? size : next.kept;
      crc = await reader.sumTo(kept);
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

/** Where the piece that begins at `at` ends. What is left over for the last one is little. */
export function pieceEnd(at: number, size: number, mostBytes: number): number {
  const left = size - at;
  if (left <= Math.min(mostBytes, MOST_READ_TWICE)) return size;
  return at + Math.min(mostBytes, Math.floor((left - 1) / QUANTUM) * QUANTUM);
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

/** Sends one piece; called again, asks first how much of it the server has: only it knows what came before a connection broke. */
function once(
  wire: Wire,
  session: string,
  reader: PieceReader,
  { at, end }: Piece,
  signal?: AbortSignal,
): () => Promise<Standing> {
  const { size } = reader.source;
  let sent = false;
  return async () => {
    const put = async (headers: Record<string, string>, length: number) => {
      const blocks = reader.blocks(at, at + length);
      const answer = await wire.api
        .put({ url: new URL(session), headers, length, blocks }, signal)
        .catch(lost);
      return standingIn(answer);
    };
    if (sent) {
      const standing = await put({ 'content-range': `bytes */${size}` }, 0);
      if ('stored' in standing || standing.kept > at) return standing;
      if (standing.kept < at) throw new SessionLost('the server lost what it had');
    }
    sent = true;
    const headers: Record<string, string> = { 'content-range': `bytes ${at}-${end - 1}/${size}` };
    if (end === size) headers['x-goog-hash'] = `crc32c=${crcText(await reader.sumTo(end))}`;
    const standing = await put(headers, end - at);
    if ('stored' in standing || standing.kept > at) return standing;
    // Passing: it is asked again, a little later.
    throw new Error('Cloud Storage timed out: it kept nothing of a piece');
  };
}

function standingIn({ status, headers, text }: LongAnswer): Standing {
  if (status !== 308) return { stored: parsedText<ObjectResource>(text) };
  const last = /^bytes=0-(\d+)$/.exec(String(headers.range ?? ''))?.[1];
  return { kept: last === undefined ? 0 : Number(last) + 1 };
}

function lost(thrown: unknown): never {
  if (isNotFound(thrown) || statusOf(thrown) === 410) throw new SessionLost('the server forgot the upload');
  return mismatchOf(thrown);
}
