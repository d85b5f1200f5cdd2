import { expect, test } from 'bun:test';
import { type Demand, fit, freeNumbers, type Limits, type Supply } from './fit.ts';

const now = new Date('2026-11-25T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);

const cases: [string, Partial<Demand>, Partial<Supply>, Partial<Limits>, number, string][] = [
  ['one VM for each READY', { ready: 5 }, {}, {}, 5, '0 VMs become 5'],
  ['those that are there count', { ready: 5 }, { vms: 3 }, {}, 2, '3 VMs become 5'],
  ['those that fly are not free', { ready: 2 }, { vms: 3, flying: 3 }, {}, 2, '3 VMs become 5'],
  ['idle ones take what is READY', { ready: 2 }, { vms: 5, flying: 3 }, {}, 0, '5 VMs fit'],
  ['never over --max', { ready: 100 }, { vms: 8, flying: 8 }, {}, 2, '8 VMs become 10'],
  ['at --max', { ready: 100 }, { vms: 10, flying: 10 }, {}, 0, 'as many as there may be (--max)'],
  ['over --max, by somebody else', { ready: 100 }, { vms: 12, flying: 12 }, {}, 0, '(--max)'],
  ['--min when there is nothing to do', {}, {}, { min: 2 }, 2, '0 VMs become 2'],
  ['--min is there', {}, { vms: 2 }, { min: 2 }, 0, '2 VMs fit'],
  ['nothing to do', {}, {}, {}, 0, '0 VMs fit'],
  ['what waits needs nobody yet', { waiting: 50 }, {}, {}, 0, '50 WAITING'],
  ['too many leave by themselves', { ready: 1 }, { vms: 6 }, {}, 0, 'idle ones leave'],
  ['several for each VM', { ready: 7 }, { vms: 1, flying: 1 }, { perVm: 4 }, 1, '1 VMs become 2'],
  ['cool-down', { ready: 5 }, { vms: 1, newest: ago(20) }, {}, 0, '4 more are wanted, in 40 s (cool-down)'],
  ['after it', { ready: 5 }, { vms: 1, newest: ago(60) }, {}, 4, '1 VMs become 5'],
];

test.each(cases)('%s', (_, demand, supply, limits, count, why) => {
  const move = fit(
    { ready: 0, waiting: 0, ...demand },
    { vms: 0, flying: 0, newest: null, ...supply },
    { min: 0, max: 10, perVm: 1, cooldownMs: 60_000, ...limits },
    now,
  );
  expect(move.why).toContain(why);
  expect(move).toMatchObject(count > 0 ? { move: 'grow', count } : { move: 'stay' });
});

test('new VMs get the lowest numbers that are free', () => {
  expect(freeNumbers('demo', ['demo-0', 'demo-2', 'other-1'], 3)).toEqual([1, 3, 4]);
  expect(freeNumbers('demo', [], 0)).toEqual([]);
});
