import { expect, test } from 'bun:test';
import { type RetryPolicy, retry } from './retry.ts';

const policy: RetryPolicy = {
  retryable: (e) => e !== 'final',
  firstDelayMs: 100,
  longestDelayMs: 300,
  deadlineMs: 10_000,
};

function world() {
  const delays: number[] = [];
  let clock = 0;
  return {
    delays,
    now: () => clock,
    random: () => 0.5,
    sleep: async (ms: number) => {
      delays.push(ms);
      clock += ms;
      return true;
    },
  };
}

test('delays double up to the longest, then the result comes through', async () => {
  const w = world();
  let calls = 0;
  const result = await retry(policy, async () => (++calls < 5 ? Promise.reject('again') : 'done'), w);
  expect(result).toBe('done');
  expect(w.delays).toEqual([100, 200, 300, 300]);
});

test('a failure that is not retryable is thrown at once', async () => {
  const w = world();
  expect(retry(policy, () => Promise.reject('final'), w)).rejects.toBe('final');
  expect(w.delays).toEqual([]);
});

test('no attempt starts after the deadline', async () => {
  const w = world();
  let calls = 0;
  await retry({ ...policy, deadlineMs: 650 }, () => Promise.reject(`failure ${++calls}`), w).catch(() => {});
  expect(w.delays).toEqual([100, 200, 300]);
  expect(calls).toBe(4);
});
