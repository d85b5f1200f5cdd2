/**
 * What a worker does next: a pure decision, from what it knows.
 *
 * States of a worker:
 *   idle      nothing READY fits it; it polls, slower and slower. Left by finding work, by a wish to stop, or by time.
 *   flying    a rocket is in flight (worker.ts); left when it has landed.
 *   stopped   the loop has ended, for one reason, logged once.
 * Idle time is counted from the last rocket's landing (or the start). While something RUNNING has children that WAIT for
 * it, the longer of the two idle times holds, as upstream's.
 */
import { jitter, SECOND } from '../core/wait.ts';

/** Why a worker ends. */
export interface StopReason {
  why: string;
  /** `now` gives the rocket in flight back. */
  haste: 'after this rocket' | 'now';
}

export interface WorkerState {
  stop: StopReason | null;
  /** `quit=when-idle` was asked for. */
  quitWhenIdle: boolean;
  idleMs: number;
  /** Whether work can still come from Fireworks that run elsewhere; null when it has not been asked. */
  futureWork: boolean | null;
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  /** `--once`: one rocket, or none. */
  once: boolean;
  flown: number;
}

export type Move =
  | { move: 'stop'; why: string }
  /** Look for a READY Firework. */
  | { move: 'claim' }
  /** Ask whether work can still come. */
  | { move: 'askFuture' }
  | { move: 'sleep'; ms: number };

/** Between two rockets, before looking for the next one. */
export function beforeClaim(state: WorkerState): Move {
  if (state.stop) return { move: 'stop', why: state.stop.why };
  if (state.once && state.flown > 0) return { move: 'stop', why: 'one rocket was asked for (--once)' };
  return { move: 'claim' };
}

/** After a look that found nothing. */
export function whenIdle(state: WorkerState, random: () => number = Math.random): Move {
  if (state.stop) return { move: 'stop', why: state.stop.why };
  if (state.once) return { move: 'stop', why: 'nothing is READY (--once)' };
  if (state.quitWhenIdle) return { move: 'stop', why: 'quit=when-idle was asked for, and nothing is READY' };
  if (state.idleMs >= state.idleForRocketsMs) {
    if (state.idleMs >= state.idleForWaitersMs)
      return { move: 'stop', why: `idle for ${seconds(state.idleMs)}` };
    if (state.futureWork === null) return { move: 'askFuture' };
    if (!state.futureWork)
      return { move: 'stop', why: `idle for ${seconds(state.idleMs)}, and nothing waits for work that runs` };
  }
  const limit = state.idleMs < state.idleForRocketsMs ? state.idleForRocketsMs : state.idleForWaitersMs;
  return { move: 'sleep', ms: Math.min(pollMs(state.idleMs, random), Math.max(1, limit - state.idleMs)) };
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;

/** A new READY Firework starts within a second or two; workers that idle for long ask less, and never in step. */
export function pollMs(idleMs: number, random: () => number = Math.random): number {
  return jitter(Math.min(2 * SECOND, 250 + idleMs / 8), 0.25, random);
}
