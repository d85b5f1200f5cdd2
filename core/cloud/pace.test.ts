import { expect, test } from 'bun:test';
import { pace } from './pace.ts';

test('a burst starts at once, the rest in step, and after a rest there is a burst again', async () => {
  let clock = 1000;
  const waits: number[] = [];
  const turn = pace(3, 10, {
    now: () => clock,
    sleep: async (ms) => {
      waits.push(ms);
      clock += ms;
    },
  });
  for (let i = 0; i < 5; i++) await turn();
  expect(waits).toEqual([100, 100]);
  clock += 10_000;
  for (let i = 0; i < 3; i++) await turn();
  expect(waits).toEqual([100, 100]);
  await turn();
  expect(waits).toEqual([100, 100, 100]);
});

test('many who come at once wait for their turns', async () => {
  const waits: number[] = [];
  const turn = pace(1, 1, { now: () => 0, sleep: async (ms) => waits.push(ms) });
  await Promise.all([turn(), turn(), turn()]);
  expect(waits).toEqual([1000, 2000]);
});
