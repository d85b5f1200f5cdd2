/** The time that a task may take, all in all, and what it is spent on. Its signal aborts when it is over. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Budget implements Disposable {
  readonly #over = new AbortController();
  #leftMs: number;
  #runningSince = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #doing = new Set<string>();

  constructor(ms: number) {
    this.#leftMs = ms;
    this.go();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Waiting for others is not the task's own time. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#leftMs -= performance.now() - this.#runningSince;
  }

  go(): void {
    this.#runningSince = performance.now();
    this.#timer = setTimeout(
      () => this.#over.abort(new Error('the time is up')),
      Math.min(Math.max(this.#leftMs, 0), LONGEST_TIMER_MS),
    );
  }

  /** Notes what the task does at this moment. What fails, as it does when the time is up, stays noted. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    this.#doing.add(what);
    const done = await work;
    this.#doing.delete(what);
    return done;
  }

  /** For whoever reads that the time was up meanwhile. */
  get spentOn(): string {
    return [...this.#doing].join(' and ');
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
