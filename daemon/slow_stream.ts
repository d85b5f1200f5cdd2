import type { Writable } from 'node:stream';
import { SECOND, sleep } from '../core/wait.ts';

/**
 * A stream that may be slow, full or gone, as a console that nobody reads, or a file on a full disk: nobody waits for it, and
 * it takes no more memory than so much. Bun itself takes whatever is written to a pipe, without a bound, and tells of no
 * backlog (writableLength is 0, write() is true; 1.4.5); only the callbacks tell what has gone out.
 */
export class SlowStream {
  #waiting = 0;

  constructor(
    readonly stream: Writable,
    readonly mostWaiting = 4_000_000,
  ) {
    // Unheard, a closed pipe or a full disk would end this process.
    stream.on('error', () => {
      this.#waiting = 0;
    });
  }

  /** False: too much waits, and `text` was not taken. */
  write(text: string): boolean {
    if (this.#waiting > this.mostWaiting) return false;
    this.#waiting += text.length;
    this.stream.write(text, () => {
      this.#waiting = Math.max(0, this.#waiting - text.length);
    });
    return true;
  }

  /** Returns when all has gone out, or after `deadlineMs`: what waits when a process exits is lost. */
  async drained(deadlineMs: number): Promise<void> {
    const end = performance.now() + deadlineMs;
    while (this.#waiting > 0 && performance.now() < end) await sleep(0.02 * SECOND);
  }
}
