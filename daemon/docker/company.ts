/**
 * Who may run beside whom on this machine: containers of several slots side by side, or one alone, which has all the memory.
 * Whoever wants to be alone comes after those that run, and before those that come later.
 */
interface Waiter {
  alone: boolean;
  admit: () => void;
}

export class Company {
  #inside = 0;
  #aloneInside = false;
  readonly #waiting: Waiter[] = [];

  /** Waits for a place; dispose of it to leave. Throws the reason of `signal` when that aborts first. */
  async enter(alone: boolean, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (!this.#mayEnter(alone)) await this.#wait(alone, signal);
    else this.#admit(alone);
    return { [Symbol.dispose]: () => this.#leave() };
  }

  /** Whether whoever comes now has to wait. */
  #mayEnter(alone: boolean): boolean {
    return this.#waiting.length === 0 && this.#hasRoom(alone);
  }

  #hasRoom(alone: boolean): boolean {
    return !this.#aloneInside && (!alone || this.#inside === 0);
  }

  #admit(alone: boolean): void {
    this.#inside++;
    this.#aloneInside = alone;
  }

  #wait(alone: boolean, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { alone, admit: resolve };
    this.#waiting.push(waiter);
    const onAbort = () => {
      const at = this.#waiting.indexOf(waiter);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason);
      this.#admitNext();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  #leave(): void {
    this.#inside--;
    this.#aloneInside = false;
    this.#admitNext();
  }

  #admitNext(): void {
    for (let next = this.#waiting[0]; next && this.#hasRoom(next.alone); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#admit(next.alone);
      next.admit();
    }
  }
}
