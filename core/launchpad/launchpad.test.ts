import { describe, expect, test } from 'bun:test';
import { MongoNetworkError, MongoServerError } from 'mongodb';
import { addWorkflows, newWorkflow } from './add.ts';
import { isAway, LaunchPad } from './launchpad.ts';
import { launchPadSettings } from './settings.ts';
import { testPad } from './test_pad.ts';

const workflow = newWorkflow({ spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } });

test('an empty database becomes a LaunchPad with the first workflow, also of many at once', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await launchpad.db.dropDatabase();
  const pads = await Promise.all([1, 2, 3].map(() => pad.another()));
  const added = await Promise.all([launchpad, ...pads].map((one) => addWorkflows(one, [workflow])));
  const ids = added.flat().flatMap((map) => [...map.values()]);
  expect(ids.sort()).toEqual([1, 2, 3, 4]);
  expect(await launchpad.ids.find({}).toArray()).toEqual([
    { _id: -1, next_fw_id: 5, next_launch_id: 1 },
  ] as never);
  expect((await launchpad.fireworks.indexes()).length).toBeGreaterThan(5);
});

test('a database with Fireworks and without ids is no LaunchPad: nothing is guessed', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await launchpad.fireworks.insertOne({ fw_id: 7 });
  await launchpad.ids.deleteMany({});
  await expect(launchpad.newIds('next_fw_id')).rejects.toThrow(
    'is no LaunchPad yet. Make it one: lpad reset',
  );
});

test('reset takes everything away', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addWorkflows(launchpad, [workflow, workflow]);
  await launchpad.db.collection('fw_gridfs.files').insertOne({ metadata: { launch_id: 1 } });
  await launchpad.reset();
  for (const name of ['fireworks', 'workflows', 'launches', 'offline_runs', 'fw_gridfs.files'])
    expect(await launchpad.db.collection(name).countDocuments()).toBe(0);
  expect(await launchpad.newIds('next_fw_id')).toBe(1);
});

test('nobody there: it is told where was looked, without the password', async () => {
  const host = 'mongodb://me:s3cret@127.0.0.1:1/fw';
  const opening = LaunchPad.open(launchPadSettings({ host, uri_mode: true }, 'test'), {
    serverSelectionTimeoutMs: 50,
  });
  const failure = await opening.then(
    () => null,
    (thrown: unknown) => String(thrown),
  );
  expect(failure).toContain('No LaunchPad answers at mongodb://***@127.0.0.1:1/fw');
  expect(failure).not.toContain('s3cret');
});

describe('away, so that the same call can succeed later', () => {
  test('is a server that cannot be reached, or says that it goes', async () => {
    expect(new MongoNetworkError('x')).toSatisfy(isAway);
    for (const code of [91, 189, 10107, 11600]) expect(new MongoServerError({ code })).toSatisfy(isAway);
  });

  test('is not one that refuses, nor a mistake of ours', () => {
    for (const other of [
      new MongoServerError({ code: 11000 }),
      new Error('x'),
      new TypeError('y'),
      null,
      'away',
    ])
      expect(isAway(other)).toBe(false);
  });

  test('is a connection that was closed meanwhile', async () => {
    await using pad = await testPad();
    const other = await pad.another();
    await other.close();
    expect(await other.newIds('next_fw_id').catch((thrown: unknown) => thrown)).toSatisfy(isAway);
  });
});
