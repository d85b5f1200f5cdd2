import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { addWorkflows, newWorkflow } from './add.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { fwAction } from './model.ts';
import { addOfflineRun, forgetOffline, openOfflineRuns, recoverOffline } from './offline.ts';
import { rerun } from './rerun.ts';
import { reserve } from './reservations.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const run = { fwId: 1, launchId: 1 };
const started = { started_on: '2026-01-02T03:04:05.678901+00:00' };
const ended = { ...started, completed_on: '2026-01-02T04:04:05.678901+00:00' };
const completed = { ...ended, state: 'COMPLETED', fwaction: fwAction({ update_spec: { found: 1 } }) };

/** Firework 1, before 2, is reserved in a folder of its own and runs offline there. */
async function offline(work: (launchpad: LaunchPad, folder: string) => Promise<void>): Promise<void> {
  await using pad = await testPad();
  const folder = await mkdtemp(join(tmpdir(), 'offline-'));
  try {
    const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }], _trackers: [{ filename: 'log' }] };
    const fws = [1, 2].map((fw_id) => ({ fw_id, spec }));
    await addWorkflows(pad.launchpad, [newWorkflow({ fws, links: { 1: [2] } })]);
    const worker = { name: 'laptop', category: '', query: {}, env: {} };
    await reserve(pad.launchpad, worker, { launchDir: () => folder });
    await addOfflineRun(pad.launchpad, run, 'one');
    await work(pad.launchpad, folder);
    expect(await violations(pad.launchpad)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const write = (folder: string, diary: unknown, name = 'FW_offline.json') =>
  writeFile(join(folder, name), typeof diary === 'string' ? diary : JSON.stringify(diary));
const states = async ({ fireworks }: LaunchPad) =>
  (await fireworks.find({}, { sort: { fw_id: 1 } }).toArray()).map(({ state }) => state);
const launchOf = async ({ launches }: LaunchPad) => (await launches.findOne({ launch_id: 1 })) as Doc;
const runOf = async ({ offlineRuns }: LaunchPad) => await offlineRuns.findOne({});

test('a run that has begun is RUNNING, with its last sign of life and what its trackers see', () =>
  offline(async (launchpad, folder) => {
    await write(folder, { ...started, checkpoint: { _task_n: 2 } });
    await write(folder, { ping_time: '2026-01-02T03:30:00.250000+00:00' }, 'FW_ping.json');
    await writeFile(join(folder, 'log'), 'one\ntwo\n');
    for (let i = 0; i < 2; i++) expect(await recoverOffline(launchpad, run)).toBeNull();
    expect(await states(launchpad)).toEqual(['RUNNING', 'WAITING']);
    const launch = await launchOf(launchpad);
    expect(launch).toMatchObject({
      state: 'RUNNING',
      time_start: started.started_on.replace('678901', '678000'),
    });
    expect(launch.state_history).toMatchObject([
      { state: 'RESERVED' },
      { state: 'RUNNING', updated_on: '2026-01-02T03:30:00.250000+00:00', checkpoint: { _task_n: 2 } },
    ]);
    expect((launch.trackers as Doc[])[0]?.content).toBe('one\ntwo');
    expect(await runOf(launchpad)).toMatchObject({ completed: false });
  }));

test.each(['FW_offline.json', 'FW_offline.json.gz'])('one that has ended is brought in: %s', (name) =>
  offline(async (launchpad, folder) => {
    const text = JSON.stringify(completed);
    await writeFile(join(folder, name), name.endsWith('.gz') ? gzipSync(text) : text);
    expect(await recoverOffline(launchpad, run)).toBeNull();
    expect(await states(launchpad)).toEqual(['COMPLETED', 'READY']);
    expect(await launchOf(launchpad)).toMatchObject({ state: 'COMPLETED', runtime_secs: 3600 });
    expect((await launchpad.fireworks.findOne({ fw_id: 2 }))?.spec.found).toBe(1);
    expect(await runOf(launchpad)).toMatchObject({ completed: true });
    expect(await Array.fromAsync(openOfflineRuns(launchpad))).toEqual([]);
  }),
);

test('one that fizzled keeps what it said', () =>
  offline(async (launchpad, folder) => {
    const fwaction = fwAction({ stored_data: { _message: 'no good' }, exit: true });
    await write(folder, { ...ended, state: 'FIZZLED', fwaction });
    expect(await recoverOffline(launchpad, run)).toBeNull();
    expect(await states(launchpad)).toEqual(['FIZZLED', 'WAITING']);
    expect(await launchOf(launchpad)).toMatchObject({ action: { stored_data: { _message: 'no good' } } });
  }));

test.each<[string, unknown, string]>([
  ['missing', null, 'There is no FW_offline.json in'],
  ['cut off', '{"started_on": ', 'FW_offline.json is not JSON: the end in line 1'],
  ['no dictionary', '[]', 'FW_offline.json is no dictionary'],
  ['of no state', { ...completed, state: 'DONE' }, 'state: must be COMPLETED or FIZZLED'],
  ['with an action that is none', { ...completed, fwaction: { stored: 1 } }, "unknown key 'stored'"],
  [
    'with a workflow that is none',
    { ...completed, fwaction: { additions: [{ fws: [] }] } },
    'at least one Firework',
  ],
])('a diary that is %s ends it FIZZLED with the reason, unless errors are ignored', (_, diary, message) =>
  offline(async (launchpad, folder) => {
    if (diary !== null) await write(folder, diary);
    expect(await recoverOffline(launchpad, run, { ignoreErrors: true })).toContain(message);
    expect((await states(launchpad))[0]).not.toBe('FIZZLED');
    expect(await runOf(launchpad)).toMatchObject({ completed: false });
    expect(await recoverOffline(launchpad, run)).toContain(message);
    expect(await states(launchpad)).toEqual(['FIZZLED', 'WAITING']);
    const { action } = (await launchOf(launchpad)) as { action: { stored_data: Doc } };
    expect(String((action.stored_data._exception as Doc)._stacktrace)).toContain(message);
    expect(await runOf(launchpad)).toMatchObject({ completed: true });
  }),
);

test('results of one that was rerun meanwhile are not used', () =>
  offline(async (launchpad, folder) => {
    await write(folder, started);
    await recoverOffline(launchpad, run);
    await rerun(launchpad, 1);
    await write(folder, completed);
    expect(await recoverOffline(launchpad, run)).toContain('they are not used');
    expect(await states(launchpad)).toEqual(['READY', 'WAITING']);
    expect(await runOf(launchpad)).toMatchObject({ completed: true });
  }));

test('those of a worker, and those that are forgotten', () =>
  offline(async (launchpad) => {
    expect(await Array.fromAsync(openOfflineRuns(launchpad, 'laptop'))).toEqual([{ ...run }]);
    expect(await Array.fromAsync(openOfflineRuns(launchpad, 'other'))).toEqual([]);
    expect(await forgetOffline(launchpad, { launch_id: 7 })).toBe(0);
    expect(await forgetOffline(launchpad, { fw_id: 1 })).toBe(1);
    expect(await Array.fromAsync(openOfflineRuns(launchpad))).toEqual([]);
  }));

test('a launch that is gone is forgotten', () =>
  offline(async (launchpad) => {
    await addOfflineRun(launchpad, { fwId: 9, launchId: 9 }, 'gone');
    expect(await recoverOffline(launchpad, { fwId: 9, launchId: 9 })).toBe('launch 9 is gone');
    expect(await Array.fromAsync(openOfflineRuns(launchpad))).toEqual([run]);
  }));
