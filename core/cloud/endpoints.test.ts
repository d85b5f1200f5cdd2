import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientOptions, readEndpoints, resolveProject, resolveZone } from './endpoints.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gcloud-'));
  const folder = join(home, '.config', 'gcloud');
  await mkdir(join(folder, 'configurations'), { recursive: true });
  await writeFile(join(folder, 'active_config'), 'mine\n');
  await writeFile(
    join(folder, 'configurations', 'config_mine'),
    '[core]\naccount = me\nproject = configured\n\n[compute]\nzone = us-east1-c\n',
  );
  await writeFile(join(folder, 'configurations', 'config_other'), '[core]\nproject = other\n');
});
afterAll(() => rm(home, { recursive: true }));

test('endpoints from the variables of the ecosystem', () => {
  expect(readEndpoints({})).toEqual({ metadataHost: 'metadata.google.internal' } as never);
  const endpoints = readEndpoints({
    GCE_METADATA_HOST: '127.0.0.1:1',
    STORAGE_EMULATOR_HOST: '127.0.0.1:2',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: 'http://127.0.0.1:3/compute/v1/',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: '',
  });
  expect([
    endpoints.metadataHost,
    endpoints.storage?.href,
    endpoints.compute?.href,
    endpoints.logging,
  ]).toEqual(['127.0.0.1:1', 'http://127.0.0.1:2/', 'http://127.0.0.1:3/compute/v1/', undefined]);
  expect(() => readEndpoints({ STORAGE_EMULATOR_HOST: 'http://:x' })).toThrow(
    'STORAGE_EMULATOR_HOST=http://:x: must be an address such as http://127.0.0.1:8080',
  );
});

test('a plain-http address is sent no credentials', async () => {
  expect(await clientOptions(undefined, 'p')).toEqual({ projectId: 'p' });
  const plain = await clientOptions(new URL('http://127.0.0.1:3/'), 'p');
  expect(plain).toMatchObject({ apiEndpoint: '127.0.0.1', port: 3, protocol: 'http', fallback: true });
  expect(plain.authClient?.constructor.name).toBe('PassThroughClient');
  const secure = await clientOptions(new URL('https://compute.example/'), 'p');
  expect(secure).toMatchObject({ apiEndpoint: 'compute.example', port: 443, protocol: 'https' });
  expect(secure.authClient).toBeUndefined();
});

test.each([
  [{ flag: 'f', env: { CLOUDSDK_CORE_PROJECT: 'e' }, onVm: 'v' }, 'f'],
  [{ env: { CLOUDSDK_CORE_PROJECT: 'e', GOOGLE_CLOUD_PROJECT: 'g' }, onVm: 'v' }, 'e'],
  [{ env: { GOOGLE_CLOUD_PROJECT: 'g' } }, 'g'],
  [{ env: {} }, 'configured'],
  [{ env: { CLOUDSDK_ACTIVE_CONFIG_NAME: 'other' } }, 'other'],
  [{ env: { CLOUDSDK_CONFIG: '/no/such' }, onVm: 'v' }, 'v'],
])('the project for %j is %s', (o, project) => {
  expect(resolveProject({ ...o, env: { HOME: home, ...o.env } })).toBe(project);
});

test.each([
  [{ flag: 'f', env: { CLOUDSDK_COMPUTE_ZONE: 'e' } }, 'f'],
  [{ env: { CLOUDSDK_COMPUTE_ZONE: 'e' } }, 'e'],
  [{ env: {} }, 'us-east1-c'],
  [{ env: { CLOUDSDK_ACTIVE_CONFIG_NAME: 'other' }, onVm: 'v' }, 'v'],
])('the zone for %j is %s', (o, zone) => {
  expect(resolveZone({ ...o, env: { HOME: home, ...o.env } })).toBe(zone);
});

test('nothing is configured: what to do, as bad usage', () => {
  const env = { HOME: '/no/such' };
  expect(() => resolveProject({ env })).toThrow(
    expect.objectContaining({
      exitCode: 2,
      message: expect.stringContaining('gcloud config set project PROJECT'),
    }),
  );
  expect(() => resolveZone({ env })).toThrow(
    expect.objectContaining({
      exitCode: 2,
      message: expect.stringContaining('gcloud config set compute/zone ZONE'),
    }),
  );
  expect(() => resolveProject({ flag: '', env })).toThrow('No Google Cloud project is configured');
});
