/** What a fleet costs in requests: Google counts them, and lets a project have so many a minute. */
import { expect, test } from 'bun:test';
import { type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { makeVms } from './create.ts';
import { fleetVms, openFleet } from './fleet.ts';
import { FLEET_LABEL, vmNames } from './names.ts';

/** A cloud that counts its calls, but for those that wait for an operation. */
async function counting(): Promise<{ cloud: TestCloud; calls: string[] }> {
  const calls: string[] = [];
  const cloud = await testCloud({
    onCall: (call) => {
      if (!call.endsWith('/wait'))
        calls.push(call.replace(/.*(?:projects\/\w+\/)/, `${call.split(' ')[0]} `));
    },
  });
  return { cloud, calls };
}

test('up --count 100: one list, one request; quit-soon: one list, and one request for each VM; one list for ps', async () => {
  const { cloud, calls } = await counting();
  await using _ = cloud;
  const fleet = openFleet({ prefix: 'demo' }, cloud.env);
  const names = vmNames('demo', 0, 100);
  const spec = {
    project: 'sandbox',
    prefix: 'demo',
    family: 'fireworker',
    options: {},
    metadata: { db: 'x' },
    spot: false,
  };
  const made = await makeVms(fleet, { names, spec, places: [{ zone: 'us-west1-b' }] }, () => {});
  expect(made.filter(({ error }) => error)).toEqual([]);
  expect(calls).toEqual(['GET aggregated/instances', 'POST zones/us-west1-b/instances/bulkInsert']);

  calls.length = 0;
  expect(await fleetVms(fleet)).toHaveLength(100);
  expect(calls).toEqual(['GET aggregated/instances']);

  calls.length = 0;
  const told = await fleet.compute.setMetadata(await fleetVms(fleet), { quit: 'soon' });
  expect(told.filter(({ error }) => error)).toEqual([]);
  expect(calls).toHaveLength(101);
}, 60_000);

test('ps of 500 VMs: one list for each page of 500', async () => {
  const { cloud, calls } = await counting();
  await using _ = cloud;
  await cloud.boot('demo-0', {}, { labels: { [FLEET_LABEL]: 'demo' } });
  const entry = cloud.compute.vms.get('demo-0');
  if (!entry) throw new Error('demo-0 is not there');
  // One process stands for all of them: nobody asks what it does.
  const others = vmNames('demo', 1, 500);
  for (const name of others) cloud.compute.vms.set(name, { ...entry, resource: { ...entry.resource, name } });
  calls.length = 0;
  const fleet = openFleet({ prefix: 'demo' }, cloud.env);
  expect(await fleetVms(fleet)).toHaveLength(501);
  expect(calls).toHaveLength(2);
  cloud.compute.vms.delete('demo-500');
  calls.length = 0;
  expect(await fleetVms(fleet)).toHaveLength(500);
  expect(calls).toHaveLength(1);
  for (const name of others) cloud.compute.vms.delete(name);
});
