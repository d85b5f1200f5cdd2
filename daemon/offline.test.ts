/** A rocket without a LaunchPad: prepared as a queue does, flown, and brought in. */
import { describe, expect, test } from 'bun:test';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  addOfflineRun,
  type Doc,
  openOfflineRuns,
  recoverOffline,
  rerun,
  reserve,
  toJson,
} from '../core/launchpad/index.ts';
import { SECOND } from '../core/wait.ts';
import { flyOffline } from './offline.ts';
import { runs, type TestWorker, testWorker, until } from './test_worker.ts';

const script = (text: string, more: Doc = {}): Doc => ({ _fw_name: 'ScriptTask', script: text, ...more });

/** Reserves Firework 1, before 2, and writes into the worker's folder what `qlaunch -r` writes into a launch's. */
async function prepared(worker: TestWorker, tasks: Doc[], spec: Doc = {}): Promise<void> {
  await worker.add(tasks, spec, 1);
  await prepareNext(worker);
}

async function prepareNext({ launchpad, pad, folder }: TestWorker): Promise<void> {
  const { launchId, fwId } = (await reserve(launchpad, pad.fworker, { launchDir: () => folder })) as {
    launchId: number;
    fwId: number;
  };
  const firework = (await launchpad.fireworks.findOne({ fw_id: fwId })) as Doc;
  await writeFile(join(folder, 'FW.json'), toJson({ ...firework, _id: undefined, launches: [] }));
  await writeFile(join(folder, 'FW_offline.json'), `{"launch_id": ${launchId}}`);
  await addOfflineRun(launchpad, { launchId, fwId }, 'first');
}

const flyIn = ({ pad, folder }: TestWorker, o: { fwId?: number; pingMs?: number } = {}) =>
  flyOffline(pad, { folder, pingMs: 60 * SECOND, signal: pad.stopNow, log: pad.log, ...o });
const diaryOf = async ({ folder }: TestWorker) =>
  JSON.parse(await readFile(join(folder, 'FW_offline.json'), 'utf8')) as Doc;
/** Brings in whatever is open; returns what went wrong. */
async function recover({ launchpad }: TestWorker): Promise<(string | null)[]> {
  const problems: (string | null)[] = [];
  for await (const run of openOfflineRuns(launchpad)) problems.push(await recoverOffline(launchpad, run));
  return problems;
}
const states = async ({ launchpad }: TestWorker) =>
  (await launchpad.fireworks.find({}).sort({ fw_id: 1 }).toArray()).map(({ state }) => state);

test('its action, its times and its tracked files are in the LaunchPad once it is brought in', async () => {
  await using worker = await testWorker();
  const action = '{"update_spec": {"found": 1}}';
  await prepared(worker, [script(`echo line > log; echo '${action}' > FWAction.json`)], {
    _trackers: [{ filename: 'log' }],
  });
  expect(await flyIn(worker, { fwId: 1 })).toBe('COMPLETED');
  expect(await states(worker)).toEqual(['RESERVED', 'WAITING']);
  expect(await recover(worker)).toEqual([null]);
  expect(await states(worker)).toEqual(['COMPLETED', 'READY']);
  expect((await worker.firework(2)).spec).toMatchObject({ found: 1 });
  const { trackers, time_start, time_end } = await worker.launch(1);
  expect(trackers).toMatchObject([{ filename: 'log', content: 'line' }]);
  const diary = await diaryOf(worker);
  const ms = (iso: unknown) => Date.parse(String(iso));
  expect([ms(time_start), ms(time_end)]).toEqual([ms(diary.started_on), ms(diary.completed_on)]);
});

test('while it flies the diary tells how far it is, and that it lives', async () => {
  await using worker = await testWorker();
  const wait = 'touch waits; until [ -e go ]; do sleep 0.02; done';
  await prepared(worker, [script('true', { store_stdout: true }), script(wait)]);
  const flying = flyIn(worker, { pingMs: 20 });
  await until('the second Firetask', async () => (await readdir(worker.folder)).includes('waits'));
  await until('a heartbeat', async () => (await readdir(worker.folder)).includes('FW_ping.json'));
  expect(await recover(worker)).toEqual([null]);
  expect(await states(worker)).toEqual(['RUNNING', 'WAITING']);
  const running = ((await worker.launch(1)).state_history as Doc[]).find(({ state }) => state === 'RUNNING');
  expect(running?.checkpoint).toMatchObject({
    _task_n: 1,
    _all_stored_data: { stdout: '', returncode: 0, all_returncodes: [0] },
  });
  await writeFile(join(worker.folder, 'go'), '');
  expect(await flying).toBe('COMPLETED');
  expect(await recover(worker)).toEqual([null]);
  expect(await states(worker)).toEqual(['COMPLETED', 'READY']);
});

test('_launch_dir is not for it: its diary is where it is', async () => {
  await using worker = await testWorker();
  await prepared(worker, [script('touch here')], { _launch_dir: '/nowhere' });
  expect(await flyIn(worker)).toBe('COMPLETED');
  expect(await readdir(worker.folder)).toContain('here');
});

test('a failure is brought in with its reason, and the next run begins a new page', async () => {
  await using worker = await testWorker();
  await prepared(worker, [script('[ -e again ] || { touch again; exit 7; }')]);
  expect(await flyIn(worker)).toBe('FIZZLED');
  expect(await recover(worker)).toEqual([null]);
  expect(await states(worker)).toEqual(['FIZZLED', 'WAITING']);
  const { _exception } = (await worker.storedData(1)) as { _exception: Doc };
  expect(String(_exception._stacktrace).trim()).toEndWith('ScriptTask fizzled! Return code: [7]');
  await rerun(worker.launchpad, 1);
  await prepareNext(worker);
  expect(await flyIn(worker)).toBe('COMPLETED');
  expect(await recover(worker)).toEqual([null]);
  expect(await states(worker)).toEqual(['COMPLETED', 'READY']);
});

test('a queue that runs it again: the end of the run before is gone from the first moment', async () => {
  await using worker = await testWorker();
  await prepared(worker, [script('touch waits; until [ -e go ]; do sleep 0.02; done')]);
  await writeFile(
    join(worker.folder, 'FW_offline.json'),
    '{"launch_id": 1, "fwaction": {}, "state": "FIZZLED", "completed_on": "2026-01-02T03:04:05+00:00"}',
  );
  const flying = flyIn(worker);
  await until('the Firetask', async () => (await readdir(worker.folder)).includes('waits'));
  expect(Object.keys(await diaryOf(worker)).sort()).toEqual(['checkpoint', 'launch_id', 'started_on']);
  await writeFile(join(worker.folder, 'go'), '');
  expect(await flying).toBe('COMPLETED');
});

test('SIGTERM: its process ends, and the diary says why', async () => {
  await using worker = await testWorker();
  await prepared(worker, [script('echo $$ > pid; exec sleep 60')]);
  const flying = flyIn(worker);
  const pidFile = join(worker.folder, 'pid');
  const pid = await until('the task', async () => Number(await readFile(pidFile, 'utf8').catch(() => '')));
  worker.stop('SIGTERM');
  expect([await flying, await runs(pid)]).toEqual(['FIZZLED', false]);
  await recover(worker);
  const { _exception } = (await worker.storedData(1)) as { _exception: Doc };
  expect(String(_exception._stacktrace).trim()).toEndWith('Error: SIGTERM');
});

describe('a folder that nobody has prepared', () => {
  const firework = { fw_id: 1, spec: { _tasks: [] } };
  const cases: [string, Record<string, string>, number | undefined, string][] = [
    [
      'no FW.json',
      {},
      undefined,
      'FW.json: is not there. An offline rocket runs in a folder that a queue has prepared (qlaunch -r)',
    ],
    ['no diary', { 'FW.json': toJson(firework) }, undefined, 'FW_offline.json: is not there. '],
    ['no JSON', { 'FW.json': '{' }, undefined, 'FW.json is not JSON: '],
    ['no Firework', { 'FW.json': '[]' }, undefined, 'FW.json is no dictionary'],
    [
      'a workflow',
      { 'FW.json': toJson({ fws: [firework, { ...firework, fw_id: 2 }] }) },
      undefined,
      'must be one Firework',
    ],
    ['another Firework', { 'FW.json': toJson(firework) }, 2, ' is Firework 1, not 2'],
  ];
  test.each(cases)('%s', async (_, files, fwId, message) => {
    await using worker = await testWorker();
    for (const [name, text] of Object.entries(files)) await writeFile(join(worker.folder, name), text);
    const failure = await flyIn(worker, { fwId }).then(
      () => null,
      (thrown: Error) => thrown,
    );
    expect(failure?.name).toBe('BorealisError');
    expect(failure?.message).toContain(message);
  });
});
