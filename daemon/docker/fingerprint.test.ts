import { expect, test } from 'bun:test';
import { type Doc, toJson } from '../../core/launchpad/index.ts';
import { type DockerTaskParams, dockerTaskParams } from '../firetasks/docker_params.ts';
import { cacheFingerprint, keptFingerprint, type RunsIn } from './fingerprint.ts';

const COMMAND: RunsIn = { imageId: 'sha256:1', firetask: undefined };

const task = (more: Doc = {}): DockerTaskParams =>
  dockerTaskParams.parse({
    name: 'one',
    image: 'tool:1',
    command: 'run',
    internal_prefix: '/wc',
    storage_prefix: 'bucket/one',
    outputs: ['/wc/a', '/wc/b/', '>>/wc/run.log'],
    ...more,
  });

const cached = (more?: Doc, runsIn = COMMAND) => toJson(cacheFingerprint(task(more), runsIn));
const kept = (more?: Doc, runsIn = COMMAND) => keptFingerprint(task(more), runsIn);

const ALL_THAT_RUNS: Doc[] = [
  { command: ['run'] },
  { entrypoint: 'sh' },
  { env: { A: '1' } },
  { workdir: '/wc' },
  { internal_prefix: '/' },
  { fwaction: '/wc/action.json' },
  { outputs: ['/wc/a'] },
];

const WITH_WHAT_IT_HAS: Doc[] = [
  { name: 'two' },
  { image: 'other:1' },
  { memory: '1g', cpus: 2, shm_size: '1g' },
  { timeout: 5, retries: 1, retry_on_oom: 1 },
  { pull: 'missing' },
];

test.each(ALL_THAT_RUNS)('%j makes another run of it', (more) => {
  expect(cached(more)).not.toBe(cached());
  expect(kept(more)).not.toBe(kept());
});

test.each(WITH_WHAT_IT_HAS)('%j is the same run', (more) => {
  expect(cached(more)).toBe(cached());
  expect(kept(more)).toBe(kept());
});

test('another image is another run, and so is another Firetask', () => {
  const others: RunsIn[] = [
    { imageId: 'sha256:2', firetask: undefined },
    { imageId: 'sha256:1', firetask: { task: { n: 1 } } },
    { imageId: 'sha256:1', firetask: { task: { n: 2 } } },
  ];
  for (const fingerprint of [cached, kept])
    expect(new Set([COMMAND, ...others].map((one) => fingerprint({}, one))).size).toBe(4);
});

test('in storage, outputs are found from wherever they are stored, whatever is logged', () => {
  expect(cached({ storage_prefix: 'bucket/two' })).toBe(cached());
  expect(cached({ outputs: ['/wc/b/', '/wc/a'] })).toBe(cached());
});

test('kept outputs are stored where they were to be', () => {
  expect(kept({ storage_prefix: 'bucket/two' })).not.toBe(kept());
  expect(kept({ outputs: ['/wc/a', '/wc/b/', '>>/wc/other.log'] })).not.toBe(kept());
});
