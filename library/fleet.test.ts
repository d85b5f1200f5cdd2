import { afterAll, beforeAll, expect, test } from 'bun:test';
import { UsageError } from '../core/errors.ts';
import { testPad } from '../core/launchpad/test_pad.ts';
import { TEST_WORKER, type TestCloud, testCloud } from '../sandbox/gcp/test_cloud.ts';
import { Fleet, FleetError } from './fleet.ts';
import { LaunchPad } from './launchpad.ts';

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await testCloud({ fireworker: TEST_WORKER });
});
afterAll(() => cloud[Symbol.asyncDispose]());

/** A fleet of this cloud whose workers need no LaunchPad. */
const demo = () => ({ prefix: 'demo', env: cloud.env, launchpad: '', metadata: { db: 'analysis' } });

test('a fleet from its first VM to its last', async () => {
  await using pad = await testPad();
  const { host, name } = pad.settings;
  await using launchpad = await LaunchPad.connect({ host, name, uri_mode: true });
  const metadata = { note: 'a=b' };
  const fleet = await Fleet.up({
    prefix: 'Night Shift',
    count: 2,
    base: 3,
    spot: true,
    metadata,
    launchpad,
    env: cloud.env,
  });
  expect(fleet.prefix).toBe('night-shift');
  expect(await fleet.list()).toMatchObject([
    { name: 'night-shift-3', status: 'RUNNING', spot: true, metadata: { db: name, host, note: 'a=b' } },
    { name: 'night-shift-4' },
  ]);
  const later = new Fleet({ prefix: 'night-shift', env: cloud.env });
  expect(await later.quitWhenIdle()).toEqual(['night-shift-3', 'night-shift-4']);
  expect(await later.setMetadata({ quit: 'soon', note: 'c' })).toHaveLength(2);
  for (const vm of await later.list())
    expect(vm.metadata).toMatchObject({ db: name, quit: 'soon', note: 'c' });
  await expect(later.gone({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  expect(await later.down()).toEqual(['night-shift-3', 'night-shift-4']);
  await later.gone();
  expect([await later.list(), await later.quitSoon(), await later.down()]).toEqual([[], [], []]);
});

test('VMs that refuse are told, and the others are there', async () => {
  const fleet = await Fleet.up({ ...demo(), count: 1 });
  cloud.faults.add({ service: 'compute', match: 'insert demo-2', operationError: 'QUOTA_EXCEEDED' });
  const thrown = await Fleet.up({ ...demo(), count: 3 }).catch((e) => e);
  expect(thrown).toBeInstanceOf(FleetError);
  expect(thrown).toMatchObject({ done: ['demo-0', 'demo-1'], refused: [{ name: 'demo-2' }] });
  expect(thrown.message).toStartWith("1 of 3 VMs refused: demo-2: Quota 'CPUS' exceeded");
  expect((await fleet.list()).map(({ name }) => name)).toEqual(['demo-0', 'demo-1']);
  await fleet.down();
});

test.each([
  ['how many is no number', { count: Number.NaN }, 'count NaN: must be a whole number from 1 to'],
  ['none at all', { count: 0 }, 'count 0: must be a whole number from 1 to'],
  ['half a VM', { count: 1.5 }, 'count 1.5: must be a whole number'],
  ['a first one before the first', { count: 1, base: -1 }, 'base -1: must be a whole number, at least 0'],
  ['no database', { count: 1, metadata: {} }, 'The workers need a database'],
  ['a name that is none', { count: 1, prefix: '7' }, "PREFIX '7': a VM's name begins with a letter"],
  ['no project', { count: 1, env: { HOME: '/nowhere' } }, 'No Google Cloud project is configured'],
  [
    'half a machine type',
    { count: 1, options: { 'custom-cpu': '2' } },
    '-o custom-cpu and -o custom-memory go together',
  ],
])('nothing is asked for when it is wrong: %s', async (_, wrong, message) => {
  const thrown = await Fleet.up({ ...demo(), ...wrong }).catch((e) => e);
  expect(thrown).toBeInstanceOf(UsageError);
  expect(thrown.message).toContain(message);
  expect(cloud.compute.vms.size).toBe(0);
});
