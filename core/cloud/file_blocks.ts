/** A file as it is sent: block by block, and summed on the way. */
import type { FileHandle } from 'node:fs/promises';
import { BorealisError } from '../errors.ts';
import { crc32c } from './crc32c.ts';

export interface Source {
  file: FileHandle;
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
    const read = async (at: number) => {
      const into = block.subarray(0, Math.min(BLOCK_BYTES, to - at));
      await readAll(this.source, into, at);
      return into;
    };
    let reading: Promise<Uint8Array> | null = read(from);
    try {
      for (let at = from; reading; ) {
        const bytes: Uint8Array = await reading;
        [block, other] = [other, block];
        this.#sum(bytes, at);
        at += bytes.length;
        reading = at < to ? read(at) : null;
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

/** Fills `into` with what is in the file from `at` on. */
export async function readAll(
  { file, path }: Pick<Source, 'file' | 'path'>,
  into: Buffer,
  at: number,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw new BorealisError(`${path} became shorter while it was stored`);
    done += bytesRead;
  }
}
