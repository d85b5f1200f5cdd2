import { describe, expect, test } from 'bun:test';
import { MINUTE, SECOND } from '../core/wait.ts';
import { beforeClaim, type Move, pollMs, type WorkerState, whenIdle } from './moves.ts';

const middle = () => 0.5;
const state = (part: Partial<WorkerState> = {}): WorkerState => ({
  stop: null,
  quitWhenIdle: false,
  idleMs: 0,
  futureWork: null,
  idleForRocketsMs: 15 * MINUTE,
  idleForWaitersMs: 60 * MINUTE,
  once: false,
  flown: 0,
  ...part,
});
const soon = { why: 'quit=soon was asked for', haste: 'after this rocket' } as const;
const now = { why: 'SIGTERM', haste: 'now' } as const;

describe('before a claim', () => {
  const cases: [string, Partial<WorkerState>, Move][] = [
    ['a fresh worker looks for work', {}, { move: 'claim' }],
    ['quit=soon stops between rockets', { stop: soon, flown: 3 }, { move: 'stop', why: soon.why }],
    ['SIGTERM stops', { stop: now }, { move: 'stop', why: now.why }],
    ['quit=when-idle goes on while something is READY', { quitWhenIdle: true, flown: 3 }, { move: 'claim' }],
    ['--once claims its one rocket', { once: true }, { move: 'claim' }],
    [
      '--once has flown its one rocket',
      { once: true, flown: 1 },
      { move: 'stop', why: 'one rocket was asked for (--once)' },
    ],
    ['a long idle worker still looks first', { idleMs: 99 * MINUTE }, { move: 'claim' }],
  ];
  test.each(cases)('%s', (_, part, move) => expect(beforeClaim(state(part))).toEqual(move));
});

describe('when nothing is READY', () => {
  const cases: [string, Partial<WorkerState>, Move][] = [
    ['it polls soon', {}, { move: 'sleep', ms: 250 }],
    ['and slower later', { idleMs: 4 * SECOND }, { move: 'sleep', ms: 750 }],
    ['but never less than every two seconds or so', { idleMs: 14 * MINUTE }, { move: 'sleep', ms: 2000 }],
    ['it wakes at the limit', { idleMs: 15 * MINUTE - 10 }, { move: 'sleep', ms: 10 }],
    ['at 15 minutes it asks what can still come', { idleMs: 15 * MINUTE }, { move: 'askFuture' }],
    [
      'nothing waits: it stops at 15 minutes',
      { idleMs: 15 * MINUTE, futureWork: false },
      { move: 'stop', why: 'idle for 900 s, and nothing waits for work that runs' },
    ],
    ['something waits: it goes on', { idleMs: 15 * MINUTE, futureWork: true }, { move: 'sleep', ms: 2000 }],
    ['and wakes at 60 minutes', { idleMs: 60 * MINUTE - 5, futureWork: true }, { move: 'sleep', ms: 5 }],
    [
      'something waits: it stops at 60 minutes all the same',
      { idleMs: 60 * MINUTE, futureWork: true },
      { move: 'stop', why: 'idle for 3600 s' },
    ],
    [
      'equal limits: nothing is asked',
      { idleMs: 15 * MINUTE, idleForWaitersMs: 15 * MINUTE },
      { move: 'stop', why: 'idle for 900 s' },
    ],
    [
      'no patience at all: it stops at the first look',
      { idleForRocketsMs: 0, idleForWaitersMs: 0 },
      { move: 'stop', why: 'idle for 0 s' },
    ],
    ['quit=soon', { stop: soon }, { move: 'stop', why: soon.why }],
    [
      'quit=when-idle',
      { quitWhenIdle: true },
      { move: 'stop', why: 'quit=when-idle was asked for, and nothing is READY' },
    ],
    [
      'a wish to stop comes before quit=when-idle',
      { stop: now, quitWhenIdle: true },
      { move: 'stop', why: 'SIGTERM' },
    ],
    ['--once', { once: true }, { move: 'stop', why: 'nothing is READY (--once)' }],
  ];
  test.each(cases)('%s', (_, part, move) => expect(whenIdle(state(part), middle)).toEqual(move));
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
  const idle = 10 * MINUTE;
  expect([pollMs(idle, () => 0), pollMs(idle, middle), pollMs(idle, () => 1)]).toEqual([1500, 2000, 2500]);
});
