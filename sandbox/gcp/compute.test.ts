import { beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { IDLE_WORKER, type Json, testCloud, until, vmBody } from './test_cloud.ts';
import { type Description, describedBy, deviations } from './test_description.ts';

let description: Description;
beforeAll(async () => {
  description = await describedBy('compute');
});

/** The shape of every refusal, which the descriptions leave out. */
const refusal = (code: number, reason: string, message: unknown) => ({
  error: {
    code,
    message,
    errors: [
      {
        message,
        domain: 'global',
        reason,
        ...(code === 412 && { location: 'If-Match', locationType: 'header' }),
      },
    ],
  },
});

test('every answer is as the API description in @google-cloud/compute says', async () => {
  await using cloud = await testCloud({ maintenanceMs: 10, preemptionMs: 500 });
  const { zone } = cloud;
  const project = zone.replace(/\/zones\/.*/, '');
  const walked: string[] = [];
  const seen = new Set<string>();
  const walk = async (method: string, path: string, type: string, body?: unknown): Promise<Json> => {
    const response = await cloud.call(method, path, body);
    expect([method, path, response.status]).toEqual([method, path, 200]);
    expect(response.headers.get('content-type')).toBe('application/json; charset=UTF-8');
    const answer = (await response.json()) as Json;
    walked.push(...deviations(answer, description.lookupType(`google.cloud.compute.v1.${type}`)));
    seen.add(String(answer.kind ?? type));
    return answer;
  };
  /** Walks the operation in each state that is seen until it is done. */
  const operate = async (method: string, path: string, body?: unknown): Promise<Json> => {
    const { name, zone: inZone } = await walk(method, path, 'Operation', body);
    const place = inZone ? zone : `${project}/global`;
    await walk('GET', `${place}/operations/${name}`, 'Operation');
    return await walk('POST', `${place}/operations/${name}/wait`, 'Operation');
  };

  await walk('GET', `${zone}/instances`, 'InstanceList');
  await walk('GET', `${project}/aggregated/instances`, 'InstanceAggregatedList');
  await operate(
    'POST',
    `${zone}/instances`,
    vmBody(
      'demo-0',
      { db: 'x' },
      {
        description: 'a worker',
        labels: { 'borealis-fleet': 'demo' },
        tags: { items: ['a'] },
        serviceAccounts: [{ email: 'default', scopes: ['https://www.googleapis.com/auth/compute'] }],
        guestAccelerators: [{ acceleratorType: 'zones/us-west1-b/acceleratorTypes/t4', acceleratorCount: 1 }],
        minCpuPlatform: 'Intel Skylake',
        scheduling: { onHostMaintenance: 'TERMINATE' },
      },
    ),
  );
  const { name: _, ...instanceProperties } = vmBody('x', {}, { machineType: 'n1-standard-1' });
  const spot = { provisioningModel: 'SPOT', instanceTerminationAction: 'DELETE' };
  await operate('POST', `${zone}/instances/bulkInsert`, {
    count: 2,
    namePattern: 'bulk-#',
    instanceProperties: { ...instanceProperties, scheduling: spot },
  });
  cloud.faults.add({ service: 'compute', operationError: 'QUOTA_EXCEEDED' });
  await operate('POST', `${zone}/instances`, vmBody('none'));
  const vm = await walk('GET', `${zone}/instances/demo-0`, 'Instance');
  await walk('GET', `${zone}/instances?maxResults=1`, 'InstanceList');
  await walk('GET', `${project}/aggregated/instances?maxResults=2`, 'InstanceAggregatedList');
  const { fingerprint } = vm.metadata as Json;
  await operate('POST', `${zone}/instances/demo-0/setMetadata`, { fingerprint, items: [] });
  const { labelFingerprint } = vm;
  await operate('POST', `${zone}/instances/demo-0/setLabels`, { labelFingerprint, labels: { a: 'b' } });
  const { commonInstanceMetadata } = await walk('GET', project, 'Project');
  await operate('POST', `${project}/setCommonInstanceMetadata`, {
    ...(commonInstanceMetadata as Json),
    items: [{ key: 'k', value: 'v' }],
  });
  await operate('POST', `${zone}/instances/bulk-1/simulateMaintenanceEvent`);
  await operate('POST', `${zone}/instances/demo-0/simulateMaintenanceEvent`);
  await operate('POST', `${zone}/instances/bulk-2/stop`);
  await walk('GET', `${zone}/instances/bulk-2`, 'Instance');
  await operate('DELETE', `${zone}/instances/demo-0`);
  await walk('GET', `${zone}/operations?maxResults=3`, 'OperationList');
  await walk('GET', `${project}/global/operations`, 'OperationList');
  await walk('GET', `${project}/global/images/family/fireworker`, 'Image');
  await walk('GET', `${project}/global/images/fireworker-v1`, 'Image');
  await walk('GET', `${project}/global/images`, 'ImageList');
  await walk('GET', `${project}/zones`, 'ZoneList');
  await walk('GET', zone, 'Zone');
  await walk('GET', `${zone}/machineTypes/custom-4-8192`, 'MachineType');
  expect(walked).toEqual([]);
  expect([...seen].sort()).toEqual(
    [
      'image imageList instance instanceAggregatedList instanceList machineType operation operationList project',
      'zone zoneList',
    ]
      .join(' ')
      .split(' ')
      .map((kind) => `compute#${kind}`),
  );
});

test('the walk itself finds what is not described', () => {
  const type = description.lookupType('google.cloud.compute.v1.Instance');
  const wrong = {
    id: 7,
    name: 'x',
    status: 'SLEEPING',
    state: 'RUNNING',
    disks: {},
    tags: { items: [1] },
    labels: { a: 1 },
  };
  expect(deviations(wrong, type).map((one) => one.split(':')[0])).toEqual([
    'Instance.id',
    'Instance.status',
    'Instance.state',
    'Instance.disks',
    'Instance.tags.items[0]',
    'Instance.labels[a]',
  ]);
});

test('refusals', async () => {
  await using cloud = await testCloud();
  const { zone, origin } = cloud;
  const project = `${origin}/compute/v1/projects/sandbox`;
  await cloud.boot('demo-0');
  const missing = "The resource 'projects/sandbox/zones/us-west1-b/instances/nobody' was not found";
  const cases: [string, string, unknown, number, string, unknown][] = [
    ['GET', `${zone}/instances/nobody`, undefined, 404, 'notFound', missing],
    ['DELETE', `${zone}/instances/nobody`, undefined, 404, 'notFound', missing],
    ['POST', `${zone}/instances/nobody/setMetadata`, {}, 404, 'notFound', missing],
    [
      'POST',
      `${zone}/instances`,
      vmBody('demo-0'),
      409,
      'alreadyExists',
      expect.stringContaining('already exists'),
    ],
    ['POST', `${zone}/instances`, vmBody('Demo'), 400, 'invalid', expect.stringContaining("'resource.name'")],
    [
      'POST',
      `${zone}/instances`,
      vmBody('a', {}, { machineType: '' }),
      400,
      'invalid',
      expect.stringContaining('machineType'),
    ],
    [
      'POST',
      `${zone}/instances`,
      vmBody('a', {}, { disks: [] }),
      400,
      'invalid',
      expect.stringContaining('sourceImage'),
    ],
    [
      'POST',
      `${zone}/instances`,
      vmBody('a', {}, { networkInterfaces: [] }),
      400,
      'invalid',
      expect.stringContaining('network interface'),
    ],
    [
      'POST',
      `${zone}/instances`,
      vmBody('a', { 'a b': '' }),
      400,
      'invalid',
      expect.stringContaining('metadata'),
    ],
    [
      'POST',
      `${zone}/instances`,
      vmBody('a', {}, { labels: { A: 'b' } }),
      400,
      'invalid',
      expect.stringContaining('labels'),
    ],
    [
      'POST',
      `${zone}/instances`,
      imageBody('global/images/family/other'),
      404,
      'notFound',
      expect.stringContaining('global/images/family/other'),
    ],
    [
      'POST',
      `${zone}/instances`,
      imageBody('projects/p/global/images/family/fireworker'),
      404,
      'notFound',
      "The resource 'projects/p' was not found",
    ],
    [
      'POST',
      `${zone}/instances?requestId=1`,
      vmBody('a'),
      400,
      'invalid',
      expect.stringContaining("'requestId'"),
    ],
    ['POST', `${zone}/instances`, '{', 400, 'parseError', expect.stringContaining('Parse Error')],
    [
      'POST',
      `${zone}/instances/demo-0/setMetadata`,
      { fingerprint: 'old' },
      412,
      'conditionNotMet',
      'Supplied fingerprint does not match current metadata fingerprint.',
    ],
    [
      'POST',
      `${zone}/instances/demo-0/setLabels`,
      { labels: {} },
      412,
      'conditionNotMet',
      'Labels fingerprint either invalid or resource labels have changed',
    ],
    [
      'GET',
      `${zone}/instances?filter=name`,
      undefined,
      400,
      'invalid',
      expect.stringContaining('Invalid list filter expression'),
    ],
    [
      'GET',
      `${zone}/instances?maxResults=501`,
      undefined,
      400,
      'invalid',
      expect.stringContaining("'maxResults'"),
    ],
    [
      'GET',
      `${zone}/instances?orderBy=status`,
      undefined,
      400,
      'invalid',
      expect.stringContaining("'orderBy'"),
    ],
    [
      'GET',
      `${zone}/operations/nothing`,
      undefined,
      404,
      'notFound',
      "The resource 'projects/sandbox/zones/us-west1-b/operations/nothing' was not found",
    ],
    [
      'GET',
      `${project}/global/operations/nothing`,
      undefined,
      404,
      'notFound',
      "The resource 'projects/sandbox/global/operations/nothing' was not found",
    ],
    [
      'GET',
      `${project}/global/images/family/other`,
      undefined,
      404,
      'notFound',
      "The resource 'projects/sandbox/global/images/family/other' was not found",
    ],
    [
      'GET',
      zone.replace('us-west1-b', 'moon1-a'),
      undefined,
      400,
      'invalid',
      "Invalid value for field 'zone': 'moon1-a'. Unknown zone.",
    ],
    [
      'GET',
      zone.replace('/sandbox/', '/other/'),
      undefined,
      404,
      'notFound',
      "The resource 'projects/other' was not found",
    ],
    ['PUT', `${zone}/instances`, {}, 405, 'methodNotAllowed', expect.any(String)],
    ['GET', `${zone}/disks`, undefined, 404, 'notFound', expect.any(String)],
  ];
  for (const [method, path, body, code, reason, message] of cases) {
    const response = await cloud.call(method, path, body);
    expect([method, path, response.status, await response.json()]).toEqual([
      method,
      path,
      code,
      refusal(code, reason, message) as unknown,
    ] as never);
  }
  expect([...cloud.compute.vms.keys()]).toEqual(['demo-0']);
});

function imageBody(sourceImage: string): Json {
  return vmBody('a', {}, { disks: [{ boot: true, initializeParams: { sourceImage } }] });
}

test('an operation is PENDING, RUNNING, DONE', async () => {
  const stubborn = ['sh', '-c', "trap '' TERM; : > ready; sleep 600 & wait"];
  await using cloud = await testCloud({ fireworker: stubborn, graceMs: 100 });
  await cloud.boot('demo-0');
  await until(() => existsSync(join(cloud.dir, 'vms', 'demo-0', 'ready')));
  const asked = await cloud.json('DELETE', `${cloud.zone}/instances/demo-0`);
  expect(asked).toMatchObject({ operationType: 'delete', status: 'PENDING', progress: 0 });
  expect(asked.startTime).toBeUndefined();
  const look = () => cloud.json('GET', `${cloud.zone}/operations/${asked.name}`);
  await until(async () => (await look()).status === 'RUNNING');
  expect(await cloud.json('GET', `${cloud.zone}/instances/demo-0`)).toMatchObject({ status: 'STOPPING' });
  const done = await cloud.json('POST', `${cloud.zone}/operations/${asked.name}/wait`);
  expect(done).toMatchObject({ status: 'DONE', progress: 100, endTime: expect.any(String), id: asked.id });
  expect(done.error).toBeUndefined();
  expect((await cloud.call('GET', `${cloud.zone}/instances/demo-0`)).status).toBe(404);
  const all = await cloud.json('GET', `${cloud.zone}/operations?filter=operationType=delete`);
  expect((all.items as Json[]).map(({ name }) => name)).toEqual([asked.name]);
  expect((await cloud.call('DELETE', `${cloud.zone}/operations/${asked.name}`)).status).toBe(204);
  expect((await cloud.call('GET', `${cloud.zone}/operations/${asked.name}`)).status).toBe(404);
});

test('quota and stock-out fail in the operation, and no VM is there', async () => {
  await using cloud = await testCloud();
  const codes = [
    ['QUOTA_EXCEEDED', 403, 'FORBIDDEN'],
    ['ZONE_RESOURCE_POOL_EXHAUSTED', 503, 'SERVICE UNAVAILABLE'],
  ] as const;
  for (const [code, status, text] of codes) {
    cloud.faults.add({ service: 'compute', match: 'insert demo-1', operationError: code });
    await cloud.boot('demo-0');
    const asked = await cloud.json('POST', `${cloud.zone}/instances`, vmBody('demo-1'));
    const done = await cloud.json('POST', `${cloud.zone}/operations/${asked.name}/wait`);
    expect(done).toMatchObject({
      status: 'DONE',
      error: { errors: [{ code, message: expect.any(String) }] },
      httpErrorStatusCode: status,
      httpErrorMessage: text,
    });
    expect([...cloud.compute.vms.keys()]).toEqual(['demo-0']);
    const gone = await cloud.json('DELETE', `${cloud.zone}/instances/demo-0`);
    await cloud.json('POST', `${cloud.zone}/operations/${gone.name}/wait`);
  }
});

test('bulkInsert makes all, or enough, or none', async () => {
  await using cloud = await testCloud();
  const { name: _, ...instanceProperties } = vmBody('x', {}, { machineType: 'n1-standard-1' });
  const bulk = async (body: Json) => {
    const asked = await cloud.json('POST', `${cloud.zone}/instances/bulkInsert`, {
      instanceProperties,
      ...body,
    });
    return await cloud.json('POST', `${cloud.zone}/operations/${asked.name}/wait`);
  };
  const all = await bulk({ count: 2, perInstanceProperties: { 'own-7': {}, 'own-8': {} } });
  expect(all).toMatchObject({
    operationType: 'bulkInsert',
    instancesBulkInsertOperationMetadata: {
      perLocationStatus: { 'zones/us-west1-b': { status: 'DONE', targetVmCount: 2, createdVmCount: 2 } },
    },
  });
  expect(await cloud.json('GET', `${cloud.zone}/instances/own-7`)).toMatchObject({ status: 'RUNNING' });
  const group = await cloud.json(
    'GET',
    `${cloud.zone}/operations?filter=operationGroupId=${all.operationGroupId}`,
  );
  expect(group.items).toHaveLength(3);

  cloud.faults.add({ service: 'compute', match: 'insert vm-02', operationError: 'QUOTA_EXCEEDED' });
  const enough = await bulk({ count: 3, minCount: 2, namePattern: 'vm-##' });
  expect(enough.error).toBeUndefined();
  expect([...cloud.compute.vms.keys()]).toEqual(['own-7', 'own-8', 'vm-01', 'vm-03']);

  cloud.faults.add({ service: 'compute', match: 'insert vm-05', operationError: 'QUOTA_EXCEEDED' });
  const none = await bulk({ count: 2, namePattern: 'vm-##' });
  expect(none).toMatchObject({ error: { errors: [{ code: 'QUOTA_EXCEEDED' }] }, httpErrorStatusCode: 403 });
  expect(cloud.compute.vms.size).toBe(4);

  const taken = await cloud.call('POST', `${cloud.zone}/instances/bulkInsert`, {
    count: 2,
    perInstanceProperties: { 'own-6': {}, 'own-7': {} },
    instanceProperties,
  });
  expect(taken.status).toBe(409);
  expect(cloud.compute.vms.has('own-6')).toBe(false);
});

test('a region has zones: each VM is in one of them, and its operations are there', async () => {
  await using cloud = await testCloud();
  const region = cloud.zone.replace(/zones\/.*/, 'regions/us-west1');
  const { name: _, ...instanceProperties } = vmBody('x', {}, { machineType: 'n1-standard-1' });
  const bulk = async (names: string[], targetShape: string) => {
    const perInstanceProperties = Object.fromEntries(names.map((name) => [name, {}]));
    const locationPolicy = { targetShape, locations: { 'zones/us-west1-c': { preference: 'DENY' } } };
    const body = { count: names.length, perInstanceProperties, instanceProperties, locationPolicy };
    const asked = await cloud.json('POST', `${region}/instances/bulkInsert`, body);
    const done = await cloud.json('POST', `${region}/operations/${asked.name}/wait`);
    expect(deviations(done, description.lookupType('google.cloud.compute.v1.Operation'))).toEqual([]);
    return done;
  };
  const any = await bulk(['a', 'b'], 'ANY');
  expect(any).toMatchObject({
    region,
    instancesBulkInsertOperationMetadata: {
      perLocationStatus: {
        'zones/us-west1-a': { createdVmCount: 1 },
        'zones/us-west1-b': { createdVmCount: 1 },
      },
    },
  });
  await bulk(['c', 'd'], 'ANY_SINGLE_ZONE');
  const { items } = await cloud.json('GET', `${cloud.zone.replace('west1-b', 'west1-a')}/instances`);
  expect((items as Json[]).map(({ name }) => name)).toEqual(['a', 'c', 'd']);
  expect((await cloud.call('GET', `${cloud.zone}/instances/a`)).status).toBe(404);
  expect((await cloud.call('GET', `${region.replace('west', 'moon')}/operations`)).status).toBe(400);
});

test('a VM is deleted when its maxRunDuration is over', async () => {
  await using cloud = await testCloud({ runSecondMs: 1 });
  const scheduling = { maxRunDuration: { seconds: '60' }, instanceTerminationAction: 'DELETE' };
  await cloud.boot('short', {}, { scheduling });
  await cloud.boot('long');
  await until(() => !cloud.compute.vms.has('short'));
  expect([...cloud.compute.vms.keys()]).toEqual(['long']);
});

test('secrets have versions', async () => {
  await using cloud = await testCloud();
  const secrets = `${cloud.origin}/v1/projects/sandbox/secrets`;
  await cloud.call('POST', `${secrets}?secretId=pw`, {});
  expect((await cloud.call('POST', `${secrets}?secretId=pw`, {})).status).toBe(409);
  for (const data of ['b25l', 'dHdv'])
    await cloud.call('POST', `${secrets}/pw:addVersion`, { payload: { data } });
  expect(await cloud.json('GET', `${secrets}/pw/versions/latest:access`)).toEqual({
    name: 'projects/sandbox/secrets/pw/versions/2',
    payload: { data: 'dHdv', dataCrc32c: expect.stringMatching(/^\d+$/) },
  });
  expect(await cloud.json('GET', `${secrets}/pw/versions/1:access`)).toMatchObject({
    payload: { data: 'b25l' },
  });
  expect((await cloud.call('GET', `${secrets}/pw/versions/3:access`)).status).toBe(404);
});

test('a request that is repeated with its requestId is done once', async () => {
  await using cloud = await testCloud();
  const requestId = crypto.randomUUID();
  const ask = () => cloud.json('POST', `${cloud.zone}/instances?requestId=${requestId}`, vmBody('demo-0'));
  const first = await ask();
  const second = await ask();
  expect(second.name).toBe(first.name);
  await cloud.json('POST', `${cloud.zone}/operations/${first.name}/wait`);
  expect(await ask()).toMatchObject({ name: first.name, status: 'DONE' });
  expect((await cloud.call('POST', `${cloud.zone}/instances`, vmBody('demo-0'))).status).toBe(409);
});

test('of two who change metadata at once, one is refused', async () => {
  await using cloud = await testCloud();
  await cloud.boot('demo-0', { a: '1' });
  const read = async () => {
    const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/demo-0`);
    return metadata as Json;
  };
  const { fingerprint } = await read();
  const write = (value: string) =>
    cloud.call('POST', `${cloud.zone}/instances/demo-0/setMetadata`, {
      fingerprint,
      items: [{ key: 'a', value }],
    });
  const answers = await Promise.all([write('2'), write('3')]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  const now = await read();
  expect(now.fingerprint).not.toBe(fingerprint);
  expect(now.items).toEqual([{ key: 'a', value: answers[0]?.status === 200 ? '2' : '3' }]);
});

test('pages by name, the newest first, and filters; what is deleted between two pages shifts nothing', async () => {
  await using cloud = await testCloud({ fireworker: IDLE_WORKER });
  for (const name of ['d', 'b', 'a', 'c', 'e']) {
    await cloud.boot(name, {}, { labels: { even: String('bd'.includes(name)) } });
  }
  const list = async (query: string) => {
    const page = await cloud.json('GET', `${cloud.zone}/instances?${query}`);
    const names = ((page.items ?? []) as Json[]).map(({ name }) => name).join('');
    return { names, token: page.nextPageToken };
  };
  expect(await list('')).toEqual({ names: 'abcde', token: undefined });
  const first = await list('maxResults=2');
  expect(first.names).toBe('ab');
  const gone = await cloud.json('DELETE', `${cloud.zone}/instances/a`);
  await cloud.json('POST', `${cloud.zone}/operations/${gone.name}/wait`);
  const second = await list(`maxResults=2&pageToken=${first.token}`);
  expect(second.names).toBe('cd');
  expect(await list(`maxResults=2&pageToken=${second.token}`)).toEqual({ names: 'e', token: undefined });
  expect((await list('filter=labels.even=true')).names).toBe('bd');
  const newest = await list(`orderBy=${encodeURIComponent('creationTimestamp desc')}&maxResults=2`);
  expect(newest.names).toBe('ec');
  const scoped = await cloud.json(
    'GET',
    `${cloud.origin}/compute/v1/projects/sandbox/aggregated/instances?filter=name=nobody`,
  );
  const warning: unknown = expect.objectContaining({ code: 'NO_RESULTS_ON_PAGE' });
  expect(scoped.items).toMatchObject({ 'zones/us-west1-a': { warning }, 'zones/us-west1-b': { warning } });
});
