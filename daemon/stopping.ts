import type { Logger } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import type { StopReason } from './life.ts';

/**
 * How long each step of stopping takes at most, from the wish to stop now on. Google gives a preempted VM 30 s; the last
 * seconds of these 25 are kept back for giving the Fireworks back. systemd/fireworker.service waits a little longer.
 */
export interface StopTimes {
  /** Between SIGTERM and SIGKILL to a task. */
  graceMs: number;
  /** Then Fireworks are given back, whatever their tasks still do. */
  giveBackMs: number;
  /** Then the worker leaves, whatever hangs. */
  leaveMs: number;
}

export const STOP_TIMES: StopTimes = {
  graceMs: 12 * SECOND,
  giveBackMs: 17 * SECOND,
  leaveMs: 25 * SECOND,
};

/** The same after a second signal: tasks get SIGKILL at once. */
export const HASTENED: StopTimes = { graceMs: 0, giveBackMs: 2 * SECOND, leaveMs: 5 * SECOND };

/**
 * The one door out, with growing haste: `quit` lets the rockets land; SIGTERM or preemption has them given back; a second
 * signal hastens that. The first reason stays the reason, and each is logged once.
 */
export class Stopping {
  reason: StopReason | null = null;
  quitWhenIdle = false;
  readonly #noMore = new AbortController();
  readonly #now = new AbortController();
  readonly #hastened = new AbortController();
  readonly #giveBack = new AbortController();
  readonly #leave = new AbortController();
  #change = new AbortController();

  constructor(
    readonly log: Logger,
    readonly times = STOP_TIMES,
  ) {}

  /** Aborts when no further rocket may start. */
  get noMore(): AbortSignal {
    return this.#noMore.signal;
  }

  /** Aborts when rockets in flight must end, to be given back; its reason says why. */
  get now(): AbortSignal {
    return this.#now.signal;
  }

  /** Aborts when there is no time for tasks to end by themselves. */
  get hastened(): AbortSignal {
    return this.#hastened.signal;
  }

  /** Aborts when rockets are given back, whatever their tasks still do. */
  get giveBack(): AbortSignal {
    return this.#giveBack.signal;
  }

  /** Aborts when the worker must be gone. */
  get leave(): AbortSignal {
    return this.#leave.signal;
  }

  /** Aborts at the next wish of any kind: what an idle worker's sleep listens to. */
  changed(): AbortSignal {
    if (this.#change.signal.aborted) this.#change = new AbortController();
    return this.#change.signal;
  }

  ask(why: string, haste: StopReason['haste']): void {
    const hastens = haste === 'now' && !this.#now.signal.aborted;
    if (hastens)
      this.log.info(
        `Stopping now: ${why}. Tasks have ${this.times.graceMs / SECOND} s to end, then what is in flight is given back; a second signal hastens`,
      );
    else if (!this.reason) this.log.info(`Stopping: ${why}`);
    this.reason = { why: this.reason?.why ?? why, haste: hastens ? 'now' : (this.reason?.haste ?? haste) };
    this.#noMore.abort();
    if (hastens) {
      this.#now.abort(new Error(why));
      this.#countDown(this.times);
    }
    this.#change.abort();
  }

  /** After `now`: no more patience with tasks. */
  hasten(signal: string): void {
    if (this.#hastened.signal.aborted) return;
    this.log.warning(
      `${signal} again: tasks are killed, and what is in flight is given back within ${HASTENED.leaveMs / SECOND} s; one more signal ends this worker where it stands`,
    );
    this.#hastened.abort();
    this.#countDown(HASTENED);
  }

  /** `--timeout`. */
  askAfter(seconds: number): void {
    const ask = () => this.ask(`${seconds} s are over (--timeout)`, 'when they land');
    // Timers take no more than 24 days.
    setTimeout(ask, Math.min(seconds * SECOND, 2 ** 31 - 1)).unref();
  }

  askWhenIdle(): void {
    if (this.quitWhenIdle) return;
    this.quitWhenIdle = true;
    this.log.info('quit=when-idle was asked for: stopping when nothing is READY');
    this.#change.abort();
  }

  #countDown({ giveBackMs, leaveMs }: StopTimes): void {
    setTimeout(() => this.#giveBack.abort(), giveBackMs).unref();
    setTimeout(() => this.#leave.abort(), leaveMs).unref();
  }
}
