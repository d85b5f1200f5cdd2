/** A file as it is sent: block by block, and summed on the way. */
import { read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { BorealisError } from '../errors.ts';
import { crc32c } from './crc32c.ts';

export interface Source {
  fd: number;
  path: string;
  size: number;
}

/**
 * Two of these are held for each file: one is read while the other is sent. From 256 KiB to 1 MiB it is all the same; smaller ones
 * cost more, and larger ones leave the processor's cache between reading, summing and sending.
 */
const BLOCK_BYTES = 512 * 1024;
export const HELD_BYTES = 2 * BLOCK_BYTES;

/** Reads a piece of a file, and sums it on the way. */
export class PieceReader {
  /** Of all bytes before `#summedTo`. */
  #crc: number;
  #summedTo: number;

  constructor(
    readonly source: Source,
    /** Of the bytes before `at`. */
    readonly crc: number,
    readonly at: number,
  ) {
    this.#crc = crc;
    this.#summedTo = at;
  }

  /** The bytes from `from` to `to`, one block after the other; each is gone when the next is asked for. */
  async *blocks(from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    const length = Math.min(BLOCK_BYTES, to - from);
    let [block, other] = [Buffer.allocUnsafeSlow(length), Buffer.allocUnsafeSlow(length)];
    const next = async (at: number) => {
      const into = block.subarray(0, Math.min(BLOCK_BYTES, to - at));
      await readAll(this.source, into, at);
      return into;
    };
    let reading: Promise<Uint8Array> | null = next(from);
    try {
      for (let at = from; reading; ) {
        const bytes: Uint8Array = await reading;
        [block, other] = [other, block];
        this.#sum(bytes, at);
        at += bytes.length;
        reading = at < to ? next(at) : null;
        yield bytes;
      }
    } finally {
      // Whoever wants no more may close the file. A failure of what nobody wants is none.
      await reading?.catch(() => {});
    }
  }

  #sum(bytes: Uint8Array, at: number): void {
    if (at !== this.#summedTo) return;
    this.#crc = crc32c(bytes, this.#crc);
    this.#summedTo += bytes.length;
  }

  /** The checksum of all bytes before `end`, which are read once more when they were not yet, or too many. */
  async sumTo(end: number): Promise<number> {
    if (this.#summedTo !== end) {
      [this.#crc, this.#summedTo] = [this.crc, this.at];
      for await (const _ of this.blocks(this.at, end));
    }
    return this.#crc;
  }
}

const readByThread = promisify(read);

/** Fills `into` with what is in the file from `at` on. */
export async function readAll(source: Source, into: Buffer, at: number): Promise<void> {
  for (let done = 0; done < into.length; )
    done += some(
      source,
      (await readByThread(source.fd, into, done, into.length - done, at + done)).bytesRead,
    );
}

/** Fills `into` with what the file begins with, at once. */
export function readNow(source: Source, into: Buffer): void {
  for (let done = 0; done < into.length; )
    done += some(source, readSync(source.fd, into, done, into.length - done, done));
}

function some({ path }: Source, bytesRead: number): number {
  if (bytesRead > 0) return bytesRead;
  throw new BorealisError(`${path} became shorter while it was stored`);
}
