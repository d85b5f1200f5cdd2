/** Text lines from a stream of bytes. */
import type { Logger } from '../core/log.ts';

/**
 * Takes bytes as they come and gives back whole lines. Bytes that are no UTF-8 become U+FFFD; a line that is longer than
 * `longest` characters comes in pieces, so that output without line ends is never gathered.
 */
export class Lines {
  readonly #decoder = new TextDecoder();
  #held = '';

  constructor(readonly longest = 64 * 1024) {}

  *push(bytes: Uint8Array): Generator<string> {
    this.#held += this.#decoder.decode(bytes, { stream: true });
    let start = 0;
    for (let end = this.#held.indexOf('\n'); end >= 0; end = this.#held.indexOf('\n', start)) {
      yield* this.#pieces(this.#held.slice(start, end).replace(/\r$/, ''));
      start = end + 1;
    }
    this.#held = this.#held.slice(start);
    while (this.#held.length > this.longest) {
      yield this.#held.slice(0, this.longest);
      this.#held = this.#held.slice(this.longest);
    }
  }

  /** What is left when the stream has ended: a line without its end. */
  *end(): Generator<string> {
    this.#held += this.#decoder.decode();
    if (this.#held) yield* this.#pieces(this.#held);
    this.#held = '';
  }

  *#pieces(line: string): Generator<string> {
    for (let from = 0; from === 0 || from < line.length; from += this.longest)
      yield line.slice(from, from + this.longest);
  }
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
