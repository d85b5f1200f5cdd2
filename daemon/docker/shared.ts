/**
 * Work that several want at the same time is done once. It goes on as long as one of them waits for it; when the last one has
 * given up, it is aborted.
 */
interface Run<T> {
  done: Promise<T>;
  waiting: number;
  stop: AbortController;
}

export class Shared<T> {
  readonly #runs = new Map<string, Run<T>>();

  /** Joins the work that is under way for `key`, else begins it. Throws what it threw, or the reason of `signal`. */
  async join(
    key: string,
    signal: AbortSignal,
    o: { work: (signal: AbortSignal) => Promise<T>; onJoined?: () => void },
  ): Promise<T> {
    signal.throwIfAborted();
    const there = this.#runs.get(key);
    if (there) o.onJoined?.();
    const run = there ?? this.#begin(key, o.work);
    run.waiting++;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([run.done, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (--run.waiting === 0) {
        // Whoever comes now begins anew, for this run is over or about to be.
        if (this.#runs.get(key) === run) this.#runs.delete(key);
        run.stop.abort(signal.reason);
        await run.done.catch(() => {});
      }
    }
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<T>): Run<T> {
    const stop = new AbortController();
    const run = { stop, waiting: 0, done: work(stop.signal) };
    this.#runs.set(key, run);
    return run;
  }
}
