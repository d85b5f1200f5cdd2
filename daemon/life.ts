/**
 * The life of a worker, as two pure functions: `after`, the state it is in when something has happened, and `nextMove`, what
 * it does next. The loop in worker.ts tells the one and obeys the other.
 *
 *   starting   settings are read and the LaunchPad is found (main.ts). Left when it is ready, or by a wish to stop.
 *   idle       nothing flies. It looks for work, slower and slower; left by finding some, by a wish to stop, or by time.
 *   flying     rockets are in flight. While a slot is free it looks for more work; left when the last one has landed.
 *   draining   no rocket starts any more. Those in flight land, or (`now`) are given back.
 *   stopped    nothing flies, and nothing will, for one reason.
 *
 * Idle time is counted from when a rocket last took off or landed (or the start). While something RUNNING has children that
 * WAIT for it, the longer of the two idle times holds, as upstream's.
 */
import { jitter, MINUTE, SECOND } from '../core/wait.ts';

/** Why a worker ends. */
export interface StopReason {
  why: string;
  /** `now` gives the rockets in flight back. */
  haste: 'when they land' | 'now';
}

export type Life =
  | { state: 'starting' }
  | { state: 'idle' }
  | { state: 'flying'; rockets: number }
  | { state: 'draining'; rockets: number; stop: StopReason }
  | { state: 'stopped'; why: string };

export type Happening =
  | { event: 'ready' }
  | { event: 'tookOff' }
  | { event: 'landed' }
  | { event: 'stop'; stop: StopReason };

/** The state after something has happened. The first reason to stop stays the reason; a later one can only hasten. */
export function after(life: Life, happening: Happening): Life {
  switch (happening.event) {
    case 'ready':
      return life.state === 'starting' ? { state: 'idle' } : life;
    case 'tookOff':
      if (life.state === 'idle') return { state: 'flying', rockets: 1 };
      if (life.state === 'flying') return { ...life, rockets: life.rockets + 1 };
      break;
    case 'landed':
      if (life.state === 'flying')
        return life.rockets > 1 ? { ...life, rockets: life.rockets - 1 } : { state: 'idle' };
      if (life.state === 'draining')
        return life.rockets > 1
          ? { ...life, rockets: life.rockets - 1 }
          : { state: 'stopped', why: life.stop.why };
      break;
    case 'stop': {
      const { stop } = happening;
      if (life.state === 'stopped') return life;
      if (life.state === 'flying') return { state: 'draining', rockets: life.rockets, stop };
      if (life.state !== 'draining') return { state: 'stopped', why: stop.why };
      const haste = stop.haste === 'now' ? 'now' : life.stop.haste;
      return { ...life, stop: { why: life.stop.why, haste } };
    }
  }
  throw new Error(`A worker that is ${life.state} has no rocket that ${happening.event}`);
}

/** What a worker knows when it decides. */
export interface Facts {
  /** How many rockets it flies at a time. */
  slots: number;
  /** How many have taken off so far. */
  taken: number;
  /** `--once`: one rocket in each slot, or none. */
  once: boolean;
  /** The last look for work found nothing, and nothing has happened since. */
  lookedInVain: boolean;
  upMs: number;
  idleMs: number;
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  /** `quit=when-idle` was asked for. */
  quitWhenIdle: boolean;
  /** Whether something is READY that this worker leaves to others for a while; null when it has not been asked. */
  heldBack: boolean | null;
  /** Whether work can still come from Fireworks that run elsewhere; null when it has not been asked. */
  futureWork: boolean | null;
  /** How long ago it was told what is READY and never fits this worker; Infinity: not yet. */
  sinceUnfittingMs: number;
}

export type Question = 'heldBack' | 'futureWork' | 'unfitting';

export type Move =
  /** Look for a READY Firework. */
  | { move: 'claim' }
  | { move: 'ask'; about: Question }
  /** For a landing, for a wish, or for so long. */
  | { move: 'wait'; ms: number }
  | { move: 'stop'; why: string }
  /** All has been done. */
  | { move: 'end'; why: string };

export function nextMove(life: Life, f: Facts, random: () => number = Math.random): Move {
  if (life.state === 'stopped') return { move: 'end', why: life.why };
  if (life.state === 'draining') return { move: 'wait', ms: Number.POSITIVE_INFINITY };
  const rockets = life.state === 'flying' ? life.rockets : 0;
  if (f.once && (f.taken >= f.slots || f.lookedInVain)) return { move: 'stop', why: onceWhy(f) };
  if (rockets >= f.slots) return { move: 'wait', ms: Number.POSITIVE_INFINITY };
  if (Math.min(f.upMs, f.sinceUnfittingMs) >= UNFITTING_WHEN_BUSY_MS)
    return { move: 'ask', about: 'unfitting' };
  if (!f.lookedInVain) return { move: 'claim' };
  if (rockets > 0) return { move: 'wait', ms: pollMs(f.idleMs, random) };
  return whenIdle(f, random);
}

function onceWhy({ taken, slots }: Facts): string {
  if (taken === 0) return 'nothing is READY (--once)';
  if (taken < slots) return 'nothing more is READY (--once)';
  return slots === 1 ? 'one rocket was asked for (--once)' : 'one rocket a slot was asked for (--once)';
}

/** Nothing flies, and a look found nothing. */
function whenIdle(f: Facts, random: () => number): Move {
  const { idleMs } = f;
  // What stops for lack of work says first what work it left.
  const stop = (why: string): Move =>
    f.sinceUnfittingMs === Number.POSITIVE_INFINITY
      ? { move: 'ask', about: 'unfitting' }
      : { move: 'stop', why };
  if (f.quitWhenIdle) {
    if (f.heldBack === null) return { move: 'ask', about: 'heldBack' };
    if (!f.heldBack) return stop('quit=when-idle was asked for, and nothing is READY');
  }
  if (idleMs >= f.idleForRocketsMs) {
    if (idleMs >= f.idleForWaitersMs) return stop(`idle for ${seconds(idleMs)}`);
    if (f.futureWork === null) return { move: 'ask', about: 'futureWork' };
    if (!f.futureWork) return stop(`idle for ${seconds(idleMs)}, and nothing waits for work that runs`);
  }
  if (idleMs >= MINUTE && f.sinceUnfittingMs >= UNFITTING_EVERY_MS)
    return { move: 'ask', about: 'unfitting' };
  const limit = idleMs < f.idleForRocketsMs ? f.idleForRocketsMs : f.idleForWaitersMs;
  return { move: 'wait', ms: Math.min(pollMs(idleMs, random), Math.max(1, limit - idleMs)) };
}

/** How often an idle worker says what it leaves because it never fits. */
const UNFITTING_EVERY_MS = 10 * MINUTE;
/** And one that is never idle: it has to look through all that is READY, which may be much. */
const UNFITTING_WHEN_BUSY_MS = 30 * MINUTE;

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;

/** A new READY Firework starts within a second or two; workers that idle for long ask less, and never in step. */
export function pollMs(idleMs: number, random: () => number = Math.random): number {
  return jitter(Math.min(2 * SECOND, 250 + idleMs / 8), 0.25, random);
}
