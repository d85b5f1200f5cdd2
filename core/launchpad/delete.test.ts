import { expect, test } from 'bun:test';
import { exists, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GridFSBucket } from 'mongodb';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { complete } from './complete.ts';
import { deleteWorkflow, isLaunchDir } from './delete.ts';
import { fwAction } from './model.ts';
import { addOfflineRun } from './offline.ts';
import { orphansAmong } from './orphans.ts';
import { testPad } from './test_pad.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const single = (name: string, spec = {}) => newWorkflow({ name, spec: { _tasks: [], ...spec } });

test('a workflow goes with its launches, their GridFS files, offline runs and folders; what others share stays', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const twin = { _dupefinder: { _fw_name: 'DupeFinderExact' } };
  await addWorkflows(launchpad, [single('one'), single('twin', twin), single('twin', twin)]);
  const dirs: string[] = [];
  for (const fwId of [1, 2]) {
    const dir = await mkdtemp(join(tmpdir(), 'delete-'));
    dirs.push(dir);
    const flown = await claim(launchpad, worker, { fwId, launchDir: () => dir });
    if (!flown) throw new Error('not READY');
    // 16 MB: GridFS.
    const data = fwId === 1 ? { big: 'x'.repeat(16 * 1024 * 1024) } : {};
    await complete(launchpad, flown, fwAction({ stored_data: data }), 'COMPLETED');
  }
  await addOfflineRun(launchpad, { launchId: 1, fwId: 1 }, 'one');
  // The third shares the launch of the second.
  await claim(launchpad, worker, { launchDir: () => '/nowhere' });
  const bucket = new GridFSBucket(launchpad.db, { bucketName: 'fw_gridfs' });
  expect(await bucket.find({}).toArray()).toHaveLength(1);

  expect(await deleteWorkflow(launchpad, 1, true)).toEqual({ fireworks: 1, launches: 1, launchDirs: 1 });
  expect(await deleteWorkflow(launchpad, 2, true)).toEqual({ fireworks: 1, launches: 0, launchDirs: 0 });
  expect(await Promise.all(dirs.map((dir) => exists(dir)))).toEqual([false, true]);
  const left = await Promise.all(
    [launchpad.fireworks, launchpad.workflows, launchpad.launches, launchpad.offlineRuns].map((one) =>
      one.countDocuments(),
    ),
  );
  expect(left).toEqual([1, 1, 1, 0]);
  expect(await bucket.find({}).toArray()).toEqual([]);
  expect(await launchpad.db.collection('fw_gridfs.chunks').countDocuments()).toBe(0);
  await expect(deleteWorkflow(launchpad, 1)).rejects.toThrow('No workflow has a Firework with fw_id 1');
  await Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true })));
});

test.each([
  ['/data/launcher_1', true],
  ['/home/me/work/launcher_1', true],
  ['/home/me/work', false],
  ['/home/me', false],
  ['/home', false],
  ['/', false],
  ['relative', false],
  [undefined, false],
])('folder %s of a launch may be deleted: %s', (dir, may) => {
  expect(isLaunchDir(dir, '/home/me/work', '/home/me')).toBe(may);
});

test('Fireworks that no workflow names', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addWorkflows(launchpad, [single('one'), single('two'), single('three')]);
  await launchpad.workflows.deleteOne({ nodes: 2 });
  expect(await orphansAmong(launchpad, [3, 2, 1])).toEqual([2]);
});
