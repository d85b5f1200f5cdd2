/** What showing many workflows costs: a few commands, however many there are. */
import { expect, test } from 'bun:test';
import { costOf } from '../../core/launchpad/command_count.ts';
import { addWorkflows, claim, newWorkflow, STATES } from '../../core/launchpad/index.ts';
import { testPad } from '../../core/launchpad/test_pad.ts';
import { report } from './report.ts';
import { workflowIds } from './select.ts';
import { workflowDicts } from './workflow_view.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };

test('get_wflows -d more of 1,000 workflows, and report', async () => {
  await using pad = await testPad({ monitorCommands: true });
  const { launchpad } = pad;
  const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
  const workflow = newWorkflow({
    name: 'wf',
    fws: [0, 1].map((fw_id) => ({ fw_id, spec })),
    links: { 0: [1] },
  });
  await addWorkflows(
    launchpad,
    Array.from({ length: 1000 }, () => workflow),
  );
  for (let i = 0; i < 3; i++) await claim(launchpad, worker, { launchDir: () => '/tmp/x' });
  let shown = 0;
  const cost = await costOf(launchpad.client, async () => {
    const ids = await workflowIds(launchpad, {}, { limit: 0 });
    for await (const dict of workflowDicts(launchpad, ids, 'more')) {
      shown++;
      expect((dict.states as Map<string, string>).size).toBe(2);
    }
  });
  expect(shown).toBe(1000);
  // Each query for 200 workflows: these, their Fireworks, their launches.
  expect(cost.commands.filter((name) => name !== 'getMore').length).toBeLessThanOrEqual(1 + 3 * 5);
  const counted = await costOf(launchpad.client, async () => {
    const options = { collection: 'fireworks', interval: 'days', count: 5, query: {} } as const;
    const [period] = await report(launchpad, options);
    expect(period?.count).toBe(2000);
    expect(Object.keys(period?.states ?? {}).sort()).toEqual([...STATES].sort());
  });
  expect(counted.commands).toEqual(['aggregate']);
});
