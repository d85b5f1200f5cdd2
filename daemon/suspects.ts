import { SECOND } from '../core/wait.ts';
import { REPEAT_MS } from './heartbeat.ts';

/** How long a worker may take to find its LaunchPad again, once that is back. */
const FIND_AGAIN_MS = 3 * SECOND;

/**
 * Launches whose heartbeat was found too old. After the LaunchPad was away for long that is true of every run; those whose
 * workers live are heard again as soon as it is back. So a run is lost when it was too old in every look for as long as
 * that takes.
 */
export class Suspects {
  #since = new Map<number, number>();
  readonly settleMs: number;

  /** `pingMs`: how often a heartbeat is written; one that could not be is written again after `REPEAT_MS` at the latest. */
  constructor(pingMs: number) {
    this.settleMs = Math.min(pingMs, REPEAT_MS) + FIND_AGAIN_MS;
  }

  /** Takes in what a look found at `now`, and returns those that have been suspect for long enough. */
  after(found: readonly number[], now: number): number[] {
    this.#since = new Map(found.map((id) => [id, this.#since.get(id) ?? now]));
    return found.filter((id) => now - (this.#since.get(id) ?? now) >= this.settleMs);
  }

  get any(): boolean {
    return this.#since.size > 0;
  }

  /** A look failed: the LaunchPad is away, and nobody's silence counts. */
  forget(): void {
    this.#since.clear();
  }
}
