import { expect, test } from 'bun:test';
import { testCloud, until } from '../../sandbox/gcp/test_cloud.ts';
import { type Instance, MetadataClient } from './metadata.ts';

async function vm(attributes: Record<string, string> = {}) {
  const cloud = await testCloud();
  await cloud.boot('demo-0', attributes);
  const { vm } = cloud.compute.vms.get('demo-0') ?? {};
  const client = new MetadataClient(String(vm?.metadataHost));
  const set = async (key: string, value: string) => {
    const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/demo-0`);
    const { fingerprint } = metadata as { fingerprint: string };
    await cloud.json('POST', `${cloud.zone}/instances/demo-0/setMetadata`, {
      fingerprint,
      items: [{ key, value }],
    });
  };
  return Object.assign(cloud, { client, set, id: String(vm?.id) });
}

test('what a VM knows of itself, its id to the last digit', async () => {
  await using cloud = await vm({ db: 'x', 'a-b': '{"id":1}' });
  expect(await cloud.client.instance()).toEqual({
    name: 'demo-0',
    id: cloud.id,
    zone: 'us-west1-b',
    attributes: { db: 'x', 'a-b': '{"id":1}' },
    preempted: false,
    spot: false,
  });
  expect(cloud.id).toMatch(/^\d{19}$/);
  expect(await cloud.client.projectId()).toBe('sandbox');
  expect(await cloud.client.get('instance/attributes/db')).toBe('x');
  expect(await cloud.client.get('instance/attributes/none')).toBeNull();
});

test('where no metadata server answers, or another server does, this is no VM', async () => {
  expect(await new MetadataClient('127.0.0.1:1').instance()).toBeNull();
  expect(await new MetadataClient('no-such-host.invalid').instance()).toBeNull();
  using other = Bun.serve({ port: 0, fetch: () => new Response('<html>') });
  expect(await new MetadataClient(`127.0.0.1:${other.port}`).instance()).toBeNull();
  using silent = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => {}) });
  expect(await new MetadataClient(`127.0.0.1:${silent.port}`, 30).instance()).toBeNull();
});

test('on a machine of Google’s the server is waited for; when it does not come, that is told', async () => {
  await using cloud = await vm();
  const insist = { retryable: () => true, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 2000 };
  cloud.faults.add({ service: 'metadata', match: '/instance/', status: 503, times: 2 });
  expect((await cloud.client.instance(insist))?.name).toBe('demo-0');
  cloud.faults.add({ service: 'metadata', match: '/instance/', status: 503 });
  expect(await cloud.client.instance()).toBeNull();
  cloud.faults.add({ service: 'metadata', match: 'project-id', status: 503 });
  expect(await cloud.client.projectId()).toBe('sandbox');
  const gone = new MetadataClient('127.0.0.1:1').instance({ ...insist, deadlineMs: 20 });
  await expect(gone).rejects.toThrow("This is a VM of Google's, and its metadata server does not answer: ");
});

test('whether it can be preempted', async () => {
  await using cloud = await vm();
  await cloud.boot('spot-0', {}, { scheduling: { provisioningModel: 'SPOT' } });
  const host = String(cloud.compute.vms.get('spot-0')?.vm.metadataHost);
  expect((await new MetadataClient(host).instance())?.spot).toBe(true);
});

test('watch tells what is now, every change, preemption; and ends when it is told to', async () => {
  await using cloud = await vm({ quit: '' });
  const heard: Instance[] = [];
  const stop = new AbortController();
  const watching = cloud.client.watch({ signal: stop.signal, onChange: (now) => heard.push(now) });
  await until(() => heard.length === 1);
  await cloud.set('quit', 'soon');
  await until(() => heard.length === 2);
  const preempted = cloud.preempt('demo-0');
  await until(() => heard.some((now) => now.preempted));
  expect(heard.map(({ attributes, preempted }) => [attributes.quit, preempted])).toEqual([
    ['', false],
    ['soon', false],
    ['soon', true],
  ]);
  stop.abort();
  await watching;
  await preempted;
});

test('watch goes on when the server fails for a while, and tells of the trouble', async () => {
  await using cloud = await vm();
  cloud.faults.add({ service: 'metadata', status: 503 });
  const troubles: unknown[] = [];
  const heard: Instance[] = [];
  const stop = new AbortController();
  const watching = cloud.client.watch({
    signal: stop.signal,
    onChange: (now) => heard.push(now),
    onTrouble: (thrown) => troubles.push(thrown),
  });
  await until(() => heard.length === 1);
  expect(troubles.map(String)).toEqual(['Error: the metadata server answered 503']);
  stop.abort();
  await watching;
});
