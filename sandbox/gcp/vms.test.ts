import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify } from './processes.ts';
import { type Json, TEST_WORKER, type TestCloud, testCloud, until, vmBody } from './test_cloud.ts';
import { sweepVms } from './vms.ts';

const said = (cloud: TestCloud, name = 'demo-0') =>
  readFile(join(cloud.dir, 'vms', name, 'said'), 'utf8').catch(() => '');
const ready = (cloud: TestCloud, name = 'demo-0') =>
  until(async () => (await said(cloud, name)).includes('ready'));
const start = async (cloud: TestCloud, method: string, path: string) => {
  const { name } = await cloud.json(method, `${cloud.zone}/instances/${path}`);
  return () => cloud.json('POST', `${cloud.zone}/operations/${name}/wait`);
};

test('a VM is a process with a folder and a metadata address of its own', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER, env: { EXTRA: '1' } });
  await Promise.all([cloud.boot('demo-0'), cloud.boot('demo-1')]);
  await Promise.all([ready(cloud), ready(cloud, 'demo-1')]);
  const [one, two] = [...cloud.compute.vms.values()].map(({ vm }) => vm);
  expect(one?.pid).not.toBe(two?.pid as number);
  expect(one?.metadataHost).not.toBe(two?.metadataHost as string);
  const environ = await readFile(`/proc/${one?.pid}/environ`, 'utf8');
  const env = Object.fromEntries(environ.split('\0').map((pair) => pair.split(/=(.*)/s)));
  expect(env).toMatchObject({
    ...cloud.env,
    EXTRA: '1',
    GCE_METADATA_HOST: one?.metadataHost,
    HOME: join(cloud.dir, 'vms', 'demo-0'),
    HOSTNAME: 'demo-0',
  });
  expect(env.CI ?? env.USER).toBeUndefined();
  const file = join(cloud.dir, 'vms', 'demo-0', 'my_launchpad.yaml');
  expect(await readFile(file, 'utf8')).toBe('host: 127.0.0.1\n');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const status = await cloud.json('GET', '/sandbox/status');
  expect(status).toEqual({
    vms: [one, two].map((vm) => ({
      name: vm?.name,
      state: 'RUNNING',
      pid: vm?.pid,
      metadata: vm?.metadataHost,
    })),
    buckets: ['sandbox'],
  });
});

test('deleting sends SIGTERM, and what obeys has ended well', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER });
  await cloud.boot('demo-0');
  await ready(cloud);
  const { vm } = cloud.compute.vms.get('demo-0') ?? {};
  const pid = vm?.pid as number;
  const host = vm?.metadataHost;
  await (await start(cloud, 'DELETE', 'demo-0'))();
  expect(await said(cloud)).toBe('ready\nSIGTERM\n');
  expect(identify(pid)).toBeNull();
  expect((await cloud.call('GET', `${cloud.zone}/instances/demo-0`)).status).toBe(404);
  expect(await fetch(`http://${host}/`).catch(() => 'closed')).toBe('closed');
});

test('what does not obey is killed after the grace time, with its children, and hears one SIGTERM only', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER, graceMs: 150 });
  await cloud.boot('demo-0', { mode: 'parent' });
  await ready(cloud);
  const pid = cloud.compute.vms.get('demo-0')?.vm.pid as number;
  const child = Number(/child (\d+)/.exec(await said(cloud))?.[1]);
  expect(identify(child)).not.toBeNull();
  const [first, second] = [await start(cloud, 'DELETE', 'demo-0'), await start(cloud, 'DELETE', 'demo-0')];
  await until(async () => (await said(cloud)).includes('SIGTERM'));
  expect(identify(pid)).not.toBeNull();
  await Promise.all([first(), second()]);
  expect((await said(cloud)).match(/SIGTERM/g)).toHaveLength(1);
  expect(identify(pid)).toBeNull();
  await until(() => identify(child) === null);
});

test('a VM that deletes itself is gone', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER });
  await cloud.boot('demo-0', { mode: 'last' });
  await until(() => !cloud.compute.vms.has('demo-0'));
  expect(await said(cloud)).toContain('SIGTERM');
  const { items } = await cloud.json('GET', `${cloud.zone}/operations?filter=operationType=delete`);
  expect(items).toMatchObject([{ status: 'DONE', targetLink: `${cloud.zone}/instances/demo-0` }]);
});

test('a preempted VM has its notice, then SIGTERM, then the end; its scheduling says whether it stays listed', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER, graceMs: 60_000, preemptionMs: 200 });
  const spot = (then: string) => ({
    scheduling: { provisioningModel: 'SPOT', instanceTerminationAction: then },
  });
  await cloud.boot('demo-0', { mode: 'stubborn' }, spot('DELETE'));
  await cloud.boot('demo-1', { mode: 'stubborn' }, spot('STOP'));
  await Promise.all([ready(cloud), ready(cloud, 'demo-1')]);
  const host = cloud.compute.vms.get('demo-0')?.vm.metadataHost;
  const path = `http://${host}/computeMetadata/v1/instance/preempted`;
  const flavor = { 'Metadata-Flavor': 'Google' };
  expect(await (await cloud.call('GET', path, undefined, flavor)).text()).toBe('FALSE');
  const notice = cloud.call('GET', `${path}?wait_for_change=true`, undefined, flavor);
  const over = cloud.preempt('demo-0');
  expect(await (await notice).text()).toBe('TRUE');
  await until(async () => (await said(cloud)).includes('SIGTERM'));
  expect(await cloud.json('GET', `${cloud.zone}/instances/demo-0`)).toMatchObject({ status: 'STOPPING' });
  await over;
  expect(cloud.compute.vms.has('demo-0')).toBe(false);
  const { items } = await cloud.json(
    'GET',
    `${cloud.zone}/operations?filter=operationType=compute.instances.preempted`,
  );
  expect(items).toMatchObject([{ status: 'DONE', user: 'system' }]);

  await (await start(cloud, 'POST', 'demo-1/simulateMaintenanceEvent'))();
  expect(await cloud.json('GET', `${cloud.zone}/instances/demo-1`)).toMatchObject({
    status: 'TERMINATED',
    scheduling: { preemptible: true, onHostMaintenance: 'TERMINATE', automaticRestart: false },
    lastStopTimestamp: expect.any(String),
  });
});

test('a maintenance event is told before, and undone after', async () => {
  await using cloud = await testCloud({ maintenanceMs: 100 });
  await cloud.boot('demo-0');
  const host = cloud.compute.vms.get('demo-0')?.vm.metadataHost;
  const read = async (query = '') => {
    const path = `http://${host}/computeMetadata/v1/instance/maintenance-event${query}`;
    return await (await cloud.call('GET', path, undefined, { 'Metadata-Flavor': 'Google' })).text();
  };
  expect(await read()).toBe('NONE');
  const notice = read('?wait_for_change=true');
  const done = await start(cloud, 'POST', 'demo-0/simulateMaintenanceEvent');
  expect(await notice).toBe('MIGRATE_ON_HOST_MAINTENANCE');
  await done();
  expect(await read()).toBe('NONE');
  expect(await cloud.json('GET', `${cloud.zone}/instances/demo-0`)).toMatchObject({ status: 'RUNNING' });
});

test('a VM that is deleted before it has booted never runs, and the next of its name has a new disk', async () => {
  await using cloud = await testCloud({ fireworker: TEST_WORKER });
  const insert = await cloud.json('POST', `${cloud.zone}/instances`, vmBody('demo-0'));
  const done = await start(cloud, 'DELETE', 'demo-0');
  await Promise.all([done(), cloud.json('POST', `${cloud.zone}/operations/${insert.name}/wait`)]);
  expect(cloud.compute.vms.size).toBe(0);
  expect(existsSync(join(cloud.dir, 'vms', 'demo-0', 'process.json'))).toBe(false);
  await mkdir(join(cloud.dir, 'vms', 'demo-0'), { recursive: true });
  await writeFile(join(cloud.dir, 'vms', 'demo-0', 'old'), '');
  await cloud.boot('demo-0');
  expect(existsSync(join(cloud.dir, 'vms', 'demo-0', 'old'))).toBe(false);
});

test('a worker that cannot be started fails the insert, and the VM is there to be looked at and deleted', async () => {
  await using cloud = await testCloud({ fireworker: ['/no/such/program'] });
  const insert = await cloud.json('POST', `${cloud.zone}/instances`, vmBody('demo-0'));
  const done = await cloud.json('POST', `${cloud.zone}/operations/${insert.name}/wait`);
  const [error] = (done.error as { errors: Json[] }).errors;
  expect(error).toMatchObject({
    code: 'INTERNAL_ERROR',
    message: expect.stringContaining('/no/such/program'),
  });
  expect(await cloud.json('GET', `${cloud.zone}/instances/demo-0`)).toMatchObject({ status: 'TERMINATED' });
  await (await start(cloud, 'DELETE', 'demo-0'))();
  expect(cloud.compute.vms.size).toBe(0);
});

test('VMs that a killed sandbox left are ended by their identity, not by their number alone', async () => {
  await using cloud = await testCloud();
  await using left = {
    child: Bun.spawn(['sleep', '600'], { detached: true }),
    async [Symbol.asyncDispose]() {
      this.child.kill('SIGKILL');
    },
  };
  const folder = join(cloud.dir, 'vms', 'old-0');
  await mkdir(folder, { recursive: true });
  const id = identify(left.child.pid);
  await writeFile(join(folder, 'process.json'), JSON.stringify({ ...id, started: '1' }));
  expect(await sweepVms(cloud.dir)).toBe(0);
  expect(identify(left.child.pid)).not.toBeNull();
  await writeFile(join(folder, 'process.json'), JSON.stringify(id));
  expect(await sweepVms(cloud.dir)).toBe(1);
  expect(await left.child.exited).not.toBe(0);
  expect(existsSync(join(folder, 'process.json'))).toBe(false);
});
