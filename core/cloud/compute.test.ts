import { expect, test } from 'bun:test';
import { type TestCloud, testCloud, vmBody } from '../../sandbox/gcp/test_cloud.ts';
import { Compute, type InstanceBody } from './compute.ts';
import { readEndpoints } from './endpoints.ts';

function open(cloud: TestCloud, zone = 'us-west1-b') {
  const delays: number[] = [];
  const world = {
    sleep: async (ms: number) => {
      delays.push(ms);
      return true;
    },
    random: () => 0.5,
  };
  const compute = new Compute('sandbox', zone, readEndpoints(cloud.env), world);
  return Object.assign(compute, { delays });
}
const at = (...names: string[]) => names.map((name) => ({ name, zone: 'us-west1-b' }));
const bodies = (...names: string[]) => names.map((name) => vmBody(name, { db: 'x' }) as InstanceBody);
const calls = async (cloud: TestCloud, type: string) => {
  const { items = [] } = await cloud.json('GET', `${cloud.zone}/operations?filter=operationType=${type}`);
  return (items as unknown[]).length;
};

test('VMs are made, listed in pages, changed and deleted', async () => {
  await using cloud = await testCloud();
  const compute = open(cloud);
  const heard: string[] = [];
  const made = await compute.insert(bodies('demo-2', 'demo-10', 'demo-1'), 'us-west1-b', ({ name }) =>
    heard.push(name),
  );
  expect(made).toEqual(at('demo-2', 'demo-10', 'demo-1'));
  expect(heard.sort()).toEqual(['demo-1', 'demo-10', 'demo-2']);
  const listed = await compute.list('name=demo-*', 2);
  expect(listed.map(({ name }) => name)).toEqual(['demo-1', 'demo-2', 'demo-10']);
  expect(listed[0]).toEqual({
    name: 'demo-1',
    zone: 'us-west1-b',
    status: 'RUNNING',
    machineType: 'n1-standard-1',
    created: expect.any(Date) as Date,
    labels: {},
    metadata: { db: 'x' },
    fingerprint: expect.any(String) as string,
    spot: false,
    diskGb: 10,
    accelerators: {},
  });
  expect(await compute.list('name=nobody')).toEqual([]);
  expect(await compute.setMetadata(at('demo-1'), { quit: 'soon', note: 'a=b' })).toEqual(at('demo-1'));
  const [one] = await compute.list('name=demo-1');
  expect(one?.metadata).toEqual({ db: 'x', quit: 'soon', note: 'a=b' });
  expect(await compute.delete(at('demo-1', 'demo-2', 'never-was'))).toEqual(
    at('demo-1', 'demo-2', 'never-was'),
  );
  await compute.requestDelete('demo-10');
  await compute.requestDelete('never-was');
  expect(await calls(cloud, 'delete')).toBe(3);
  expect(compute.delays).toEqual([]);
});

test('what passes is asked again with growing pauses, and nothing is done twice', async () => {
  await using cloud = await testCloud();
  const compute = open(cloud);
  for (const status of [503, 429]) cloud.faults.add({ service: 'compute', match: 'POST', status });
  cloud.faults.add({ service: 'compute', match: 'POST', status: 403, reason: 'rateLimitExceeded' });
  // The VM is made, and the answer that says so is lost.
  cloud.faults.add({ service: 'compute', match: 'POST', cut: true });
  expect(await compute.insert(bodies('demo-0'))).toEqual(at('demo-0'));
  expect(compute.delays).toEqual([500, 1000, 2000, 4000]);
  expect(await calls(cloud, 'insert')).toBe(1);

  cloud.faults.add({ service: 'compute', match: '/aggregated/', status: 503 });
  cloud.faults.add({ service: 'compute', match: '/wait', status: 500 });
  cloud.faults.add({ service: 'compute', match: 'DELETE', cut: true });
  expect(await compute.list('')).toHaveLength(1);
  expect(await compute.delete(at('demo-0'))).toEqual(at('demo-0'));
  expect(await calls(cloud, 'delete')).toBe(1);
});

test('metadata that others change at the same time are all kept', async () => {
  await using cloud = await testCloud();
  const compute = open(cloud);
  await cloud.boot('demo-0', { db: 'x' });
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const results = await Promise.all(keys.map((key) => compute.setMetadata(at('demo-0'), { [key]: key })));
  expect(results.flat().filter(({ error }) => error)).toEqual([]);
  const [vm] = await compute.list('');
  expect(vm?.metadata).toEqual({ db: 'x', a: 'a', b: 'b', c: 'c', d: 'd', e: 'e' });
});

test('a VM that cannot be had says why and what to do, and the others are made', async () => {
  await using cloud = await testCloud();
  const compute = open(cloud);
  await cloud.boot('demo-1');
  cloud.faults.add({ service: 'compute', match: 'insert demo-2', operationError: 'QUOTA_EXCEEDED' });
  cloud.faults.add({
    service: 'compute',
    match: 'insert demo-3',
    operationError: 'ZONE_RESOURCE_POOL_EXHAUSTED',
  });
  const disks = [
    { boot: true, initializeParams: { sourceImage: 'projects/sandbox/global/images/family/old' } },
  ];
  const results = await compute.insert([
    ...bodies('demo-0', 'demo-1', 'demo-2', 'demo-3'),
    { ...bodies('demo-4')[0], disks },
    { ...bodies('demo-5')[0], labels: { Bad: '' } },
  ]);
  expect(results.map(({ error }) => error?.message)).toEqual([
    undefined,
    'demo-1 exists already. Choose other numbers with --base, or delete it: borealisctl down',
    "demo-2: Quota 'CPUS' exceeded.  Limit: 24.0 in region us-west1. Use fewer or smaller VMs, or ask for more quota: https://console.cloud.google.com/iam-admin/quotas",
    'demo-3: zone us-west1-b has no such machine left now (ZONE_RESOURCE_POOL_EXHAUSTED). Try another zone (--zone), another machine type (-o machine-type=...), or later',
    "demo-4: The resource 'projects/sandbox/global/images/family/old' was not found. Build the disk image, or name another with --family",
    expect.stringContaining("Cannot create demo-5: Invalid value for field 'resource.labels': 'Bad='"),
  ]);
  expect(compute.delays).toEqual([]);
  const set = await compute.setMetadata(at('demo-0', 'nobody'), { quit: 'soon' });
  expect(set.map(({ error }) => error?.message)).toEqual([
    undefined,
    'nobody: there is no such VM in zone us-west1-b',
  ]);
});

test('a zone or project that is not there, an API that is gone, a permission that lacks', async () => {
  await using cloud = await testCloud();
  const elsewhere = await open(cloud, 'moon1-a').insert(bodies('demo-0'));
  expect(elsewhere[0]?.error?.message).toBe(
    "Cannot create demo-0: Invalid value for field 'zone': 'moon1-a'. Unknown zone.",
  );
  const other = new Compute('other', 'us-west1-b', readEndpoints(cloud.env));
  await expect(other.list('')).rejects.toThrow(
    "Cannot list the VMs of project other: The resource 'projects/other' was not found.",
  );
  cloud.faults.add({ service: 'compute', status: 401 });
  await expect(open(cloud).list('')).rejects.toThrow('Sign in: gcloud auth application-default login');
  const compute = open(cloud);
  await cloud.stop();
  await expect(
    new Compute('sandbox', 'us-west1-b', readEndpoints(cloud.env), {
      now: (() => {
        // An hour for each look at the clock: the second attempt would come too late.
        let hours = 0;
        return () => hours++ * 3_600_000;
      })(),
    }).list(''),
  ).rejects.toThrow('list the VMs of project sandbox');
  expect(compute.delays).toEqual([]);
});
