import { expect, test } from 'bun:test';
import { testCloud } from './test_cloud.ts';

async function vmCloud(attributes: Record<string, string> = {}) {
  const cloud = await testCloud();
  await cloud.boot('demo-0', attributes, { tags: { items: ['a', 'b'] } });
  const host = String(cloud.compute.vms.get('demo-0')?.vm.metadataHost);
  const get = (path: string, headers: Record<string, string> = { 'Metadata-Flavor': 'Google' }) =>
    fetch(`http://${host}${path}`, { headers, redirect: 'manual' });
  const read = async (path: string) => await (await get(`/computeMetadata/v1/${path}`)).text();
  /** Sets the attributes of the VM by Compute. */
  const set = async (now: Record<string, string>) => {
    const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/demo-0`);
    const { fingerprint } = metadata as { fingerprint: string };
    const items = Object.entries(now).map(([key, value]) => ({ key, value }));
    const { name } = await cloud.json('POST', `${cloud.zone}/instances/demo-0/setMetadata`, {
      fingerprint,
      items,
    });
    await cloud.json('POST', `${cloud.zone}/operations/${name}/wait`);
  };
  return Object.assign(cloud, { host, get, read, set });
}

test('values, directories, JSON and text', async () => {
  await using vm = await vmCloud({ db: 'x', 'a-key': 'ü\n2' });
  const id = String(vm.compute.vms.get('demo-0')?.vm.id);
  const cases: [string, string][] = [
    ['instance/name', 'demo-0'],
    ['instance/id', id],
    ['instance/hostname', 'demo-0.us-west1-b.c.sandbox.internal'],
    ['instance/zone', 'projects/123456789012/zones/us-west1-b'],
    ['instance/machine-type', 'projects/123456789012/machineTypes/n1-standard-1'],
    ['instance/preempted', 'FALSE'],
    ['instance/tags', '["a","b"]'],
    ['instance/attributes/', 'db\na-key\n'],
    ['instance/attributes/a-key', 'ü\n2'],
    ['instance/attributes/a-key?alt=json', '"ü\\n2"'],
    ['instance/attributes/?recursive=true', '{"db":"x","a-key":"ü\\n2"}'],
    ['instance/attributes/?recursive=true&alt=text', 'db x\na-key ü\n2\n'],
    [
      'instance/scheduling/?recursive=true',
      '{"automaticRestart":"TRUE","onHostMaintenance":"MIGRATE","preemptible":"FALSE"}',
    ],
    [
      'instance/scheduling/?recursive=true&alt=text',
      'automatic-restart TRUE\non-host-maintenance MIGRATE\npreemptible FALSE\n',
    ],
    ['instance/service-accounts/', 'default/\nsandbox@sandbox.iam.gserviceaccount.com/\n'],
    ['instance/service-accounts/default/', 'aliases\nemail\nscopes\ntoken\n'],
    ['instance/service-accounts/default/email', 'sandbox@sandbox.iam.gserviceaccount.com'],
    ['instance/service-accounts/default/scopes', 'https://www.googleapis.com/auth/cloud-platform\n'],
    [
      'instance/service-accounts/default/?recursive=true',
      '{"aliases":["default"],"email":"sandbox@sandbox.iam.gserviceaccount.com","scopes":["https://www.googleapis.com/auth/cloud-platform"]}',
    ],
    ['project/project-id', 'sandbox'],
    ['project/?recursive=true', '{"attributes":{},"numericProjectId":123456789012,"projectId":"sandbox"}'],
    ['', 'instance/\nproject/\n'],
  ];
  for (const [path, text] of cases) expect([path, await vm.read(path)]).toEqual([path, text]);
  // 19 digits, as Google's: a number that JSON.parse would round.
  expect(await vm.read('instance/?recursive=true')).toContain(`"id":${id},`);
  expect(id).toMatch(/^\d{19}$/);
  const response = await vm.get('/computeMetadata/v1/instance/name');
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/text',
    'metadata-flavor': 'Google',
    server: 'Metadata Server for VM',
    etag: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  const token = await vm.get('/computeMetadata/v1/instance/service-accounts/default/token');
  expect(token.headers.get('content-type')).toBe('application/json');
  expect(await token.json()).toEqual({
    access_token: expect.stringMatching(/^sandbox-/),
    expires_in: 3599,
    token_type: 'Bearer',
  });
});

test('who may ask, and for what', async () => {
  await using vm = await vmCloud();
  const name = '/computeMetadata/v1/instance/name';
  expect((await vm.get('/', {})).headers.get('metadata-flavor')).toBe('Google');
  expect((await vm.get(name, {})).status).toBe(403);
  expect(await (await vm.get(name, {})).text()).toContain('Missing Metadata-Flavor:Google header.');
  expect((await vm.get(name, { 'Metadata-Flavor': 'Amazon' })).status).toBe(403);
  const proxied = { 'Metadata-Flavor': 'Google', 'X-Forwarded-For': '10.0.0.1' };
  expect((await vm.get(name, proxied)).status).toBe(403);
  for (const path of ['instance/attributes/none', 'instance/none/', 'instance/name/', 'nothing', '../v2/x'])
    expect([path, (await vm.get(`/computeMetadata/v1/${path}`)).status]).toEqual([path, 404]);
  for (const path of ['', '/instance', '/instance/attributes']) {
    const { status, headers } = await vm.get(`/computeMetadata/v1${path}?recursive=true`);
    const location = `http://${vm.host}/computeMetadata/v1${path}/?recursive=true`;
    expect([path, status, headers.get('location')]).toEqual([path, 301, location]);
  }
});

test('wait_for_change hears of its own value, and of nothing else', async () => {
  await using vm = await vmCloud({ quit: '', db: 'x' });
  const quit = '/computeMetadata/v1/instance/attributes/quit?wait_for_change=true';
  const all = '/computeMetadata/v1/instance/?recursive=true&wait_for_change=true';
  let quitHeard = false;
  const oneWaits = vm.get(quit).then((response) => {
    quitHeard = true;
    return response.text();
  });
  const allWait = vm.get(all);
  await Bun.sleep(20);
  await vm.set({ quit: '', db: 'y' });
  expect(await (await allWait).json()).toMatchObject({ attributes: { db: 'y' } });
  expect(quitHeard).toBe(false);
  await vm.set({ quit: 'soon', db: 'y' });
  expect(await oneWaits).toBe('soon');
});

test('last_etag answers at once when there is news, and waits otherwise', async () => {
  await using vm = await vmCloud({ quit: 'soon' });
  const path = '/computeMetadata/v1/instance/attributes/?recursive=true&wait_for_change=true';
  const first = await vm.get(`${path}&last_etag=0`);
  const etag = first.headers.get('etag');
  const waiting = vm.get(`${path}&last_etag=${etag}`);
  const over = await vm.get(`${path}&last_etag=${etag}&timeout_sec=0.05`);
  expect([over.status, over.headers.get('etag'), await over.json()]).toEqual([200, etag, { quit: 'soon' }]);
  await vm.set({ quit: 'when-idle' });
  const second = await waiting;
  expect(await second.json()).toEqual({ quit: 'when-idle' });
  expect(second.headers.get('etag')).not.toBe(etag);
  // A change that was missed between two requests is told at once.
  expect(await (await vm.get(`${path}&last_etag=${etag}`)).json()).toEqual({ quit: 'when-idle' });
  const vanishing = vm.get('/computeMetadata/v1/instance/attributes/quit?wait_for_change=true');
  await Bun.sleep(20);
  await vm.set({});
  expect((await vanishing).status).toBe(404);
});

test('metadata of the whole project reaches its VMs', async () => {
  await using vm = await vmCloud();
  const waiting = vm.get('/computeMetadata/v1/project/attributes/?recursive=true&wait_for_change=true');
  const project = `${vm.origin}/compute/v1/projects/sandbox`;
  const { commonInstanceMetadata } = await vm.json('GET', project);
  const { name } = await vm.json('POST', `${project}/setCommonInstanceMetadata`, {
    ...(commonInstanceMetadata as object),
    items: [{ key: 'a', value: 'b' }],
  });
  const done = await vm.json('POST', `${project}/global/operations/${name}/wait`);
  expect(done).toMatchObject({ status: 'DONE' });
  expect(done.zone).toBeUndefined();
  expect(await (await waiting).json()).toEqual({ a: 'b' });
});

test("Google's own auth library gets its token and project there", async () => {
  await using vm = await vmCloud();
  const code = `
    const { GoogleAuth } = await import('google-auth-library');
    const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
    console.log(JSON.stringify([await auth.getProjectId(), await auth.getAccessToken()]));`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    cwd: `${import.meta.dir}/../..`,
    env: {
      PATH: process.env.PATH,
      HOME: vm.dir,
      GCE_METADATA_HOST: vm.host,
      METADATA_SERVER_DETECTION: 'assume-present',
    },
    stdout: 'pipe',
  });
  expect(JSON.parse(await new Response(child.stdout).text())).toEqual([
    'sandbox',
    expect.stringMatching(/^sandbox-\d+$/),
  ]);
});

test('faults reach the metadata server too', async () => {
  await using vm = await vmCloud();
  vm.faults.add({ service: 'metadata', match: '/instance/name', status: 503 });
  expect((await vm.get('/computeMetadata/v1/instance/id')).status).toBe(200);
  expect((await vm.get('/computeMetadata/v1/instance/name')).status).toBe(503);
  expect((await vm.get('/computeMetadata/v1/instance/name')).status).toBe(200);
});
