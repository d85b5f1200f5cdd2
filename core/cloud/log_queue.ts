/** Log lines that wait to be sent: the oldest first, and never more than so many lines or characters of them. */
import type { LogLine } from '../log.ts';

export interface Waiting {
  line: LogLine;
  /** Its place among all lines of this worker. */
  number: number;
  /** About what it takes in memory and in a request. */
  chars: number;
}

export class LogQueue {
  /** A flood pushes and drops millions of lines: taking the first must not move all the others. */
  #lines: (Waiting | undefined)[] = [];
  #first = 0;
  #chars = 0;

  constructor(
    readonly mostLines: number,
    readonly mostChars: number,
  ) {}

  get length(): number {
    return this.#lines.length - this.#first;
  }

  get oldest(): Waiting | undefined {
    return this.#lines[this.#first];
  }

  /** Adds the newest line. Returns how many of the oldest went for it. */
  push(one: Waiting): number {
    this.#lines.push(one);
    this.#chars += one.chars;
    let dropped = 0;
    for (; this.length > this.mostLines || this.#chars > this.mostChars; dropped++) this.#take();
    return dropped;
  }

  /** Takes the oldest lines out: at most so many, and of so many characters together, but one at least. */
  take(mostLines: number, mostChars: number): Waiting[] {
    const taken: Waiting[] = [];
    for (let chars = 0; taken.length < mostLines; ) {
      const next = this.#lines[this.#first];
      chars += next?.chars ?? 0;
      if (!next || (taken.length > 0 && chars > mostChars)) break;
      taken.push(this.#take());
    }
    return taken;
  }

  /** Puts lines before all others: they are older. */
  putBack(lines: readonly Waiting[]): void {
    this.#lines.splice(0, this.#first, ...lines);
    this.#first = 0;
    for (const { chars } of lines) this.#chars += chars;
  }

  #take(): Waiting {
    const one = this.#lines[this.#first] as Waiting;
    this.#lines[this.#first++] = undefined;
    this.#chars -= one.chars;
    if (this.#first > 1000 && this.#first > this.#lines.length / 2) {
      this.#lines = this.#lines.slice(this.#first);
      this.#first = 0;
    }
    return one;
  }
}
