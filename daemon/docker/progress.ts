/** Tells how far a transfer has come, when it takes long. */
import type { Logger } from '../../core/log.ts';
import { SECOND } from '../../core/wait.ts';
import { shownSize } from './memory.ts';

const TELL_EVERY_MS = 15 * SECOND;

export class Progress implements Disposable {
  readonly #began = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #bytes = 0;
  #files = 0;

  constructor(
    /** `Fetched`, `Stored`. */
    readonly did: string,
    readonly total: { files: number; bytes: number },
    readonly log: Logger,
    everyMs = TELL_EVERY_MS,
  ) {
    this.#timer = setInterval(() => log.info(`${this.#soFar()} so far`), everyMs);
  }

  get bytes(): number {
    return this.#bytes;
  }

  readonly onBytes = (bytes: number): void => {
    this.#bytes += bytes;
  };

  fileDone(): void {
    this.#files++;
  }

  /** It is all done: says so. */
  done(): void {
    this.log.debug(this.#soFar());
  }

  #soFar(): string {
    const { files, bytes } = this.total;
    const seconds = (performance.now() - this.#began) / SECOND;
    const rate = this.#bytes / Math.max(seconds, 0.001);
    return `${this.did} ${this.#files} of ${files} files, ${shownSize(this.#bytes)} of ${shownSize(bytes)} in ${seconds.toFixed(1)} s (${shownSize(rate)}/s)`;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
