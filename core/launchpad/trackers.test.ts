import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { ping } from './ping.ts';
import { testPad } from './test_pad.ts';
import { track, trackerData, trackersOf } from './trackers.ts';

async function folderWith(files: Record<string, string | Buffer>) {
  const path = await mkdtemp(join(tmpdir(), 'trackers-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const tracker = (filename: string, nlines = 2, allow_zipped = false) => ({ filename, nlines, allow_zipped });

test('the last lines of a file, however it ends; of one that is not there what was known', async () => {
  await using folder = await folderWith({
    'a.log': 'one\ntwo\nthree\n',
    'b.log': 'one\r\ntwo\r\nthree',
    'empty.log': '',
    'long.log': `${'x'.repeat(3_000_000)}\nend\n`,
    'c.log.gz': gzipSync('zipped\nlines\n'),
  });
  const before = [
    ...['a.log', 'b.log', 'empty.log'].map((name) => ({ ...tracker(name), content: 'old' })),
    { ...tracker('none.log'), content: 'old' },
    tracker('long.log', 1),
    tracker('c.log', 5, true),
    tracker('c.log', 5),
    tracker(join(folder.path, 'a.log'), 1),
  ];
  const after = await track(before, folder.path);
  expect(after.map(({ content }) => content)).toEqual([
    ...['two\nthree', 'two\nthree', undefined, 'old'],
    ...['end', 'zipped\nlines', undefined, 'three'],
  ]);
});

test('what a spec says of trackers becomes what Python stores', () => {
  expect(
    trackersOf([{ filename: 'a' }, { filename: 'b', nlines: 9999, allow_zipped: true }, 'c', {}]),
  ).toEqual([
    { filename: 'a', nlines: 25, allow_zipped: false },
    { filename: 'b', nlines: 1000, allow_zipped: true },
  ]);
  expect(trackersOf(undefined)).toEqual([]);
});

test('a heartbeat carries what the trackers see', async () => {
  await using pad = await testPad();
  await using folder = await folderWith({ 'a.log': 'one\ntwo\nthree\n' });
  const { launchpad } = pad;
  const spec = { _tasks: [], _trackers: [tracker('a.log')] };
  await addWorkflows(launchpad, [newWorkflow({ spec })]);
  const worker = { name: 'w', category: '', query: {}, env: {} };
  const flown = await claim(launchpad, worker, { launchDir: () => folder.path });
  expect(await trackerData(launchpad, 1)).toEqual([{ launch_id: 1, trackers: [tracker('a.log')] }]);
  const seen = await track(trackersOf(flown?.spec._trackers), folder.path);
  expect(await ping(launchpad, 1, undefined, seen)).toBe(true);
  const trackers = [{ ...tracker('a.log'), content: 'two\nthree' }];
  expect(await trackerData(launchpad, 1)).toEqual([{ launch_id: 1, trackers }]);
});
