import { expect, test } from 'bun:test';
import type { Where } from '../../core/cloud/compute.ts';
import type { ApiRequest } from '../../core/cloud/compute_requests.ts';
import { type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { type Creation, makeVms } from './create.ts';
import { type FleetFlags, openFleet } from './fleet.ts';
import { vmNames } from './names.ts';

/** Tries to make demo-0 .. demo-(count-1), and tells what was said and what became of each. */
async function make(cloud: TestCloud, count: number, o: { places?: Where[]; flags?: FleetFlags } = {}) {
  const fleet = openFleet({ prefix: 'demo', ...o.flags }, cloud.env);
  const creation: Creation = {
    names: vmNames('demo', 0, count),
    places: o.places ?? [{ zone: 'us-west1-b' }],
    spec: {
      project: 'sandbox',
      prefix: 'demo',
      family: 'fireworker',
      options: { subnet: 'mine' },
      metadata: { db: 'x', password: 'hidden' },
      spot: true,
    },
  };
  const said: string[] = [];
  const results = await makeVms(fleet, creation, (text) => said.push(text));
  const became = results.map(
    ({ zone, error, existed }) => error?.message ?? `${existed ? 'was ' : ''}${zone}`,
  );
  return { became, said, requests: fleet.requests };
}

const zonesOf = (cloud: TestCloud) =>
  [...cloud.compute.vms.values()].map(({ vm, place }) => `${vm.name} ${place.zone}`).sort();
const noRoom = (
  cloud: TestCloud,
  match: string,
  operationError = 'ZONE_RESOURCE_POOL_EXHAUSTED',
  times = 1,
) => cloud.faults.add({ service: 'compute', match: `insert ${match}`, operationError, times });

test('a stock-out or a quota in one zone moves the rest to the next, and says so', async () => {
  await using cloud = await testCloud();
  noRoom(cloud, 'demo-1');
  noRoom(cloud, 'demo-3', 'QUOTA_EXCEEDED');
  const { became, said } = await make(cloud, 4, {
    places: [{ zone: 'us-west1-b' }, { zone: 'us-west1-c' }, { zone: 'us-central1-a' }],
  });
  expect(became).toEqual(['us-west1-b', 'us-west1-c', 'us-west1-b', 'us-west1-c']);
  expect(zonesOf(cloud)).toEqual(became.map((zone, i) => `demo-${i} ${zone}`));
  expect(said).toEqual([
    'Creating 4 VMs: demo-0 .. demo-3',
    expect.stringContaining(
      '2 VMs could not be had in us-west1-b: zone us-west1-b has no such machine left now',
    ),
    'Creating 2 VMs: demo-1 .. demo-3 in us-west1-c',
  ]);
  const subnets = [...cloud.compute.vms.values()].map(({ resource }) =>
    JSON.stringify(resource.networkInterfaces),
  );
  for (const subnet of subnets) expect(subnet).toContain('regions/us-west1/subnetworks/mine');
});

test('a whole zone without room moves all, and what no zone has is missing', async () => {
  await using cloud = await testCloud();
  noRoom(cloud, 'demo', 'ZONE_RESOURCE_POOL_EXHAUSTED', 3);
  noRoom(cloud, 'demo-2', 'ZONE_RESOURCE_POOL_EXHAUSTED', 1);
  const places = [{ zone: 'us-west1-a' }, { zone: 'us-west1-b' }];
  const { became } = await make(cloud, 3, { places });
  expect(became.slice(0, 2)).toEqual(['us-west1-b', 'us-west1-b']);
  expect(became[2]).toStartWith('demo-2: zone us-west1-b has no such machine left now');
  // The same again completes the set.
  const again = await make(cloud, 3, { places });
  expect(again.became).toEqual(['was us-west1-b', 'was us-west1-b', 'us-west1-a']);
  expect(again.said).toEqual(['There already: demo-0 .. demo-1', 'Creating 1 VM: demo-2']);
});

test('a quota that refuses the whole request moves all to the next zone', async () => {
  await using cloud = await testCloud();
  cloud.faults.add({ service: 'compute', match: 'bulkInsert', status: 403, reason: 'quotaExceeded' });
  const { became } = await make(cloud, 2, { places: [{ zone: 'us-west1-b' }, { zone: 'us-central1-a' }] });
  expect(became).toEqual(['us-central1-a', 'us-central1-a']);
});

test('what no zone would grant is not asked of the next', async () => {
  await using cloud = await testCloud();
  cloud.faults.add({ service: 'compute', match: 'bulkInsert', status: 403 });
  const { became, said } = await make(cloud, 1, { places: [{ zone: 'us-west1-b' }, { zone: 'us-west1-c' }] });
  expect(became[0]).toContain('The account needs the permission that is named');
  expect(said).toEqual(['Creating 1 VM: demo-0']);
});

test('in a region Google chooses the zones', async () => {
  await using cloud = await testCloud();
  await make(cloud, 3, { places: [{ region: 'us-west1', anyZone: true }] });
  expect(zonesOf(cloud)).toEqual(['demo-0 us-west1-a', 'demo-1 us-west1-b', 'demo-2 us-west1-c']);
  noRoom(cloud, 'demo-4');
  const { became } = await make(cloud, 5, { places: [{ region: 'us-west1', anyZone: false }] });
  expect(zonesOf(cloud)).toContain('demo-3 us-west1-a');
  expect(became[4]).toContain('region us-west1 has no such machine left now');
});

test('VMs of others, and VMs that have stopped, are not taken for new ones', async () => {
  await using cloud = await testCloud();
  await cloud.boot('demo-0');
  await make(cloud, 2);
  await cloud.compute.vms.get('demo-1')?.vm.stop();
  const { became } = await make(cloud, 3);
  expect(became).toEqual([
    'demo-0 exists already and is no VM of this fleet. Choose other numbers with --base, or another PREFIX',
    'demo-1 is TERMINATED: delete it (borealisctl down) and run the same command again',
    'us-west1-b',
  ]);
});

test('a name that somebody takes meanwhile does not keep the others from being made', async () => {
  await using cloud = await testCloud();
  // The list does not know it, and then it is there.
  await cloud.boot('stranger-0');
  const entry = cloud.compute.vms.get('stranger-0');
  if (entry) cloud.compute.vms.set('demo-1', entry);
  const { became } = await make(cloud, 3);
  expect(became).toEqual([
    'us-west1-b',
    'demo-1 exists already. Choose other numbers with --base, or delete it: borealisctl down',
    'us-west1-b',
  ]);
  cloud.compute.vms.delete('demo-1');
});

test('what passes is asked again, and nothing is made twice', async () => {
  await using cloud = await testCloud();
  cloud.faults.add({ service: 'compute', match: 'bulkInsert', status: 403, reason: 'rateLimitExceeded' });
  cloud.faults.add({ service: 'compute', match: 'bulkInsert', cut: true });
  const { became } = await make(cloud, 2);
  expect(became).toEqual(['us-west1-b', 'us-west1-b']);
  const { items } = await cloud.json('GET', `${cloud.zone}/operations?filter=operationType=bulkInsert`);
  expect(items).toHaveLength(1);
}, 60_000);

test('a dry run tells exactly what would be asked for', async () => {
  const sent: Promise<ApiRequest>[] = [];
  await using cloud = await testCloud({
    onCall: (call, request) => {
      if (!call.startsWith('GET') && !call.endsWith('/wait'))
        sent.push(requestOf(request.clone() as Request));
    },
  });
  const { requests } = await make(cloud, 3, { flags: { 'dry-run': true } });
  expect([cloud.compute.vms.size, sent.length]).toEqual([0, 0]);
  await make(cloud, 3);
  expect(await Promise.all(sent)).toEqual(requests as ApiRequest[]);
  sent.length = 0;
  const dry = openFleet({ prefix: 'demo', 'dry-run': true }, cloud.env).compute;
  const told: ApiRequest[] = [];
  dry.world.dryRun = (request) => told.push(request);
  const { compute } = openFleet({ prefix: 'demo' }, cloud.env);
  for (const one of [dry, compute]) {
    const vms = await one.list('');
    await one.setMetadata(vms.slice(0, 1), { quit: 'soon', db: null });
    await one.delete(vms.slice(1, 2));
  }
  expect(await Promise.all(sent)).toEqual(told);
});

/** Google's client adds these two, empty, where they are not given. */
const withoutAdded = (key: string, value: unknown) =>
  ['labels', 'resourceManagerTags'].includes(key) && JSON.stringify(value) === '{}' ? undefined : value;

/** A request as it came, with the id that a dry run has. */
async function requestOf(request: Request): Promise<ApiRequest> {
  const url = new URL(request.url);
  url.searchParams.set('requestId', 'REQUEST_ID');
  const bytes = new Uint8Array(await request.arrayBuffer());
  const text = new TextDecoder().decode(
    request.headers.get('content-encoding') === 'gzip' ? Bun.gunzipSync(bytes) : bytes,
  );
  return {
    method: request.method as ApiRequest['method'],
    url: `${url}`.replace('//projects', '/projects'),
    ...(text !== '' && { body: JSON.parse(text, withoutAdded) }),
  };
}
