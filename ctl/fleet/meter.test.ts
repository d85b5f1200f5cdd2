import { expect, test } from 'bun:test';
import type { Vm } from '../../core/cloud/compute.ts';
import { Meter } from './meter.ts';
import { readPrices } from './prices.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
const vm = (name: string, created: number, machineType = 'n1-standard-1'): Vm => ({
  name,
  zone: 'z',
  status: 'RUNNING',
  machineType,
  created: at(created),
  labels: {},
  metadata: {},
  fingerprint: '',
  spot: false,
  diskGb: 0,
  accelerators: {},
});

test('VM-hours: from when each was made, or the start, to when it was last seen', () => {
  const meter = new Meter(at(10));
  meter.saw([vm('old', 0), vm('new', 20)], at(30));
  meter.saw([vm('old', 0)], at(70));
  // A new VM of an old name.
  meter.saw([vm('new', 71)], at(73));
  const { vms, vmHours, cost } = meter.usage(readPrices());
  expect(vms).toBe(3);
  expect(vmHours * 60).toBeCloseTo(60 + 10 + 2);
  expect(cost).toBeCloseTo(0.0475 * 1.2, 3);
});

test('what has no price makes the cost unknown', () => {
  const meter = new Meter(at(0));
  meter.saw([vm('a', 0), vm('b', 0, 'z9-odd-1')], at(60));
  expect(meter.usage(readPrices())).toEqual({ vms: 2, vmHours: 2, cost: null });
});

test('it looks until it is told to stop, and a failed look is no end', async () => {
  const meter = new Meter(at(0));
  const stop = new AbortController();
  let looks = 0;
  await meter.run(
    async () => {
      if (++looks === 3) stop.abort();
      if (looks === 2) throw new Error('away');
      return [vm('a', 0)];
    },
    1,
    stop.signal,
  );
  expect([looks, meter.usage(readPrices()).vms]).toEqual([4, 1]);
});
