import { expect, test } from 'bun:test';
import { Double, Long } from 'bson';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { complete } from './complete.ts';
import { introspect, pairsIn } from './introspect.ts';
import { fwAction } from './model.ts';
import { rerun } from './rerun.ts';
import { testPad } from './test_pad.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };

test('keys with their values, as Python tells them; what is deeper than two does not count', () => {
  const spec = {
    n: 1,
    f: new Double(1),
    big: Long.fromString('9007199254740993'),
    yes: true,
    none: null,
    at: new Date('2026-01-02T03:04:05Z'),
    list: ['a', 'b'],
    dicts: [{ a: 1 }, 'b'],
    in: { x: 1, deeper: { y: 2 } },
    _tasks: [{ _fw_name: 'ScriptTask' }],
  };
  expect(pairsIn(spec)).toEqual([
    ['n', '1'],
    ['f', '1.0'],
    ['big', '9007199254740993'],
    ['yes', 'True'],
    ['none', 'None'],
    ['at', '2026-01-02 03:04:05'],
    ['list', 'a'],
    ['list', 'b'],
    ['in.x', '1'],
  ]);
});

test('what failed ones have in common', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const seeds = [1, 1, 2, 2, 2];
  await addWorkflows(
    launchpad,
    seeds.map((seed, i) =>
      newWorkflow({
        fws: [{ fw_id: 1, spec: { seed, _tasks: [{ _fw_name: i < 2 ? 'PyTask' : 'ScriptTask' }] } }],
        metadata: { kind: 'k' },
      }),
    ),
  );
  for (const [i, seed] of seeds.entries()) {
    const flown = await claim(launchpad, worker, { fwId: i + 1, launchDir: () => '/tmp/x' });
    if (!flown) throw new Error('not READY');
    const stored_data = { _exception: { _stacktrace: 'Oh no' } };
    await complete(launchpad, flown, fwAction({ stored_data }), seed === 1 ? 'FIZZLED' : 'COMPLETED');
  }
  expect(await introspect(launchpad, 'fireworks')).toEqual([
    { key: 'seed', value: '2', completed: 3, fizzled: 0, difference: 100 },
    { key: 'seed', value: '1', completed: 0, fizzled: 2, difference: -100 },
  ]);
  expect(await introspect(launchpad, 'tasks', { limit: 1 })).toEqual([
    { key: '_fw_name', value: 'ScriptTask', completed: 1, fizzled: 0, difference: 100 },
    { key: '_fw_name', value: 'PyTask', completed: 0, fizzled: 1, difference: -100 },
  ]);
  // The same in both: no difference.
  expect(await introspect(launchpad, 'workflows')).toEqual([]);
  const traces = [{ key: '_stacktrace', value: 'Oh no', completed: 0, fizzled: 2, difference: -100 }];
  expect(await introspect(launchpad, 'launches')).toEqual(traces);
  // A launch that was rerun speaks for nobody.
  await rerun(launchpad, 1);
  expect(await introspect(launchpad, 'launches')).toMatchObject([{ fizzled: 1 }]);
});
