import { expect, test } from 'bun:test';
import { readEndpoints } from '../../core/cloud/endpoints.ts';
import { Storage } from '../../core/cloud/storage.ts';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { logPlaces, logsIn } from './task_logs.ts';

const task = (outputs: unknown, more = {}) => ({
  _fw_name: 'DockerTask',
  internal_prefix: '/w',
  storage_prefix: 'b-1/run',
  outputs,
  ...more,
});

test('where the tasks of a Firework log to', () => {
  const spec = {
    _tasks: [
      task(['/w/out/', '>/w/said', '>>/w/logs/run.log', '>> /w/x.log']),
      task(['>>/w/a.log'], { storage_prefix: 'gs://b-1/' }),
      task(['>>/w/sub/b.log'], {
        _fw_name: '{{borealis.docker_task.DockerTask}}',
        internal_prefix: '/w/sub/',
      }),
      task(null),
      { _fw_name: 'ScriptTask', script: 'true', outputs: ['>>/w/no'] },
    ],
  };
  expect(logPlaces(spec)).toEqual([
    { bucket: 'b-1', folder: 'run/logs/', file: 'run.log' },
    { bucket: 'b-1', folder: 'run/', file: 'x.log' },
    { bucket: 'b-1', folder: '', file: 'a.log' },
    { bucket: 'b-1', folder: 'run/', file: 'b.log' },
  ]);
  expect(logPlaces({})).toEqual([]);
});

test('the logs of all runs, and of no other task', async () => {
  await using cloud = await testCloud();
  const storage = new Storage(readEndpoints(cloud.env));
  const names = [
    '20260102.000000_run.log',
    '20260101.235959_run.log',
    'run.log',
    '20260101.000000_other_run.log',
  ];
  for (const name of [...names, 'deep/20260101.000000_run.log'])
    await storage.write('sandbox', `r/${name}`, name);
  const found = await logsIn(storage, { bucket: 'sandbox', folder: 'r/', file: 'run.log' });
  expect(found.map(({ name }) => name)).toEqual(['r/20260101.235959_run.log', 'r/20260102.000000_run.log']);
});
