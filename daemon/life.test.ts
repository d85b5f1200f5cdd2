import { describe, expect, test } from 'bun:test';
import { MINUTE, SECOND } from '../core/wait.ts';
import { after, type Facts, type Happening, type Life, type Move, nextMove, pollMs } from './life.ts';

const soon = { why: 'quit=soon was asked for', haste: 'when they land' } as const;
const now = { why: 'SIGTERM', haste: 'now' } as const;
const idle: Life = { state: 'idle' };
const flying = (rockets: number): Life => ({ state: 'flying', rockets });
const draining = (
  rockets: number,
  stop: typeof soon | typeof now | { why: string; haste: 'now' } = soon,
): Life => ({
  state: 'draining',
  rockets,
  stop,
});
const stopped = (why: string): Life => ({ state: 'stopped', why });

describe('the state after something has happened', () => {
  const ready: Happening = { event: 'ready' };
  const tookOff: Happening = { event: 'tookOff' };
  const landed: Happening = { event: 'landed' };
  const stop = (reason: typeof soon | typeof now): Happening => ({ event: 'stop', stop: reason });
  const cases: [string, Life, Happening, Life][] = [
    ['the LaunchPad is found', { state: 'starting' }, ready, idle],
    ['a wish to stop comes before it is', { state: 'starting' }, stop(soon), stopped(soon.why)],
    ['the first rocket takes off', idle, tookOff, flying(1)],
    ['another one', flying(1), tookOff, flying(2)],
    ['one of two lands', flying(2), landed, flying(1)],
    ['the last one lands', flying(1), landed, idle],
    ['an idle worker is told to stop', idle, stop(now), stopped(now.why)],
    ['one that flies is told to stop when they land', flying(2), stop(soon), draining(2)],
    ['one that flies is told to stop now', flying(1), stop(now), draining(1, now)],
    [
      'it is hastened: the first reason stays',
      draining(2),
      stop(now),
      draining(2, { ...soon, haste: 'now' }),
    ],
    ['and does not slow down again', draining(1, now), stop(soon), draining(1, now)],
    ['one of two lands while it drains', draining(2), landed, draining(1)],
    ['the last one lands while it drains', draining(1, now), landed, stopped(now.why)],
    ['stopped is stopped', stopped(soon.why), stop(now), stopped(soon.why)],
  ];
  test.each(cases)('%s', (_, before, happening, state) => expect(after(before, happening)).toEqual(state));

  const impossible: [Life, Happening][] = [
    [{ state: 'starting' }, tookOff],
    [idle, landed],
    [draining(1), tookOff],
    [stopped('x'), tookOff],
    [stopped('x'), landed],
  ];
  test.each(impossible)('%j %j cannot be', (before, happening) =>
    expect(() => after(before, happening)).toThrow(`A worker that is ${before.state} has no rocket that`),
  );
});

const middle = () => 0.5;
const facts = (part: Partial<Facts> = {}): Facts => ({
  slots: 1,
  taken: 0,
  once: false,
  lookedInVain: false,
  upMs: 0,
  idleMs: 0,
  idleForRocketsMs: 15 * MINUTE,
  idleForWaitersMs: 60 * MINUTE,
  quitWhenIdle: false,
  heldBack: false,
  futureWork: null,
  sinceUnfittingMs: 0,
  ...part,
});
const forEver: Move = { move: 'wait', ms: Number.POSITIVE_INFINITY };
const stop = (why: string): Move => ({ move: 'stop', why });
const ask = (about: 'heldBack' | 'futureWork' | 'unfitting'): Move => ({ move: 'ask', about });

describe('what it does next', () => {
  const cases: [string, Life, Partial<Facts>, Move][] = [
    ['a fresh worker looks for work', idle, {}, { move: 'claim' }],
    [
      'quit=when-idle goes on while something is READY',
      idle,
      { quitWhenIdle: true, taken: 3 },
      { move: 'claim' },
    ],
    ['a long idle worker still looks first', idle, { idleMs: 99 * MINUTE }, { move: 'claim' }],
    ['with its one slot taken it waits', flying(1), {}, forEver],
    ['with a slot free it looks for more', flying(1), { slots: 2 }, { move: 'claim' }],
    ['with all slots taken it waits', flying(2), { slots: 2, lookedInVain: true }, forEver],
    [
      'with a slot free and nothing READY it looks again soon',
      flying(1),
      { slots: 2, lookedInVain: true },
      { move: 'wait', ms: 250 },
    ],
    [
      'while something flies it neither stops when idle',
      flying(1),
      { slots: 2, lookedInVain: true, quitWhenIdle: true },
      { move: 'wait', ms: 250 },
    ],
    [
      'nor for its idle time',
      flying(1),
      { slots: 2, lookedInVain: true, idleMs: 99 * MINUTE },
      { move: 'wait', ms: 2000 },
    ],
    ['draining it waits for the rockets', draining(2), { slots: 4 }, forEver],
    ['stopped is the end', stopped('SIGTERM'), {}, { move: 'end', why: 'SIGTERM' }],
    [
      'one that is never idle says now and then what never fits',
      flying(1),
      { slots: 2, upMs: 31 * MINUTE, sinceUnfittingMs: Number.POSITIVE_INFINITY },
      ask('unfitting'),
    ],
    ['not when it has just begun', idle, { upMs: 1, sinceUnfittingMs: Infinity }, { move: 'claim' }],
    ['nor too often', idle, { upMs: 99 * MINUTE, sinceUnfittingMs: 29 * MINUTE }, { move: 'claim' }],
    ['--once claims its one rocket', idle, { once: true }, { move: 'claim' }],
    [
      '--once has its one rocket',
      flying(1),
      { once: true, taken: 1 },
      stop('one rocket was asked for (--once)'),
    ],
    ['--once finds none', idle, { once: true, lookedInVain: true }, stop('nothing is READY (--once)')],
    ['--once fills its slots', flying(1), { once: true, slots: 2, taken: 1 }, { move: 'claim' }],
    [
      '--once has filled its slots',
      flying(1),
      { once: true, slots: 2, taken: 2 },
      stop('one rocket a slot was asked for (--once)'),
    ],
    [
      '--once finds less than slots',
      flying(1),
      { once: true, slots: 2, taken: 1, lookedInVain: true },
      stop('nothing more is READY (--once)'),
    ],
  ];
  test.each(cases)('%s', (_, life, part, move) => expect(nextMove(life, facts(part), middle)).toEqual(move));
});

describe('when nothing is READY', () => {
  const cases: [string, Partial<Facts>, Move][] = [
    ['it polls soon', {}, { move: 'wait', ms: 250 }],
    ['and slower later', { idleMs: 4 * SECOND }, { move: 'wait', ms: 750 }],
    ['but never less than every two seconds or so', { idleMs: 14 * MINUTE }, { move: 'wait', ms: 2000 }],
    ['it wakes at the limit', { idleMs: 15 * MINUTE - 10 }, { move: 'wait', ms: 10 }],
    ['at 15 minutes it asks what can still come', { idleMs: 15 * MINUTE }, ask('futureWork')],
    [
      'nothing waits: it stops at 15 minutes',
      { idleMs: 15 * MINUTE, futureWork: false },
      stop('idle for 900 s, and nothing waits for work that runs'),
    ],
    ['something waits: it goes on', { idleMs: 15 * MINUTE, futureWork: true }, { move: 'wait', ms: 2000 }],
    ['and wakes at 60 minutes', { idleMs: 60 * MINUTE - 5, futureWork: true }, { move: 'wait', ms: 5 }],
    [
      'something waits: it stops at 60 minutes all the same',
      { idleMs: 60 * MINUTE, futureWork: true },
      stop('idle for 3600 s'),
    ],
    [
      'equal limits: nothing is asked',
      { idleMs: 15 * MINUTE, idleForWaitersMs: 15 * MINUTE },
      stop('idle for 900 s'),
    ],
    [
      'no patience at all: it stops at the first look',
      { idleForRocketsMs: 0, idleForWaitersMs: 0 },
      stop('idle for 0 s'),
    ],
    ['quit=when-idle', { quitWhenIdle: true }, stop('quit=when-idle was asked for, and nothing is READY')],
    [
      'quit=when-idle on a spot VM: is it only held back?',
      { quitWhenIdle: true, heldBack: null },
      ask('heldBack'),
    ],
    [
      'it is: it waits until it may take it',
      { quitWhenIdle: true, heldBack: true },
      { move: 'wait', ms: 250 },
    ],
    [
      'what never fits is told before it stops',
      { quitWhenIdle: true, sinceUnfittingMs: Infinity },
      ask('unfitting'),
    ],
    ['and when it idles for long', { idleMs: 2 * MINUTE, sinceUnfittingMs: 11 * MINUTE }, ask('unfitting')],
    [
      'but not all the time',
      { idleMs: 2 * MINUTE, sinceUnfittingMs: 9 * MINUTE },
      { move: 'wait', ms: 2000 },
    ],
    ['nor at once', { idleMs: 4 * SECOND, sinceUnfittingMs: Infinity }, { move: 'wait', ms: 750 }],
  ];
  test.each(cases)('%s', (_, part, move) =>
    expect(nextMove(idle, facts({ lookedInVain: true, ...part }), middle)).toEqual(move),
  );
});

test('an idle worker looks less than once a second after six seconds, and once in two when it has idled longer', () => {
  const looks = [0];
  for (let at = 0; at < 10 * MINUTE; ) looks.push((at += pollMs(at, middle)));
  const between = (from: number, to: number) => looks.filter((at) => at >= from && at < to).length;
  expect(between(0, 6 * SECOND)).toBeLessThanOrEqual(12);
  expect(between(6 * SECOND, 16 * SECOND)).toBeLessThanOrEqual(8);
  expect(between(MINUTE, 2 * MINUTE)).toBe(30);
  expect(between(0, 10 * MINUTE)).toBeLessThan(320);
});

test('polls are spread, so that 500 workers do not ask in step', () => {
  const idleMs = 10 * MINUTE;
  expect([pollMs(idleMs, () => 0), pollMs(idleMs, middle), pollMs(idleMs, () => 1)]).toEqual([
    1500, 2000, 2500,
  ]);
});
