/** Background tasks in real flights. */
import { expect, test } from 'bun:test';
import type { Doc } from '../core/launchpad/index.ts';
import { MINUTE } from '../core/wait.ts';
import { runs, type TestWorker, testWorker, until } from './test_worker.ts';

const script = (text: string): Doc => ({ _fw_name: 'ScriptTask', script: text });
const background = (text: string, more: Doc = {}): Doc => ({
  _fw_name: 'BackgroundTask',
  tasks: [script(text)],
  num_launches: 0,
  sleep_time: 0.05,
  run_on_finish: false,
  ...more,
});
/** Ends when the file has so many lines. */
const waitForLines = (count: number): Doc =>
  script(`until [ "$(cat log 2> /dev/null | wc -l)" -ge ${count} ]; do sleep 0.02; done`);
const lines = async (worker: TestWorker) => (await worker.file('log')).trim().split('\n');
const traceOf = async (worker: TestWorker): Promise<string> => {
  const { _exception, _task } = (await worker.storedData(1)) as { _exception: Doc; _task: Doc | null };
  expect(_task).toBeNull();
  return String(_exception._stacktrace).trim();
};

test('it runs again and again beside the Firetasks, and what it gives back counts for nothing', async () => {
  await using worker = await testWorker();
  await worker.add([waitForLines(3)], { _background_tasks: [background('echo round >> log')] });
  expect(await worker.fly()).toBe('completed');
  expect(await worker.storedData(1)).toEqual({ returncode: 0, all_returncodes: [0] });
});

test('num_launches rounds and no more; several at once', async () => {
  await using worker = await testWorker();
  const tasks = [
    background('echo a >> log', { num_launches: 2 }),
    background('echo b >> log', { num_launches: 1 }),
  ];
  await worker.add([waitForLines(3), script('sleep 0.3')], { _background_tasks: tasks });
  expect(await worker.fly()).toBe('completed');
  expect((await lines(worker)).sort()).toEqual(['a', 'a', 'b']);
});

test('run_on_finish: once more at the end; a lone task and a lone background task will do', async () => {
  await using worker = await testWorker();
  const one = { ...background(''), tasks: script('echo round >> log'), sleep_time: 60, run_on_finish: true };
  await worker.add([waitForLines(1), script('echo end >> log')], { _background_tasks: one });
  expect(await worker.fly()).toBe('completed');
  expect(await lines(worker)).toEqual(['round', 'end', 'round']);
});

test('it sees the spec as it was at the start', async () => {
  await using worker = await testWorker();
  const look = { ...script('cat >> log; echo >> log'), stdin_key: 'word' };
  await worker.add(
    [
      {
        _fw_name: 'FileWriteTask',
        files_to_write: [{ filename: 'FWAction.json', contents: '{"update_spec": {"word": "new"}}' }],
      },
    ],
    {
      word: 'old',
      _background_tasks: [{ ...background(''), tasks: [look], sleep_time: 60, run_on_finish: true }],
    },
  );
  expect(await worker.fly()).toBe('completed');
  expect(new Set(await lines(worker))).toEqual(new Set(['old']));
});

test('its failure is told, and is not the Firework’s', async () => {
  await using worker = await testWorker();
  await worker.add([waitForLines(1), script('sleep 0.2')], {
    _background_tasks: [background('echo once >> log; exit 3')],
  });
  expect(await worker.fly()).toBe('completed');
  expect(await lines(worker)).toEqual(['once']);
  expect(worker.said.map(({ message }) => message)).toContain(
    'A background task failed: ScriptTask fizzled! Return code: [3]',
  );
});

test('at the end its failure is the Firework’s; after a failed Firetask it does not run', async () => {
  await using worker = await testWorker();
  const finish = (text: string) => ({
    _background_tasks: [background(text, { num_launches: 1, run_on_finish: true })],
  });
  await worker.add([waitForLines(1)], finish('echo $$ >> log; [ "$(wc -l < log)" -eq 1 ]'));
  expect(await worker.fly()).toBe('fizzled');
  expect(await traceOf(worker)).toEndWith('RuntimeError: ScriptTask fizzled! Return code: [1]');

  await using other = await testWorker();
  await other.add([waitForLines(1), script('exit 1')], finish('echo round >> log'));
  expect(await other.fly()).toBe('fizzled');
  expect(await lines(other)).toEqual(['round']);
});

test('a round that has begun may end; one that never does is ended', async () => {
  await using worker = await testWorker({ graceMs: MINUTE });
  // It ends when the Firetasks have; the next one would begin long after that, however slow the machine is.
  const round = 'echo begun >> log; until [ -e ended ]; do sleep 0.02; done; sleep 0.3; echo done >> log';
  await worker.add([waitForLines(1), script('touch ended')], {
    _background_tasks: [background(round, { sleep_time: 60 })],
  });
  expect(await worker.fly()).toBe('completed');
  expect(await lines(worker)).toEqual(['begun', 'done']);

  await using other = await testWorker({ graceMs: 50 });
  await other.add([waitForLines(1)], { _background_tasks: [background('echo $$ >> log; exec sleep 60')] });
  expect(await other.fly()).toBe('completed');
  expect(await runs(Number(await other.file('log')))).toBe(false);
});

test('it ends when its Firework is given back', async () => {
  await using worker = await testWorker();
  await worker.add([script('sleep 60')], {
    _background_tasks: [background('echo $$ > pid; exec sleep 60')],
  });
  const flying = worker.fly();
  const pid = await until('it runs', async () => Number(await worker.file('pid').catch(() => '')) || null);
  worker.stop('SIGTERM');
  expect([await flying, await runs(pid)]).toEqual(['givenUp', false]);
});

const wrong: [string, unknown, RegExp][] = [
  ['no tasks', { num_launches: 1 }, /ValueError: _background_tasks\.0\.tasks: /],
  ['no dictionary', ['often'], /ValueError: _background_tasks\.0: /],
  [
    'a wrong number',
    background('', { num_launches: 'many' }),
    /ValueError: _background_tasks\.0\.num_launches: /,
  ],
];
test.each(wrong)('%s: the Firework fails and says so', async (_, value, last) => {
  await using worker = await testWorker();
  await worker.add([script('touch never')], { _background_tasks: value });
  expect(await worker.fly()).toBe('fizzled');
  expect(await traceOf(worker)).toMatch(last);
});
