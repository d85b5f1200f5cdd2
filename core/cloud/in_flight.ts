/** What bounds transfers: files at once, and bytes at once, for memory must not grow with what is transferred. */

/** Lets so many bytes be under way, first come, first served. A piece that is larger than all of it goes alone. */
export class ByteBudget {
  #free: number;
  /** Spent since the garbage of it was collected. */
  #spent = 0;
  readonly #waiting: { bytes: number; go: () => void }[] = [];

  constructor(readonly total: number) {
    this.#free = total;
  }

  /** Does `work` while it holds `bytes` of the budget. */
  async spend<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const held = Math.min(bytes, this.total);
    if (this.#waiting.length > 0 || held > this.#free) {
      const turn = Promise.withResolvers<void>();
      this.#waiting.push({ bytes: held, go: turn.resolve });
      await turn.promise;
    } else this.#free -= held;
    try {
      return await work();
    } finally {
      this.#free += held;
      this.#collect(bytes);
      for (let next = this.#waiting[0]; next && next.bytes <= this.#free; next = this.#waiting[0]) {
        this.#waiting.shift();
        this.#free -= next.bytes;
        next.go();
      }
    }
  }

  /** Bytes that came over a connection lie outside of the heap, which does not see how many there are: it would let them gather. */
  #collect(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent < 2 * this.total) return;
    this.#spent = 0;
    Bun.gc(true);
  }
}

/** Does `work` on items as they come, `lanes` at a time. After a failure no new item is begun; it is thrown at the end. */
export async function inLanes<T>(
  lanes: number,
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const lane = async () => {
    while (failures.length === 0) {
      try {
        const next = await source.next();
        if (next.done) return;
        await work(next.value);
      } catch (thrown) {
        failures.push(thrown);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failures.length > 0) throw failures[0];
}
