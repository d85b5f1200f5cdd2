import { expect, test } from 'bun:test';
import {
  addWorkflows,
  type Claim,
  claim,
  complete,
  fwAction,
  newWorkflow,
} from '../../core/launchpad/index.ts';
import { testPad } from '../../core/launchpad/test_pad.ts';
import { fireworkDicts } from './firework_view.ts';

test('an action that is kept in GridFS is shown like any other', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
  await addWorkflows(launchpad, [newWorkflow({ spec })]);
  const worker = { name: 'w', category: '', query: {}, env: {} };
  const flown = (await claim(launchpad, worker, { launchDir: () => '/tmp/home' })) as Claim;
  const text = 'x'.repeat(16 * 1024 * 1024);
  await complete(launchpad, flown, fwAction({ stored_data: { text } }), 'COMPLETED');
  expect((await launchpad.launches.findOne({}))?.action).toEqual({ gridfs_id: expect.any(String) });
  const shown = [];
  for await (const firework of fireworkDicts(launchpad, [1], 'all')) shown.push(firework);
  const [launch] = (shown[0]?.launches ?? []) as { action: { stored_data: { text: string } } }[];
  expect(launch?.action.stored_data.text === text).toBe(true);
});
