/** One object to one file, in pieces that are fetched side by side; the whole is checked by its CRC32C. */
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, open, rename, rm, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { BorealisError } from '../errors.ts';
import { crc32c, crcText, joinCrc32c } from './crc32c.ts';
import { inLanes } from './in_flight.ts';
import { modeOf, objectPath, type StorageObject, USUAL_MODE } from './object.ts';
import { Mismatch, type TransferOptions, type Wire, wholeAgain } from './wire.ts';

/** Pieces of one object under way at once: what one connection alone cannot carry. */
const PIECES_AT_ONCE = 8;

/**
 * Fetches this generation of an object. It appears under the file's name only when it is there whole and its checksum is
 * right; with the permissions that are kept with it. A crash leaves a `.part-` file in the same folder.
 */
export async function download(
  wire: Wire,
  bucket: string,
  object: StorageObject,
  file: string,
  o: TransferOptions,
): Promise<void> {
  const part = `${file}.part-${crypto.randomUUID().slice(0, 8)}`;
  try {
    const receive = object.size <= wire.pieceBytes ? receiveWhole : receivePieces;
    await wholeAgain(() => receive(wire, bucket, object, part, o));
    if (object.packed) await unpack(part, o.signal);
    if (modeOf(object) !== USUAL_MODE) await chmod(part, modeOf(object));
    await rename(part, file);
  } catch (thrown) {
    await rm(part, { force: true });
    throw thrown;
  }
}

/** A small one: each step on the disk costs as much as its bytes. */
async function receiveWhole(
  wire: Wire,
  bucket: string,
  object: StorageObject,
  part: string,
  o: TransferOptions,
): Promise<void> {
  await wire.budget.spend(object.size, async () => {
    const piece = { start: 0, length: object.size };
    const bytes = await wire.again(() => fetchPiece(wire, bucket, object, piece, o.signal), o);
    check(object, crc32c(bytes));
    await writeFile(part, bytes, { mode: USUAL_MODE });
    o.onBytes?.(bytes.length);
  });
}

interface Piece {
  start: number;
  length: number;
  crc: number;
}

async function receivePieces(
  wire: Wire,
  bucket: string,
  object: StorageObject,
  part: string,
  o: TransferOptions,
): Promise<void> {
  const pieces: Piece[] = [];
  for (let start = 0; start < object.size; start += wire.pieceBytes)
    pieces.push({ start, length: Math.min(wire.pieceBytes, object.size - start), crc: 0 });
  await using file = await open(part, 'w');
  await inLanes(Math.min(PIECES_AT_ONCE, pieces.length), pieces, (piece) =>
    wire.budget.spend(piece.length, async () => {
      const bytes = await wire.again(() => fetchPiece(wire, bucket, object, piece, o.signal), o);
      piece.crc = crc32c(bytes);
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, piece.start + done)).bytesWritten;
      o.onBytes?.(bytes.length);
    }),
  );
  const crc = pieces.reduce((sum, piece) => joinCrc32c(sum, piece.crc, piece.length), 0);
  try {
    check(object, crc);
  } catch (thrown) {
    o.onBytes?.(-object.size);
    throw thrown;
  }
}

/** Throws when the checksum is another. A server that knows none, which Google's is not, is believed. */
function check(object: StorageObject, crc: number): void {
  if (object.crc32c !== null && object.crc32c !== crcText(crc))
    throw new Mismatch(`its CRC32C should be ${object.crc32c} and is ${crcText(crc)}`);
}

/** Reads an object that is stored packed into memory. Google's client would sum what Bun has unpacked before (7.22). */
export async function readPacked(wire: Wire, bucket: string, object: StorageObject): Promise<Uint8Array> {
  const piece = { start: 0, length: object.size };
  const bytes = await wire.again(() => fetchPiece(wire, bucket, object, piece), {});
  check(object, crc32c(bytes));
  return Bun.gunzipSync(bytes);
}

async function fetchPiece(
  { api }: Wire,
  bucket: string,
  object: StorageObject,
  { start, length }: Pick<Piece, 'start' | 'length'>,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const whole = length === object.size;
  return await api.ask(
    {
      path: objectPath(bucket, object.name),
      query: { alt: 'media', generation: object.generation || undefined },
      headers: whole ? {} : { range: `bytes=${start}-${start + length - 1}` },
      expects: length,
      signal,
    },
    async (response) => {
      if (!whole && response.status !== 206) {
        await response.body?.cancel();
        throw new BorealisError(`The server does not know ranges: it answered ${response.status}`);
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (bytes.length === length) return bytes;
      // Passing, as a broken connection, which it most likely was.
      throw new Error(
        `Cloud Storage's connection closed unexpectedly: ${bytes.length} of ${length} bytes came`,
      );
    },
  );
}

async function unpack(part: string, signal?: AbortSignal): Promise<void> {
  const packed = `${part}.gz`;
  await rename(part, packed);
  try {
    await pipeline(createReadStream(packed), createGunzip(), createWriteStream(part), { signal });
  } finally {
    await rm(packed, { force: true });
  }
}
