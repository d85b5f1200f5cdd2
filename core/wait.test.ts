import { expect, test } from 'bun:test';
import { jitter, sleep, unlessAborted } from './wait.ts';

test('a sleep is over when the time has passed, or when it is cut short', async () => {
  expect(await sleep(1)).toBe(true);
  const cut = new AbortController();
  const sleeping = sleep(600_000, cut.signal);
  cut.abort();
  expect([await sleeping, await sleep(600_000, cut.signal)]).toEqual([false, false]);
});

test('jitter spreads evenly around a time', () => {
  expect([0, 0.5, 1].map((random) => jitter(100, 0.5, () => random))).toEqual([50, 100, 150]);
});

test('what comes before the abort is given, also a failure; afterwards neither', async () => {
  const stop = new AbortController();
  const { signal } = stop;
  expect(await unlessAborted(signal, Promise.resolve(5))).toBe(5);
  await expect(unlessAborted(signal, Promise.reject(new Error('no')))).rejects.toThrow('no');
  const late = Promise.withResolvers<number>();
  const waiting = unlessAborted(signal, late.promise);
  stop.abort();
  expect(await waiting).toBeNull();
  late.reject(new Error('nobody hears this'));
  expect(await unlessAborted(signal, Promise.reject(new Error('nor this')))).toBeNull();
});
