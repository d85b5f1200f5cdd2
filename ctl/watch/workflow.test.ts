import { expect, test } from 'bun:test';
import type { State } from '../../core/launchpad/index.ts';
import { countsOf, countsText, duration, endOf, nextWaitMs, remainingMs, seenOf } from './workflow.ts';

/** A workflow with Fireworks in these states. */
const seen = (state: State, ...states: State[]) =>
  seenOf({
    nodes: [4],
    name: 'w',
    state,
    fw_states: Object.fromEntries(states.map((one, i) => [i + 4, one])),
  });

test.each([
  ['COMPLETED', ['COMPLETED', 'COMPLETED'], 'COMPLETED'],
  // A child that allows fizzled parents completed it.
  ['COMPLETED', ['FIZZLED', 'COMPLETED'], 'COMPLETED'],
  ['RUNNING', ['COMPLETED', 'RUNNING'], 'going'],
  ['READY', ['READY', 'WAITING'], 'going'],
  ['RESERVED', ['RESERVED'], 'going'],
  ['FIZZLED', ['FIZZLED', 'WAITING'], 'FIZZLED'],
  ['FIZZLED', ['FIZZLED', 'RUNNING'], 'going'],
  ['FIZZLED', ['FIZZLED', 'READY'], 'going'],
  ['DEFUSED', ['COMPLETED', 'DEFUSED', 'WAITING'], 'DEFUSED'],
  ['DEFUSED', ['DEFUSED', 'FIZZLED'], 'FIZZLED'],
  ['ARCHIVED', ['ARCHIVED', 'ARCHIVED'], 'ARCHIVED'],
  // Somebody will resume it, or not: it has not ended.
  ['PAUSED', ['PAUSED', 'WAITING'], 'going'],
  // Between two writes of another program the state of the workflow may be behind.
  ['RUNNING', ['COMPLETED', 'COMPLETED'], 'COMPLETED'],
] as const)('a %s workflow of %j: %s', (state, states, end) => {
  expect(endOf(seen(state, ...states))).toBe(end);
});

test('counts are told in the order of a life', () => {
  const counts = countsOf(seen('RUNNING', 'WAITING', 'RUNNING', 'COMPLETED', 'WAITING'));
  expect(countsText(counts)).toBe('1 COMPLETED, 1 RUNNING, 2 WAITING');
});

test.each([
  [{ completedAtFirst: 0, completed: 50, total: 100, watchedMs: 60_000 }, 60_000],
  [{ completedAtFirst: 90, completed: 95, total: 100, watchedMs: 10_000 }, null],
  [{ completedAtFirst: 0, completed: 4, total: 8, watchedMs: 10_000 }, null],
  [{ completedAtFirst: 0, completed: 9, total: 1000, watchedMs: 10_000 }, null],
  [{ completedAtFirst: 0, completed: 10, total: 20, watchedMs: 500 }, null],
  [{ completedAtFirst: 0, completed: 20, total: 20, watchedMs: 10_000 }, null],
])('what is left of %j: %p ms', (o, left) => {
  expect(remainingMs(o)).toBe(left);
});

test.each([
  [400, '0 s'],
  [45_000, '45 s'],
  [200_000, '3 min 20 s'],
  [120_000, '2 min'],
  [7_500_000, '2 h 5 min'],
])('%d ms is %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test('polls grow rarer while nothing happens, and are rarer for big workflows', () => {
  let wait = nextWaitMs({ changed: true, lastMs: 0, fireworks: 10 });
  expect(wait).toBeLessThan(500);
  for (let i = 0; i < 20; i++) wait = nextWaitMs({ changed: false, lastMs: wait, fireworks: 10 });
  expect(wait).toBe(2000);
  expect(nextWaitMs({ changed: true, lastMs: wait, fireworks: 10_000 })).toBeGreaterThan(1000);
});
