/** What every transfer goes by. */
import type { RetryPolicy } from '../retry.ts';
import { answerOf, statusOf } from './api_error.ts';
import type { GoogleStorage } from './google_storage.ts';
import type { ByteBudget } from './in_flight.ts';
import type { StorageApi } from './storage_api.ts';

export interface Wire {
  /** For all but the bytes of objects. */
  google: GoogleStorage;
  /** For them. */
  api: StorageApi;
  /** Of all transfers together. */
  budget: ByteBudget;
  /** An object that is larger goes in pieces, each of which is held in memory once. Those that are fetched have this size. */
  pieceBytes: number;
  /** Those that are stored: one after the other, each with a pause for the answer, none of them held. A multiple of 256 KiB. */
  storePieceBytes: number;
  /** Does `work`, and does it again after failures that pass. */
  again<T>(work: () => Promise<T>, o: TransferOptions): Promise<T>;
}

export interface TransferOptions {
  signal?: AbortSignal;
  /** Files under way at once. */
  concurrency?: number;
  /** How long failures that pass are tried again: another policy than the storage's own. */
  policy?: RetryPolicy;
  /** Told of bytes as they are there for good; fewer than none when they must come again. */
  onBytes?: (bytes: number) => void;
}

export interface UploadOptions extends TransferOptions {
  /** Store only when the object has this generation, '0': is not there. Else it is refused with 412. */
  generation?: string;
  metadata?: Record<string, string>;
}

/** The condition of a write, as Google's client takes it. */
export function onlyOn(generation: string | undefined): { ifGenerationMatch?: number } {
  return generation === undefined ? {} : { ifGenerationMatch: Number(generation) };
}

/** Bytes that are not what they should be, though they all came. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** The server forgot an upload that was under way. */
export class SessionLost extends Error {
  override readonly name = 'SessionLost';
}

/** Throws a refusal of bytes as what it is: they were spoilt on the way. */
export function mismatchOf(thrown: unknown): never {
  if (statusOf(thrown) === 400 && /CRC32C|MD5|hash/i.test(answerOf(thrown).message))
    throw new Mismatch('the server got other bytes', { cause: thrown });
  throw thrown;
}

/** A broken transfer is whole the next time; what is stored broken stays so. */
const MOST_TRIES = 3;

/** Does a whole transfer, and again when its bytes came out wrong. */
export async function wholeAgain<T>(transfer: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await transfer();
    } catch (thrown) {
      const mendable = thrown instanceof Mismatch || thrown instanceof SessionLost;
      if (!mendable || tries === MOST_TRIES) throw thrown;
    }
  }
}
