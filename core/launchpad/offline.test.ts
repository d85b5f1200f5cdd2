import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addWorkflows, newWorkflow } from './add.ts';
import { fwAction } from './model.ts';
import { addOfflineRun, forgetOffline, openOfflineRuns, recoverOffline } from './offline.ts';
import { rerun } from './rerun.ts';
import {
  cancelReservation,
  launchOfReservation,
  reservationIds,
  reserve,
  setReservationId,
  staleReservations,
} from './reservations.ts';
import { type TestPad, testPad } from './test_pad.ts';
import { type Doc, isoTime } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const STARTED = '2026-01-02T03:04:05.678000+00:00';
const ENDED = '2026-01-02T03:05:05.678000+00:00';

/** A LaunchPad with a chain of two Fireworks, the first reserved for an offline run in a folder of its own. */
async function offlineRun(): Promise<TestPad & { run: { launchId: number; fwId: number }; diary: Diary }> {
  const pad = await testPad();
  const { launchpad } = pad;
  const folder = await mkdtemp(join(tmpdir(), 'offline-'));
  const fw = (fw_id: number) => ({ fw_id, spec: { _tasks: [], x: 0 } });
  await addWorkflows(launchpad, [newWorkflow({ fws: [fw(1), fw(2)], links: { 1: [2] } })]);
  const reserved = await reserve(launchpad, worker, { launchDir: () => folder });
  const run = { launchId: Number(reserved?.launchId), fwId: Number(reserved?.fwId) };
  await setReservationId(launchpad, run.launchId, '4711');
  await addOfflineRun(launchpad, run, 'one');
  return {
    ...pad,
    run,
    diary: (entries, file = 'FW_offline.json') =>
      writeFile(join(folder, file), typeof entries === 'string' ? entries : JSON.stringify(entries)),
    async [Symbol.asyncDispose]() {
      await pad[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
type Diary = (entries: Doc | string, file?: string) => Promise<void>;

const stateOf = async ({ launchpad }: TestPad, fwId: number) =>
  (await launchpad.fireworks.findOne({ fw_id: fwId }))?.state;

test('a run is brought in step by step: it began, it lives, it ended', async () => {
  await using pad = await offlineRun();
  const { launchpad, run } = pad;
  await pad.diary({ launch_id: 1 });
  expect(await recoverOffline(launchpad, run)).toBeNull();
  expect(await stateOf(pad, 1)).toBe('RESERVED');

  await pad.diary({ started_on: STARTED, checkpoint: { _task_n: 0 } });
  await pad.diary({ ping_time: ENDED }, 'FW_ping.json');
  expect(await recoverOffline(launchpad, run)).toBeNull();
  expect(await stateOf(pad, 1)).toBe('RUNNING');
  const running = await launchpad.launches.findOne({ launch_id: 1 });
  expect(running).toMatchObject({ state: 'RUNNING', time_start: STARTED });
  expect(running?.state_history[1]).toEqual({
    state: 'RUNNING',
    created_on: STARTED,
    updated_on: ENDED,
    checkpoint: { _task_n: 0 },
  });

  const action = fwAction({ stored_data: { n: 1 }, update_spec: { x: 7 } });
  await pad.diary({ started_on: STARTED, fwaction: action, state: 'COMPLETED', completed_on: ENDED });
  expect(await recoverOffline(launchpad, run)).toBeNull();
  const done = await launchpad.launches.findOne({ launch_id: 1 });
  expect(done).toMatchObject({ state: 'COMPLETED', time_end: ENDED, runtime_secs: 60 });
  expect(await launchpad.fireworks.findOne({ fw_id: 2 })).toMatchObject({ state: 'READY', spec: { x: 7 } });
  expect(await Array.fromAsync(openOfflineRuns(launchpad))).toEqual([]);
  // After a crash it is done once more, and changes nothing.
  expect(await recoverOffline(launchpad, run)).toBeNull();
  expect(await stateOf(pad, 1)).toBe('COMPLETED');
});

test('what cannot be read fails the run, unless errors are ignored', async () => {
  for (const [bad, why] of [
    [null, 'There is no FW_offline.json'],
    ['{"started_on": ', 'not JSON'],
    ['[]', 'no dictionary'],
    [{ fwaction: { nonsense: 1 }, state: 'COMPLETED' }, "unknown key 'nonsense'"],
    [{ fwaction: {}, state: 'DONE' }, 'must be COMPLETED or FIZZLED'],
    [
      { started_on: STARTED, fwaction: { detours: [{ fws: [] }] }, state: 'COMPLETED' },
      'at least one Firework',
    ],
  ] as const) {
    await using pad = await offlineRun();
    if (bad !== null) await pad.diary(bad);
    expect(await recoverOffline(pad.launchpad, pad.run, { ignoreErrors: true })).toContain(why);
    expect(await Array.fromAsync(openOfflineRuns(pad.launchpad))).toEqual([pad.run]);
    expect(await recoverOffline(pad.launchpad, pad.run)).toContain(why);
    expect([await stateOf(pad, 1), await stateOf(pad, 2)]).toEqual(['FIZZLED', 'WAITING']);
    const launch = await pad.launchpad.launches.findOne({ launch_id: 1 });
    expect(launch?.action.stored_data._exception._stacktrace).toContain(why);
    expect(await Array.fromAsync(openOfflineRuns(pad.launchpad))).toEqual([]);
  }
});

test('results of a Firework that was rerun meanwhile are not used', async () => {
  await using pad = await offlineRun();
  await rerun(pad.launchpad, 1);
  await pad.diary({ started_on: STARTED, fwaction: {}, state: 'COMPLETED', completed_on: ENDED });
  expect(await recoverOffline(pad.launchpad, pad.run)).toContain('not used');
  expect(await stateOf(pad, 1)).toBe('READY');
});

test('runs of one worker, and runs that are forgotten', async () => {
  await using pad = await offlineRun();
  const { launchpad, run } = pad;
  expect(await Array.fromAsync(openOfflineRuns(launchpad, 'w'))).toEqual([run]);
  expect(await Array.fromAsync(openOfflineRuns(launchpad, 'other'))).toEqual([]);
  expect(await forgetOffline(launchpad, { fw_id: 1 })).toBe(1);
  expect(await Array.fromAsync(openOfflineRuns(launchpad))).toEqual([]);
});

test('reservations are found by age and by the id of the queue, and taken back', async () => {
  await using pad = await offlineRun();
  const { launchpad } = pad;
  expect(await staleReservations(launchpad)).toEqual([]);
  const old = isoTime(new Date(Date.now() - 1000 * 3600));
  await launchpad.launches.updateOne({ launch_id: 1 }, { $set: { 'state_history.0.updated_on': old } });
  expect(await staleReservations(launchpad, 3599)).toEqual([{ launchId: 1, fwId: 1 }]);
  expect(await staleReservations(launchpad, 3601)).toEqual([]);
  expect(await reservationIds(launchpad, [1, 2])).toEqual(
    new Map([
      [1, '4711'],
      [2, null],
    ]),
  );
  expect(await launchOfReservation(launchpad, '4711', 'RESERVED')).toBe(1);
  await cancelReservation(launchpad, 1);
  expect(await stateOf(pad, 1)).toBe('READY');
  expect(await launchOfReservation(launchpad, '4711', 'RESERVED')).toBeNull();
  expect(await launchOfReservation(launchpad, '4711')).toBe(1);
  expect(await staleReservations(launchpad, 0)).toEqual([]);
});
