import { expect, test } from 'bun:test';
import { Suspects } from './suspects.ts';

test('a run is lost when it was silent in every look for long enough', () => {
  const suspects = new Suspects(500);
  expect(suspects.settleMs).toBe(3500);
  expect(suspects.any).toBe(false);
  expect(suspects.after([1, 2], 0)).toEqual([]);
  expect(suspects.any).toBe(true);
  // 2 was heard again, and is silent anew.
  expect(suspects.after([1], 1000)).toEqual([]);
  expect(suspects.after([1, 2], 3000)).toEqual([]);
  expect(suspects.after([1, 2], 3500)).toEqual([1]);
  expect(suspects.after([1, 2], 6500)).toEqual([1, 2]);
});

test('while the LaunchPad is away nobody grows more suspect', () => {
  const suspects = new Suspects(500);
  suspects.after([1], 0);
  suspects.forget();
  expect(suspects.any).toBe(false);
  expect(suspects.after([1], 60_000)).toEqual([]);
  expect(suspects.after([1], 63_500)).toEqual([1]);
});

test('heartbeats that are seldom are repeated soon when they could not be written', () => {
  expect(new Suspects(3_600_000).settleMs).toBe(13_000);
});
