import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LaunchPad, launchPadSettings } from '../../core/launchpad/index.ts';
import { version } from '../../core/version.ts';
import { type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { startMongo } from '../../sandbox/mongo/server.ts';
import { type Ran, series } from '../series.ts';
import { CHECKS, dockerFinding } from './checks.ts';
import type { Check, DoctorOptions } from './finding.ts';
import { hasUser, hostsOf, isPublic, launchPad, oldServer } from './launchpad.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'doctor-'));
});
afterAll(() => rm(cwd, { recursive: true }));

/** A LaunchPad server, gone afterwards. */
async function mongoIn(folder: string) {
  const mongo = await startMongo({ dir: join(folder, 'mongo') });
  return Object.assign(mongo, { [Symbol.asyncDispose]: () => mongo.stop() });
}

test.each([
  ['EACCES', false, 'FAIL', 'usermod -aG docker'],
  ['ECONNREFUSED', false, 'FAIL', 'systemctl start docker'],
  ['ENOENT', true, 'FAIL', 'DOCKER_HOST'],
  ['ENOENT', false, 'SKIP', ''],
] as const)('a Docker socket that answers %s (asked for: %p) is %s', (code, asked, result, mend) => {
  const problem = Object.assign(new Error(code), { code });
  const finding = dockerFinding('unix:///var/run/docker.sock', problem, asked);
  expect(finding).toMatchObject({ check: 'Docker', result });
  expect(finding.mend ?? '').toContain(mend);
});

test('on a machine with nothing each check says how to mend it', async () => {
  const env = {
    CLOUDSDK_CONFIG: cwd,
    DOCKER_HOST: `unix://${join(cwd, 'none.sock')}`,
    GOOGLE_APPLICATION_CREDENTIALS: join(cwd, 'none.json'),
    // Nobody is there to tell the time.
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: 'http://127.0.0.1:1/',
  };
  await Bun.write(join(cwd, 'away.yaml'), 'port: 1\nmongoclient_kwargs: {serverSelectionTimeoutMS: 200}\n');
  const [json, text] = await series(
    [
      ['doctor', '-l', 'away.yaml', '--json'],
      ['doctor', '-l', 'away.yaml'],
    ],
    { cwd, env },
  );
  expect(json?.code).toBe(1);
  const findings = JSON.parse((json as Ran).out) as { check: string; result: string }[];
  expect(findings.map(({ check, result }) => `${check} ${result}`)).toEqual([
    'project FAIL',
    'zone FAIL',
    'credentials FAIL',
    'Compute SKIP',
    'image SKIP',
    'clock FAIL',
    'bucket SKIP',
    'LaunchPad FAIL',
    'versions SKIP',
    'Docker FAIL',
  ]);
  expect(text?.out).toContain('to mend: gcloud auth application-default login');
});

describe('with a cloud', () => {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await testCloud();
  });
  afterAll(() => cloud[Symbol.asyncDispose]());
  const find = async (name: string, o: Partial<DoctorOptions> = {}) => {
    const check = CHECKS.find((one) => one.name === name) as Check;
    return await check({ env: cloud.env, cwd, ...o });
  };

  test('all is well', async () => {
    const found = await Promise.all(
      ['project', 'zone', 'credentials', 'compute', 'image', 'clock', 'bucket', 'versions'].map((name) =>
        find(name),
      ),
    );
    expect(found.map(({ result }) => result)).toEqual(['OK', 'OK', 'SKIP', 'OK', 'OK', 'OK', 'OK', 'OK']);
  });

  test.each([
    [
      'a project that is not there',
      { project: 'other' },
      {},
      'there is no project other',
      'gcloud config set project',
    ],
    [
      'a zone that is not there',
      { zone: 'moon1-a' },
      {},
      'there is no zone moon1-a',
      'gcloud compute zones list',
    ],
    [
      'an API that is not enabled',
      {},
      { status: 403, reason: 'accessNotConfigured' },
      'the Compute Engine API is not enabled in sandbox',
      'gcloud services enable compute.googleapis.com',
    ],
    [
      'no permission',
      {},
      { status: 403 },
      'this account may not list VMs of sandbox',
      'roles/compute.instanceAdmin.v1',
    ],
  ])('%s', async (_, options, fault, text, mend) => {
    if ('status' in fault) cloud.faults.add({ service: 'compute', ...fault });
    const finding = await find('compute', options);
    cloud.faults.clear();
    expect(finding).toMatchObject({ result: 'FAIL', text: expect.stringContaining(text) });
    expect(finding.mend).toContain(mend);
  });

  test('an image family that is not there', async () => {
    const finding = await find('image', { family: 'none' });
    expect(finding).toMatchObject({
      result: 'FAIL',
      text: 'project sandbox has no image of the family none',
    });
  });

  test('a bucket that is not there', async () => {
    const finding = await find('bucket', { bucket: 'gs://none/at/all' });
    expect(finding).toMatchObject({ result: 'FAIL', text: 'gs://none does not exist' });
    expect(finding.mend).toBe('gcloud storage buckets create gs://none');
  });

  test('a clock that goes wrong', async () => {
    const now = () => new Date(Date.now() - 300_000);
    const finding = await find('clock', { now });
    expect(finding.text).toMatch(/^it is (299|300|301) s behind Google's clock$/);
    expect(finding).toMatchObject({ result: 'FAIL', mend: 'sudo timedatectl set-ntp true' });
  });

  test('VMs of another version', async () => {
    await cloud.boot('old-0', {}, { labels: { 'borealis-version': '0-0-1' } });
    const finding = await find('versions');
    expect(finding).toMatchObject({
      result: 'FAIL',
      text: `this is ${version}, and old-0 were made by 0.0.1`,
    });
  });
});

describe('the LaunchPad', () => {
  test('it answers, is none yet, lacks indexes, is well, has another clock', async () => {
    await using mongo = await mongoIn(cwd);
    const file = join(cwd, 'pad.yaml');
    await Bun.write(file, `host: 127.0.0.1\nport: ${mongo.port}\nname: doc\n`);
    const find = (now?: () => Date) => launchPad({ env: {}, cwd, launchPadFile: file, now });
    expect(await find()).toMatchObject({ result: 'FAIL', mend: 'borealisctl lpad reset' });
    await using pad = await LaunchPad.open(launchPadSettings({ port: mongo.port, name: 'doc' }, 'test'));
    await pad.reset();
    expect(await find()).toMatchObject({ result: 'OK' });
    expect(await find(() => new Date(Date.now() + 3_600_000))).toMatchObject({
      result: 'FAIL',
      text: expect.stringMatching(
        /has another clock than this machine: it is 3[56]\d\d s before the server's clock/,
      ),
    });
    await pad.fireworks.dropIndexes();
    expect(await find()).toMatchObject({ result: 'FAIL', mend: 'borealisctl lpad tuneup' });
  });

  test.each([
    ['8.8.8.8', true],
    ['127.0.0.1', false],
    ['10.1.2.3', false],
    ['172.16.0.1', false],
    ['172.32.0.1', true],
    ['192.168.1.1', false],
    ['100.64.0.1', false],
    ['100.128.0.1', true],
    ['169.254.169.254', false],
    ['2001:4860:4860::8888', true],
    ['::1', false],
    ['fd00::1', false],
    ['fe80::1', false],
    ['::ffff:10.0.0.1', false],
  ])('%s is a public address: %p', (address, expected) => {
    expect(isPublic(address)).toBe(expected);
  });

  test.each([
    [{ uriMode: false, host: 'db' }, ['db'], false],
    [{ uriMode: false, host: 'db', username: 'me' }, ['db'], true],
    [{ uriMode: true, host: 'mongodb://a:1,[::1]:2/x?y=z' }, ['a', '::1'], false],
    [{ uriMode: true, host: 'mongodb+srv://me:pw@a.b/x' }, ['a.b'], true],
  ])('%j', (settings, hosts, user) => {
    const whole = { username: undefined, ...settings };
    expect([hostsOf(whole), hasUser(whole)]).toEqual([hosts, user]);
  });

  test('a server that is too old', async () => {
    const thrown = new Error(
      'Server at h:1 reports maximum wire version 7, but this version requires at least 9',
    );
    expect(oldServer(thrown).mend).toContain('MongoDB 4.4 is the oldest that fits');
  });
});
