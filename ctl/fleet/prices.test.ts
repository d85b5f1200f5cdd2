import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { costOf, dollars, hourlyPrice, readPrices } from './prices.ts';

const prices = readPrices();
const vm = (machineType: string, more = {}) => ({
  machineType,
  spot: false,
  diskGb: 0,
  accelerators: {},
  ...more,
});

test.each([
  // As Google lists them for us-central1.
  ['n1-standard-1', {}, 0.0475],
  ['n2-standard-4', {}, 0.1942],
  ['e2-highcpu-8', {}, 0.1979],
  ['n2d-highmem-2', {}, 0.114],
  ['custom-4-10240', {}, 0.1688],
  ['n2-custom-2-20480-ext', {}, 0.148],
  ['e2-micro', {}, 0.0084],
  ['n1-standard-1', { spot: true }, 0.01425],
  ['n1-standard-1', { accelerators: { 'nvidia-tesla-t4': 2 } }, 0.7475],
  ['n1-standard-1', { diskGb: 730 }, 0.0875],
] as const)('%s %j', (type, more, price) => {
  expect(hourlyPrice(vm(type, more), prices)).toBeCloseTo(price, 3);
});

test('what the table does not know has no price', () => {
  for (const type of ['z9-standard-4', 'n1-huge-4', 'whatever', ''])
    expect(hourlyPrice(vm(type), prices)).toBeNull();
  expect(dollars(costOf(null, 1000))).toBe('?');
});

test('a minute at least is paid', () => {
  expect(costOf(6, 1000)).toBeCloseTo(0.1);
  expect(dollars(costOf(6, 5400_000))).toBe('$9.00');
});

test('a table of your own, and one that is none', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'prices-'));
  try {
    const path = join(dir, 'prices.json');
    await writeFile(path, '{"about": "ours", "perHour": {"big": 7}}');
    expect(hourlyPrice(vm('big'), readPrices(path))).toBe(7);
    await writeFile(path, '{"about": "ours", "perHour": {"big": "7"}}');
    expect(() => readPrices(path)).toThrow('perHour.big: Invalid input: expected number');
    expect(() => readPrices(join(dir, 'none'))).toThrow('It is a table like ctl/fleet/prices.json');
  } finally {
    await rm(dir, { recursive: true });
  }
});
