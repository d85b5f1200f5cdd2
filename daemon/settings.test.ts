import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Doc } from '../core/launchpad/index.ts';
import { parseCommandLine } from './command_line.ts';
import { readErrorDelayMs, readSettings } from './read_settings.ts';
import { SETTINGS, type Sources, settingsHelp, workerSettings } from './settings.ts';

const sources = (attributes: Record<string, string> | null, file?: Doc, env = {}): Sources => ({
  instance: attributes && { name: 'vm-0', id: '1', zone: 'z', attributes, preempted: false, spot: false },
  file: file ? { values: file, path: 'my_launchpad.yaml' } : null,
  env,
});

test('without any source: upstream’s defaults', () => {
  const { launchpad, ...rest } = workerSettings(sources(null));
  expect(launchpad).toMatchObject({ host: 'localhost', port: 27017, name: 'fireworks', uriMode: false });
  expect(rest).toEqual({
    idleForRocketsMs: 900_000,
    idleForWaitersMs: 3_600_000,
    quit: '',
    python: 'python3',
    fworker: {},
    pingMs: 3_600_000,
    slots: 1,
    maxPreemptions: 3,
    preemptedWaitMs: 600_000,
    lostRunMs: 14_400_000,
    maxLostRuns: 5,
    pruneImagesAtPercent: 85,
    fetchCacheBytes: 10e9,
    storeRetryMs: 1_800_000,
    strmLvl: 'INFO',
    logdir: undefined,
  });
});

describe('every key is read from the VM’s metadata before the file', () => {
  const file = {
    host: 'file',
    port: 1,
    name: 'file',
    username: 'file',
    password: 'file',
    authsource: 'file',
  };
  const all = { ...file, idle_for_rockets: 1, idle_for_waiters: 2, strm_lvl: 'ERROR', logdir: 'file' };
  type Read = ReturnType<typeof workerSettings>;
  const cases: [string, Record<string, string>, (read: Read) => unknown, unknown, unknown][] = [
    ['host', { host: 'vm' }, (s) => s.launchpad.host, 'vm', 'file'],
    ['uri_mode', { uri_mode: 'true', host: 'mongodb://h/' }, (s) => s.launchpad.uriMode, true, false],
    ['port', { port: '27018' }, (s) => s.launchpad.port, 27018, 1],
    ['db', { db: 'vm' }, (s) => s.launchpad.name, 'vm', 'file'],
    ['username', { username: 'vm' }, (s) => s.launchpad.username, 'vm', 'file'],
    ['password', { password: 'vm' }, (s) => s.launchpad.password, 'vm', 'file'],
    ['authsource', { authsource: 'vm' }, (s) => s.launchpad.authsource, 'vm', 'file'],
    ['idle_for_rockets', { idle_for_rockets: '1.5' }, (s) => s.idleForRocketsMs, 1500, 1000],
    ['idle_for_waiters', { idle_for_waiters: '30' }, (s) => s.idleForWaitersMs, 30_000, 2000],
    ['strm_lvl', { strm_lvl: 'DEBUG' }, (s) => s.strmLvl, 'DEBUG', 'ERROR'],
    ['logdir', { logdir: 'vm' }, (s) => s.logdir, 'vm', 'file'],
    ['quit', { quit: 'soon' }, (s) => s.quit, 'soon', ''],
    ['python', { python: '/opt/python' }, (s) => s.python, '/opt/python', 'python3'],
    ['fworker_name', { fworker_name: 'big-1' }, (s) => s.fworker.name, 'big-1', undefined],
    [
      'fworker_category',
      { fworker_category: '[gpu, big]' },
      (s) => s.fworker.category,
      ['gpu', 'big'],
      undefined,
    ],
    [
      'fworker_query',
      { fworker_query: '{"spec.n": {"$gt": 1}}' },
      (s) => s.fworker.query,
      { 'spec.n': { $gt: 1 } },
      undefined,
    ],
    [
      'fworker_env',
      { fworker_env: '{tool: /opt/tool}' },
      (s) => s.fworker.env,
      { tool: '/opt/tool' },
      undefined,
    ],
    ['fetch_cache', { fetch_cache: '0.5' }, (s) => s.fetchCacheBytes, 0.5e9, 10e9],
    ['store_retry_secs', { store_retry_secs: '60' }, (s) => s.storeRetryMs, 60_000, 1_800_000],
    ['prune_images_at', { prune_images_at: '70' }, (s) => s.pruneImagesAtPercent, 70, 85],
    ['ping_time_secs', { ping_time_secs: '5' }, (s) => s.pingMs, 5000, 3_600_000],
    ['slots', { slots: 'auto' }, (s) => s.slots, 'auto', 1],
    ['max_preemptions', { max_preemptions: '1' }, (s) => s.maxPreemptions, 1, 3],
    ['preempted_wait_secs', { preempted_wait_secs: '0' }, (s) => s.preemptedWaitMs, 0, 600_000],
    ['lost_run_secs', { lost_run_secs: '0' }, (s) => s.lostRunMs, 0, 14_400_000],
    ['max_lost_runs', { max_lost_runs: '2' }, (s) => s.maxLostRuns, 2, 5],
  ];
  test.each(cases)('%s', (_, attributes, read, onVm, fromFile) => {
    expect(read(workerSettings(sources(attributes, all)))).toEqual(onVm);
    expect(read(workerSettings(sources({}, all)))).toEqual(fromFile);
  });
  test('none is forgotten here', () => {
    expect([...cases.map(([name]) => name), 'error_delete_delay'].sort()).toEqual(
      Object.keys(SETTINGS).sort(),
    );
  });
});

test('an empty attribute is none, and null in the file is none', () => {
  const read = workerSettings(sources({ host: '', idle_for_rockets: '' }, { host: null, port: null }));
  expect([read.launchpad.host, read.launchpad.port, read.idleForRocketsMs]).toEqual([
    'localhost',
    27017,
    900_000,
  ]);
});

test('the default of idle_for_waiters grows with idle_for_rockets', () => {
  expect(workerSettings(sources({ idle_for_rockets: '7200' })).idleForWaitersMs).toBe(7_200_000);
});

test('the database of a connection string holds, unless one is named', () => {
  const uri = { host: 'mongodb://h/mine?x=1', uri_mode: true };
  expect(workerSettings(sources(null, uri)).launchpad.name).toBe('mine');
  expect(workerSettings(sources(null, { ...uri, name: 'other' })).launchpad.name).toBe('other');
  expect(workerSettings(sources(null, { ...uri, host: 'mongodb://h' })).launchpad.name).toBe('fireworks');
});

describe('a bad value stops at the door, and says key, value, source and what is accepted', () => {
  const cases: [Record<string, string>, Doc, string][] = [
    [
      { fworker_category: '{a: 1}' },
      {},
      'fworker_category={a: 1} (VM metadata): must be a word, or a list as [gpu, big]',
    ],
    [
      { fworker_query: 'big' },
      {},
      'fworker_query=big (VM metadata): must be a MongoDB query, as {"spec.kind": "big"}',
    ],
    [{ fworker_env: '[' }, {}, 'fworker_env=[ (VM metadata): must be YAML'],
    [{ port: 'x' }, {}, 'port=x (VM metadata): must be a number'],
    [{ port: '0' }, {}, 'port=0 (VM metadata): must be from 1 to 65535'],
    [{ port: '27017.5' }, {}, 'port=27017.5 (VM metadata): must be a whole number'],
    [{ idle_for_rockets: ' ' }, {}, 'idle_for_rockets=  (VM metadata): must be a number'],
    [{ idle_for_rockets: '15m' }, {}, 'idle_for_rockets=15m (VM metadata): must be a number'],
    [{ idle_for_rockets: '-1' }, {}, 'idle_for_rockets=-1 (VM metadata): must be a number'],
    [{}, { idle_for_rockets: -1 }, 'idle_for_rockets=-1 (my_launchpad.yaml): must not be negative'],
    [
      { idle_for_waiters: '10' },
      {},
      'idle_for_waiters=10 (VM metadata): must be at least idle_for_rockets (900)',
    ],
    [{ uri_mode: 'yes' }, {}, 'uri_mode=yes (VM metadata): must be true or false'],
    [
      { strm_lvl: 'LOUD' },
      {},
      'strm_lvl=LOUD (VM metadata): expected one of "CRITICAL"|"ERROR"|"WARNING"|"INFO"|"DEBUG"',
    ],
    [{ quit: 'now' }, {}, 'quit=now (VM metadata): expected one of "soon"|"when-idle"|""'],
    [{ slots: 'all' }, {}, 'slots=all (VM metadata): must be a whole number of at least 1, or auto'],
    [{ slots: '0' }, {}, 'slots=0 (VM metadata): must be at least 1'],
    [{ max_preemptions: '0' }, {}, 'max_preemptions=0 (VM metadata): must be at least 1'],
    [{ max_lost_runs: '2.5' }, {}, 'max_lost_runs=2.5 (VM metadata): must be a whole number'],
    [{ ping_time_secs: '0' }, {}, 'ping_time_secs=0 (VM metadata): must be more than 0'],
    [{}, { password: 1234 }, 'password=*** (my_launchpad.yaml): expected string, received number'],
    [
      { uri_mode: 'true', host: 'user:secret@h' },
      {},
      'settings: with uri_mode: true, host must be a connection string (mongodb://... or mongodb+srv://...)',
    ],
  ];
  test.each(cases)('%j %j', (attributes, file, message) => {
    expect(() => workerSettings(sources(attributes, file))).toThrow(
      expect.objectContaining({ name: 'UsageError', message }),
    );
  });
});

test('some may be set for one worker by environment', () => {
  const env = { FIREWORKER_PING_TIME_SECS: '2', FIREWORKER_PYTHON: '/p', FIREWORKER_LOST_RUN_SECS: 'often' };
  expect(() => workerSettings(sources(null, undefined, env))).toThrow(
    'lost_run_secs=often (FIREWORKER_LOST_RUN_SECS): must be a number',
  );
  const read = workerSettings(sources(null, undefined, { ...env, FIREWORKER_LOST_RUN_SECS: '8' }));
  expect([read.pingMs, read.python, read.lostRunMs]).toEqual([2000, '/p', 8000]);
});

test('--help names every setting with its default', () => {
  const lines = settingsHelp().split('\n');
  expect(lines.map((line) => line.trim().split(' ')[0])).toEqual(Object.keys(SETTINGS));
  expect(lines.join('\n')).toContain('nothing is READY (default 900 s)');
  expect(lines.join('\n')).not.toContain('undefined');
});

test('how long a VM waits after an error is known even when its settings are wrong', () => {
  const { instance } = sources({ port: 'x', error_delete_delay: '3' });
  expect(readErrorDelayMs(instance, {})).toBe(3000);
  expect(readErrorDelayMs(sources({ error_delete_delay: 'x' }).instance, {})).toBe(900_000);
});

describe('a LaunchPad file', () => {
  const read = async (text: string | null) => {
    const folder = await mkdtemp(join(tmpdir(), 'settings-'));
    try {
      const path = join(folder, 'pad.yaml');
      if (text !== null) await writeFile(path, text);
      return await readSettings(parseCommandLine(['-l', path]), null, {});
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  const cases: [string, string | null, RegExp][] = [
    ['that is not there', null, /^There is no LaunchPad file .*pad\.yaml\. Name another with -l FILE$/],
    [
      'with an unknown key',
      'host: h\nprot: 1\n',
      /pad\.yaml: unknown key 'prot'\. Known keys: host, port, name/,
    ],
    ['with a wrong type', 'port: "x"\n', /pad\.yaml: port="x": expected number, received string/],
    [
      'with tabs',
      'host: h\nmongoclient_kwargs:\n\ttls: true\n',
      /pad\.yaml, line 3: YAML is indented with spaces/,
    ],
    ['that is no YAML', 'host: [\n', /pad\.yaml is not YAML: .* at line 2/],
    ['that is a list', '- host\n', /pad\.yaml: a LaunchPad file is a list of 'key: value' lines/],
    ['with a secret of a wrong type', 'password: [s3cret]\n', /pad\.yaml: password=\*\*\*: expected string/],
    [
      'with a connection string of a wrong type',
      'host: ["mongodb://u:s3cret@h"]\n',
      /host=\*\*\*: expected string/,
    ],
    [
      'with waiters before rockets',
      'idle_for_waiters: 5\n',
      /^idle_for_waiters=5 \(.*pad\.yaml\): must be at least/,
    ],
  ];
  test.each(cases)('%s', async (_, text, message) => {
    const failure = await read(text).catch((thrown: Error) => thrown);
    expect((failure as Error).name).toBe('UsageError');
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain('s3cret');
  });
  test('that is good', async () => {
    const { launchpad } = await read('host: h\nport: 5\nname: mine\nusername: null\nlogdir: null\n');
    expect(launchpad).toMatchObject({ host: 'h', port: 5, name: 'mine', username: undefined });
  });
});
