import { describe, expect, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogLine, loggerTo } from '../../core/log.ts';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { authHeader, credentialsFor, isGoogles } from './credentials.ts';

/** A home with this Docker configuration, and helper programs: their names and shell scripts. */
async function home(config: unknown, helpers: Record<string, string> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'docker-config-'));
  if (config !== undefined)
    await Bun.write(join(dir, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  for (const [name, script] of Object.entries(helpers)) {
    const file = join(dir, `docker-credential-${name}`);
    await Bun.write(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  }
  const said: LogLine[] = [];
  const log = loggerTo([(line) => void said.push(line)]);
  const env = { DOCKER_CONFIG: dir, PATH: `${dir}:/usr/bin:/bin`, GCE_METADATA_HOST: '127.0.0.1:1' };
  return {
    said,
    dir,
    ask: (registry: string, more = {}) => credentialsFor(registry, { env: { ...env, ...more }, log }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

const auth = (text: string) => ({ auth: btoa(text) });

describe('of the configuration itself', () => {
  const cases: [string, string, object, object | null][] = [
    ['its own', 'r.io:5000', { 'r.io:5000': auth('me:se:cret') }, { username: 'me', password: 'se:cret' }],
    ['by its address', 'r.io', { 'https://r.io/v1/': auth('me:s') }, { username: 'me', password: 's' }],
    ['in words', 'r.io', { 'r.io': { username: 'me', password: 's' } }, { username: 'me', password: 's' }],
    ['a token', 'r.io', { 'r.io': { identitytoken: 't' } }, { identitytoken: 't' }],
    ['with NUL at its end', 'r.io', { 'r.io': auth('me:s\0\0') }, { username: 'me', password: 's' }],
    ['of another', 'r.io', { 'other.io': auth('me:s'), 'x.r.io': auth('me:s') }, null],
    ['left by a logout', 'r.io', { 'r.io': {} }, null],
  ];
  test.each(cases)('%s', async (_, registry, auths, found) => {
    await using there = await home({ auths });
    const got = await there.ask(registry);
    expect(got).toEqual(found && ({ ...found, serveraddress: registry } as typeof got));
  });

  test('Docker Hub is known by its old address', async () => {
    const hub = 'https://index.docker.io/v1/';
    await using there = await home({ auths: { [hub]: auth('me:s') } });
    expect(await there.ask('docker.io')).toEqual({ username: 'me', password: 's', serveraddress: hub });
  });

  test('none, an empty one, and one that is broken', async () => {
    await using none = await home(undefined);
    expect(await none.ask('r.io')).toBeNull();
    await using empty = await home('');
    expect(await empty.ask('r.io')).toBeNull();
    await using broken = await home('{"auths": ');
    await expect(broken.ask('r.io')).rejects.toThrow(
      /^The Docker configuration \/\S+\/config\.json cannot be read: /,
    );
    await using wrong = await home({ auths: { 'r.io': { auth: 1 } } });
    await expect(wrong.ask('r.io')).rejects.toThrow("cannot be read: 'auths.r.io.auth': ");
  });
});

describe('of a helper program', () => {
  const answers = `read -r key; echo "{\\"Username\\": \\"u-$1\\", \\"Secret\\": \\"for $key\\"}"`;

  test('the one for the registry comes before the one for all, and both before the configuration', async () => {
    const config = {
      auths: { 'r.io': auth('me:s'), 'q.io': auth('me:s') },
      credHelpers: { 'r.io': 'own' },
      credsStore: 'store',
    };
    const own = answers.replace('u-$1', 'own-$1');
    await using there = await home(config, { own, store: answers });
    expect(await there.ask('r.io')).toMatchObject({ username: 'own-get', password: 'for r.io' });
    expect(await there.ask('q.io')).toMatchObject({ username: 'u-get', password: 'for q.io' });
    expect(await there.ask('docker.io')).toMatchObject({ password: 'for https://index.docker.io/v1/' });
  });

  test('a token instead of a password', async () => {
    const token = `echo '{"Username": "<token>", "Secret": "t"}'`;
    await using there = await home({ credsStore: 'token' }, { token });
    expect(await there.ask('r.io')).toEqual({ identitytoken: 't', serveraddress: 'r.io' });
  });

  const none: [string, string, RegExp | null][] = [
    ['knows nothing of the registry', 'echo "credentials not found in native keychain"; exit 1', null],
    ['fails', 'echo oops >&2; exit 1', /^docker-credential-h failed for r\.io: going on without it$/],
    ['answers no JSON', 'echo hello', /^docker-credential-h failed for r\.io: going on without it$/],
  ];
  test.each(none)('one that %s: then the configuration', async (_, script, warning) => {
    await using there = await home({ auths: { 'r.io': auth('me:s') }, credsStore: 'h' }, { h: script });
    expect(await there.ask('r.io')).toMatchObject({ username: 'me' });
    expect(there.said.map(({ message }) => message)).toEqual(warning ? [expect.stringMatching(warning)] : []);
  });

  test('one that is not installed is named', async () => {
    await using there = await home({ credHelpers: { 'gcr.io': 'no-such' } });
    expect(await there.ask('gcr.io')).toBeNull();
    expect(there.said[0]?.message).toBe(
      `${there.dir}/config.json names the helper docker-credential-no-such, which is not on this machine: going on without it`,
    );
  });
});

describe('of the VM’s service account', () => {
  test('for Google’s registries, when nothing else is there', async () => {
    await using cloud = await testCloud();
    await cloud.boot('vm-0');
    const GCE_METADATA_HOST = String(cloud.compute.vms.get('vm-0')?.vm.metadataHost);
    await using there = await home({ auths: { 'eu.gcr.io': auth('me:s') } });
    for (const registry of ['us-docker.pkg.dev', 'gcr.io', 'us.gcr.io'])
      expect(await there.ask(registry, { GCE_METADATA_HOST })).toEqual({
        username: 'oauth2accesstoken',
        password: expect.stringMatching(/^sandbox-/),
        serveraddress: registry,
      });
    expect(await there.ask('eu.gcr.io', { GCE_METADATA_HOST })).toMatchObject({ username: 'me' });
    expect(await there.ask('docker.io', { GCE_METADATA_HOST })).toBeNull();
  });

  test('elsewhere than on Google Cloud there is none', async () => {
    await using there = await home(undefined);
    expect(await there.ask('gcr.io')).toBeNull();
  });

  test('which registries are Google’s', () => {
    const yes = ['gcr.io', 'eu.gcr.io', 'europe-west4-docker.pkg.dev'];
    const no = ['docker.io', 'gcr.io.example.com', 'notgcr.io', 'pkg.dev.example.com', 'localhost:5000'];
    expect(yes.map(isGoogles)).toEqual([true, true, true]);
    expect(no.map(isGoogles)).toEqual(no.map(() => false));
  });
});

test('the header has its padding, whatever the length', () => {
  for (const password of ['', 'a', 'aa', 'aaa', 'ü?>~']) {
    const header = authHeader({ username: 'u', password, serveraddress: 'r' })['X-Registry-Auth'] as string;
    expect([header.length % 4, /[+/]/.test(header)]).toEqual([0, false]);
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({ password });
  }
  expect(authHeader(null)).toEqual({});
});
