import { expect, test } from 'bun:test';
import { PullProgress } from './pull_progress.ts';

const MB = 1e6;
const downloading = (id: string, current: number, total: number) => ({
  status: 'Downloading',
  id,
  progressDetail: { current: current * MB, total: total * MB },
});

test('how far a pull is: layers that are here already do not count', () => {
  let now = 0;
  const progress = new PullProgress(() => now);
  const lines = [
    { status: 'Pulling from own/tool', id: '1' },
    { status: 'Already exists', progressDetail: {}, id: 'a' },
    { status: 'Pulling fs layer', progressDetail: {}, id: 'b' },
    { status: 'Pulling fs layer', progressDetail: {}, id: 'c' },
    downloading('b', 10, 40),
    downloading('c', 1, 2),
    { status: 'Download complete', progressDetail: {}, id: 'c' },
    { status: 'Extracting', progressDetail: { current: 1, total: 2 * MB }, id: 'c' },
    { status: 'Pull complete', progressDetail: {}, id: 'c' },
  ];
  for (const line of lines) progress.take(line);
  now = 4000;
  expect(progress.text()).toBe('1 of 2 layers, 12.0 of 42.0 MB, 3.0 MB/s');
  progress.take(downloading('b', 40, 40));
  progress.take({ status: 'Pull complete', id: 'b' });
  progress.take({ status: 'Digest: sha256:0' });
  expect(progress.summary()).toBe('2 new layers, 42.0 MB in 4.0 s');
});

test('nothing new, and lines that nobody knows', () => {
  const progress = new PullProgress(() => 0);
  for (const line of [{}, { status: 3 }, { aux: {} }, { status: 'Status: Image is up to date for x:1' }])
    progress.take(line);
  expect(progress.summary()).toBe('up to date (0.0 s)');
});
