/** Text lines from a stream of bytes. */
import type { Logger } from '../core/log.ts';

/**
 * Takes bytes as they come and gives back whole lines. Bytes that are no UTF-8 become U+FFFD; a line that is longer than
 * `longest` bytes comes in pieces, so that output without line ends is never gathered.
 *
 * Each line is decoded alone: a part of a larger string would keep all of that in memory as long as it waits in a log's queue.
 */
export class Lines {
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(readonly longest = 64 * 1024) {}

  *push(bytes: Uint8Array): Generator<string> {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const line = yield* this.#pieces(this.#take(chunk.subarray(start, end)));
      yield line.toString('utf8', 0, line.at(-1) === CR ? line.length - 1 : line.length);
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
    if (this.#heldBytes > this.longest) this.#hold(yield* this.#pieces(this.#take()));
  }

  /** What is left when the stream has ended: a line without its end. */
  *end(): Generator<string> {
    if (this.#heldBytes > 0) yield (yield* this.#pieces(this.#take())).toString();
  }

  /** Gives back the last piece of a line, when those before it have come. */
  *#pieces(line: Buffer): Generator<string, Buffer> {
    let from = 0;
    while (line.length - from > this.longest) {
      const end = Math.max(from + 1, characterEnd(line, from + this.longest));
      yield line.toString('utf8', from, end);
      from = end;
    }
    return line.subarray(from);
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    // A copy: whoever brought it may use its memory again.
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
  }

  /** What is held, and what comes after it. */
  #take(bytes?: Buffer): Buffer {
    if (bytes && this.#held.length === 0) return bytes;
    const all = Buffer.concat(bytes ? [...this.#held, bytes] : this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }
}

const LF = 0x0a;
const CR = 0x0d;

/** The last place up to `end` that is not within a character of UTF-8, which has four bytes at most. */
function characterEnd(bytes: Buffer, end: number): number {
  for (let at = end; at > 0 && at > end - 4; at--) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) return at;
  return end;
}

/** A task's output in the log. Empty lines are left out: they only confuse whoever reads a log of many machines. */
export class LoggedOutput {
  readonly #lines = new Lines();

  constructor(readonly log: Logger) {}

  write(bytes: Uint8Array): void {
    this.#say(this.#lines.push(bytes));
  }

  end(): void {
    this.#say(this.#lines.end());
  }

  #say(lines: Iterable<string>): void {
    for (const line of lines) if (line.trim()) this.log.debug(line.trimEnd());
  }
}
