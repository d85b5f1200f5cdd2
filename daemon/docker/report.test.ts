import { expect, test } from 'bun:test';
import { dockerTaskParams } from '../firetasks/docker_params.ts';
import { epilogue, prologue, provenance } from './report.ts';
import { beginningOf, type RunState } from './task_run.ts';

const task = dockerTaskParams.parse({
  name: 'one',
  image: 'tool:1',
  command: 'run',
  internal_prefix: '/wc',
  storage_prefix: 'bucket/one',
  timeout: 90,
  memory: 1024,
  env: { MODE: 'fast', API_TOKEN: 'hidden', DbPassword: 'hidden' },
});
const at = new Date(2024, 1, 3, 4, 5, 6);
const begun = { ...beginningOf(task), startedAt: at };
const ran: RunState = {
  ...begun,
  image: { id: 'sha256:1', digest: 'tool@sha256:2', entrypoint: [], shell: [] },
  elapsedSecs: 61.23456,
  ended: { exitCode: 0, stoppedBy: null, outOfMemory: false, peakMemoryBytes: 512, removed: false },
};
const earlier = {
  fw_id: 7,
  launch_id: 3,
  at: '2024-01-01T00:00:00.000Z',
  prefix: '',
  outputs: [],
  folders: [],
  fwaction: null,
};

test('a log begins with the task and its parameters, but for what is secret', () => {
  const text = prologue(task, ran, 'vm-1');
  expect(text).toStartWith('20240203.040506 DockerTask: one, host: vm-1\n\n{');
  expect(text).toEndWith('}\n\nDocker Image ID: sha256:1');
  expect(text).toContain('"MODE": "fast"');
  expect(text).toContain('"API_TOKEN": "***"');
  expect(text).not.toContain('hidden');
  expect(prologue(task, begun, 'vm-1')).toEndWith('Docker Image ID: ---');
});

test('it ends with how it went', () => {
  expect(epilogue(task, ran, null, at)).toBe(
    '20240203.040506 SUCCESSFUL TASK: one, elapsed 0:01:01 of timeout parameter 0:01:30',
  );
  expect(epilogue(task, begun, new Error('No such image'), at)).toBe(
    '20240203.040506 FAILED TASK: one, elapsed --- of timeout parameter 0:01:30 No such image',
  );
  expect(epilogue(task, { ...begun, earlier }, null, at)).toBe(
    '20240203.040506 SKIPPED TASK: one, elapsed --- of timeout parameter 0:01:30: Firework 7 (launch 3, 2024-01-01T00:00:00.000Z) did the same, and its outputs were taken over',
  );
});

test('the launch keeps what ran and what it took, as far as it came', () => {
  const nothing = {
    image: 'tool:1',
    image_id: null,
    image_digest: null,
    exit_code: null,
    elapsed_secs: null,
    peak_memory_bytes: null,
    memory_limit_bytes: 1024,
    bytes_in: 10,
    bytes_out: 20,
  };
  const bytes = { in: 10, out: 20 };
  expect(provenance(task, begun, bytes)).toEqual(nothing);
  expect(provenance(task, ran, bytes)).toEqual({
    ...nothing,
    image_id: 'sha256:1',
    image_digest: 'tool@sha256:2',
    exit_code: 0,
    elapsed_secs: 61.235,
    peak_memory_bytes: 512,
  });
  expect(provenance(task, { ...begun, earlier }, bytes)).toEqual({
    ...nothing,
    skipped_for: { fw_id: 7, launch_id: 3, at: '2024-01-01T00:00:00.000Z' },
  });
});
