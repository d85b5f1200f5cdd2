import type { Logger } from '../core/log.ts';
import type { StopReason } from './moves.ts';

/**
 * The one door out, with growing haste: `quit` lets the rocket land; SIGTERM or preemption has it given back; a second
 * signal ends the process at once. The first reason stays the reason; a later one can only hasten.
 */
export class Stopping {
  reason: StopReason | null = null;
  quitWhenIdle = false;
  /** Ends the look for lost runs when the loop has ended. */
  readonly endSweep = new AbortController();
  readonly #noMore = new AbortController();
  readonly #now = new AbortController();
  #change = new AbortController();

  constructor(readonly log: Logger) {}

  /** Aborts when no further rocket may start. */
  get noMore(): AbortSignal {
    return AbortSignal.any([this.#noMore.signal, this.endSweep.signal]);
  }

  /** Aborts when rockets in flight must be given back; its reason says why. */
  get now(): AbortSignal {
    return this.#now.signal;
  }

  /** Aborts at the next wish of any kind: what an idle worker's sleep listens to. */
  changed(): AbortSignal {
    if (this.#change.signal.aborted) this.#change = new AbortController();
    return this.#change.signal;
  }

  ask(why: string, haste: StopReason['haste']): void {
    const hastens = haste === 'now' && !this.#now.signal.aborted;
    if (hastens) this.log.info(`Stopping now: ${why}`);
    else if (!this.reason) this.log.info(`Stopping after the rocket in flight: ${why}`);
    this.reason = { why: this.reason?.why ?? why, haste: hastens ? 'now' : (this.reason?.haste ?? haste) };
    this.#noMore.abort();
    if (hastens) this.#now.abort(new Error(why));
    this.#change.abort();
  }

  askWhenIdle(): void {
    if (this.quitWhenIdle) return;
    this.quitWhenIdle = true;
    this.log.info('quit=when-idle was asked for: stopping when nothing is READY');
    this.#change.abort();
  }
}
