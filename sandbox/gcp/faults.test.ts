import { expect, test } from 'bun:test';
import { type Json, testCloud } from './test_cloud.ts';

const O = '/storage/v1/b/sandbox/o';

test('a fault is asked for by HTTP, with the token, and takes as many calls as it says', async () => {
  await using cloud = await testCloud();
  const ask = (fault: Json, token = cloud.token) =>
    cloud.call('POST', '/sandbox/faults', fault, { 'x-sandbox-token': token });
  expect((await ask({ service: 'storage', status: 503 }, 'guessed')).status).toBe(403);
  expect((await ask({ service: 'strorage', status: 503 })).status).toBe(400);
  expect((await ask({ service: 'storage', statsu: 503 })).status).toBe(400);
  expect((await ask({ service: 'storage', times: '2' })).status).toBe(400);
  expect((await ask({ service: 'storage', match: `GET ${O}`, status: 503, times: 2 })).status).toBe(200);
  const statuses = async (path: string) => {
    const found = [];
    for (let i = 0; i < 3; i++) found.push((await cloud.call('GET', path)).status);
    return found;
  };
  expect(await statuses('/storage/v1/b/sandbox')).toEqual([200, 200, 200]);
  expect(await statuses(O)).toEqual([503, 503, 200]);
  await ask({ service: 'compute', status: 429 });
  await cloud.call('DELETE', '/sandbox/faults', undefined, { 'x-sandbox-token': cloud.token });
  expect(await statuses(`${cloud.zone}/instances`)).toEqual([200, 200, 200]);
});

test('each service refuses in its own words', async () => {
  await using cloud = await testCloud();
  cloud.faults.add({ service: 'compute', status: 429 });
  const compute = await cloud.json('GET', `${cloud.zone}/instances`);
  expect(compute).toMatchObject({ error: { code: 429, errors: [{ reason: 'rateLimitExceeded' }] } });
  cloud.faults.add({ service: 'storage', status: 503 });
  const storage = await cloud.json('GET', O);
  expect(storage).toMatchObject({ error: { code: 503, errors: [{ reason: 'backendError' }] } });
  cloud.faults.add({ service: 'logging', status: 503 });
  const logging = await cloud.json('POST', '/v2/entries:list', { resourceNames: ['projects/sandbox'] });
  expect(logging).toMatchObject({ error: { code: 503, status: 'UNAVAILABLE' } });
});

test('a refused call does nothing; a call whose answer is cut, spoilt or late is obeyed', async () => {
  await using cloud = await testCloud();
  const upload = (name: string, body = 'text') =>
    cloud.call('POST', `/upload/storage/v1/b/sandbox/o?uploadType=media&name=${name}`, body);
  cloud.faults.add({ service: 'storage', status: 503 });
  await upload('refused');
  cloud.faults.add({ service: 'storage', cut: true });
  expect(
    await upload('cut')
      .then((response) => response.text())
      .catch(() => 'broke'),
  ).toBe('broke');
  const { items } = await cloud.json('GET', O);
  expect((items as Json[]).map(({ name }) => name)).toEqual(['cut']);
  cloud.faults.add({ service: 'storage', match: '/cut', corrupt: true });
  const read = async () => await (await cloud.call('GET', `${O}/cut?alt=media`)).text();
  expect(await read()).toBe('uext');
  expect(await read()).toBe('text');
  cloud.faults.add({ service: 'storage', delayMs: 60 });
  const began = performance.now();
  await read();
  expect(performance.now() - began).toBeGreaterThan(50);
});

test('web pages and unknown paths are refused', async () => {
  await using cloud = await testCloud();
  const origin = { origin: 'http://evil.example' };
  expect((await cloud.call('GET', O, undefined, origin)).status).toBe(403);
  expect((await cloud.call('GET', '/nothing')).status).toBe(404);
  expect((await cloud.call('PUT', '/sandbox/status')).status).toBe(405);
  expect((await cloud.call('GET', '/storage/v1/b/%ff')).status).toBe(400);
  expect((await cloud.call('POST', '/sandbox/vms/demo-0/preempt')).status).toBe(403);
});
