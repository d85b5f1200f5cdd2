/** What people see of the files that a Firework tracks, while it runs and after. */
import { expect, test } from 'bun:test';
import { trackerData } from '../core/launchpad/index.ts';
import { sleep } from '../core/wait.ts';
import { testWorker } from './test_worker.ts';

const script = (line: string) => ({ _fw_name: 'ScriptTask', script: line, use_shell: true });

test('tracked files are told while the rocket flies, and how they ended', async () => {
  await using worker = await testWorker({ pingMs: 50 });
  const _trackers = [
    { filename: 'run.log', nlines: 2 },
    { filename: 'none.log', nlines: 2 },
  ];
  const wait = 'while [ ! -e ../go ]; do sleep 0.05; done';
  await worker.add([script(`seq 3 > run.log; ${wait}; echo end >> run.log`)], { _trackers });
  const content = async () => (await trackerData(worker.launchpad, 1))[0]?.trackers.map((one) => one.content);
  const landing = worker.fly();
  while ((await content())?.[0] === undefined) await sleep(20);
  expect(await content()).toEqual(['2\n3', undefined]);
  await Bun.write(`${worker.folder}/go`, '');
  expect(await landing).toBe('completed');
  expect(await content()).toEqual(['3\nend', undefined]);
  const { trackers } = await worker.launch(1);
  expect(trackers).toEqual([
    { filename: 'run.log', nlines: 2, allow_zipped: false, content: '3\nend' },
    { filename: 'none.log', nlines: 2, allow_zipped: false },
  ]);
});
