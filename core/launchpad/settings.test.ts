import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  databaseIn,
  describeLaunchPad,
  findLaunchPadFile,
  launchPadSettings,
  loadLaunchPadSettings,
  readLaunchPadFile,
} from './settings.ts';
import type { Doc } from './values.ts';

let folder: string;
const at = (...path: string[]) => join(folder, ...path);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'launchpad-file-'));
  for (const path of ['here', 'home/.fireworks', 'config/other', 'empty'])
    await mkdir(at(path), { recursive: true });
  for (const path of ['here', 'home/.fireworks', 'config/other'])
    await writeFile(at(path, 'my_launchpad.yaml'), '');
  await writeFile(at('config/named.yaml'), '');
  await writeFile(at('config/loc.yaml'), 'LAUNCHPAD_LOC: named.yaml\n');
  await writeFile(at('config/dir.yaml'), 'CONFIG_FILE_DIR: other\n');
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ['what -l names, there or not', 'x.yaml', { FW_CONFIG_FILE: 'config/loc.yaml' }, 'here', 'here/x.yaml'],
  [
    'the one in this folder',
    undefined,
    { FW_CONFIG_FILE: 'config/loc.yaml' },
    'here',
    'here/my_launchpad.yaml',
  ],
  [
    'what FW_CONFIG_FILE says',
    undefined,
    { FW_CONFIG_FILE: 'config/loc.yaml' },
    'empty',
    'config/named.yaml',
  ],
  [
    'in the folder that it says',
    undefined,
    { FW_CONFIG_FILE: 'config/dir.yaml' },
    'empty',
    'config/other/my_launchpad.yaml',
  ],
  ["the user's", undefined, { HOME: 'home' }, 'empty', 'home/.fireworks/my_launchpad.yaml'],
  ['none', undefined, { HOME: 'empty' }, 'empty', null],
])('the LaunchPad file: %s', (_, flag, env, cwd, expected) => {
  const absolute = Object.fromEntries(
    Object.entries({ HOME: 'empty', ...env }).map(([name, path]) => [name, at(path)]),
  );
  expect(findLaunchPadFile(flag, absolute, at(cwd))).toBe(expected && at(expected));
});

test('a FW_CONFIG_FILE that is gone (a sandbox that was stopped) is told, not passed over', () => {
  const env = { FW_CONFIG_FILE: at('gone.yaml'), HOME: at('home') };
  expect(() => findLaunchPadFile(undefined, env, at('empty'))).toThrow(
    `FW_CONFIG_FILE=${at('gone.yaml')}: there is no such file`,
  );
  expect(findLaunchPadFile(undefined, env, at('here'))).toBe(at('here/my_launchpad.yaml'));
});

test('nothing said: the database fireworks on this machine', () => {
  expect(launchPadSettings({}, 'test')).toMatchObject({
    host: 'localhost',
    port: 27017,
    name: 'fireworks',
    uriMode: false,
    strmLvl: 'INFO',
  });
  expect(loadLaunchPadSettings(undefined, { HOME: at('empty') }, at('empty')).name).toBe('fireworks');
});

test('the file that Python writes: nulls are not set, keys of FireWorks 1 are known', async () => {
  const path = at('python.yaml');
  await writeFile(
    path,
    'host: db.example.org\nport: 27018\nname: fw\nusername: null\npassword: null\nlogdir: null\nstrm_lvl: DEBUG\nuser_indices: [spec.k]\nwf_user_indices: []\nuri_mode: false\nssl: true\nssl_ca_certs: /ca.pem\nmongoclient_kwargs: {appname: me}\n',
  );
  const settings = launchPadSettings(readLaunchPadFile(path), path);
  expect(settings).toMatchObject({ host: 'db.example.org', port: 27018, name: 'fw', strmLvl: 'DEBUG' });
  expect(settings.username).toBeUndefined();
  expect(settings.tls).toMatchObject({ caFile: '/ca.pem' });
  expect(settings.userIndices).toEqual(['spec.k']);
  expect(settings.clientOptions).toEqual({ appname: 'me' });
});

test.each<[Doc, string]>([
  [{ hots: 'x' }, "F: unknown key 'hots'. Known keys: host, port,"],
  [{ port: '27017' }, 'F: port="27017": expected number'],
  [{ port: 0 }, 'F: port=0: '],
  [{ port: 1.5 }, 'F: port=1.5: '],
  [{ name: '' }, 'F: name="": '],
  [{ uri_mode: 'yes' }, 'F: uri_mode="yes": expected boolean'],
  [{ strm_lvl: 'LOUD' }, 'F: strm_lvl="LOUD": '],
  [{ idle_for_rockets: -1 }, 'F: idle_for_rockets=-1: '],
  [{ mongoclient_kwargs: [] }, 'F: mongoclient_kwargs=***: must be a dictionary'],
  [{ uri_mode: true, host: 'localhost' }, 'F: with uri_mode: true, host must be a connection string'],
  [{ uri_mode: true }, 'F: with uri_mode: true, host must be a connection string'],
  [{ uri_mode: true, host: 'mongodb://h/' }, 'F: with uri_mode: true, name the database'],
])('a bad value stops at the door: %j', (raw, message) => {
  expect(() => launchPadSettings(raw, 'F')).toThrow(message);
});

test('what is secret is not shown', () => {
  for (const raw of [{ password: 7_654_321 }, { host: ['secret'] }, { ssl_pem_passphrase: { a: 'secret' } }])
    expect(() => launchPadSettings(raw, 'F')).toThrow(/=\*\*\*: /);
  const host = 'mongodb+srv://me:s3cret@db.example.org/fw?authSource=admin&password=s3cret';
  const settings = launchPadSettings({ host, uri_mode: true }, 'F');
  expect(describeLaunchPad(settings)).toBe('mongodb+srv://***@db.example.org/fw');
  expect(settings.name).toBe('fw');
  const odd = { ...settings, host: 'mongodb://me:s3@cr/et?1@h:1/fw' };
  expect(describeLaunchPad(odd)).toBe('mongodb://***@h:1/fw');
  expect(describeLaunchPad({ ...odd, uriMode: false, port: 2 })).toBe('mongodb://***@h:1/fw:2/fw');
});

test.each([
  ['mongodb://h/db', 'db'],
  ['mongodb://u:p@h1:1,h2:2/db?replicaSet=r', 'db'],
  ['mongodb+srv://h/?x=1', ''],
  ['mongodb://h', ''],
])('the database in %s', (uri, name) => {
  expect(databaseIn(uri)).toBe(name);
});

test.each([
  ['a: [\n', 'is not YAML'],
  ['- a\n', "a LaunchPad file is a list of 'key: value' lines"],
  ['host:\n\tx\n', 'line 2: YAML is indented with spaces'],
])('a file that is none: %j', async (content, message) => {
  await writeFile(at('bad.yaml'), content);
  expect(() => readLaunchPadFile(at('bad.yaml'))).toThrow(message);
});

test('a file that is not there, or cannot be read', () => {
  expect(() => readLaunchPadFile(at('none.yaml'))).toThrow(`There is no LaunchPad file ${at('none.yaml')}`);
  expect(() => readLaunchPadFile(at('here'))).toThrow('cannot be read');
  expect(readLaunchPadFile(at('here/my_launchpad.yaml'))).toEqual({});
});
