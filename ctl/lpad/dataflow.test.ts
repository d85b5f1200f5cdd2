import { expect, test } from 'bun:test';
import type { Doc } from '../../core/launchpad/index.ts';
import { dataflowFaults, type Step } from './dataflow.ts';

const py = (inputs: string[], outputs: string[]): Doc => ({ _fw_name: 'PyTask', func: 'f', inputs, outputs });

/** A step for each list of Firetasks; each is the parent of the next. */
function chain(...steps: { tasks: Doc[]; spec?: Doc; state?: string }[]): Step[] {
  return steps.map(({ tasks, spec, state }, i) => ({
    id: i + 1,
    name: `step ${i + 1}`,
    state,
    spec: { ...spec, _tasks: tasks },
    children: i + 1 < steps.length ? [i + 2] : [],
  }));
}

test('inputs that come from the spec, from a parent, or from a Firetask before', () => {
  const steps = chain(
    { tasks: [py(['a'], ['b']), py(['b'], ['c'])], spec: { a: 1 } },
    { tasks: [py(['c'], [])] },
    { tasks: [{ _fw_name: 'ScriptTask', script: 'true', inputs: ['nobody minds'] }] },
  );
  expect(dataflowFaults(steps)).toEqual([]);
});

test.each<[string, Step[], string]>([
  [
    'from nowhere',
    chain({ tasks: [py(['a'], [])] }),
    "Firework 1 (step 1): the input 'a' comes from nowhere",
  ],
  [
    'from two places',
    chain({ tasks: [py([], ['a'])] }, { tasks: [py(['a'], [])], spec: { a: 1 } }),
    "the input 'a' comes from Firework 1 (step 1) and its own spec",
  ],
  [
    'an output twice',
    chain({ tasks: [py([], ['a']), py([], ['a'])] }),
    "Firework 1 (step 1): several Firetasks have the output 'a'",
  ],
  [
    'no list',
    chain({ tasks: [{ _fw_name: 'PyTask', func: 'f', outputs: 'a' }] }),
    'Firework 1 (step 1): outputs must be a list',
  ],
  [
    'a command without its input',
    chain({ tasks: [{ _fw_name: 'CommandLineTask', command_spec: {}, inputs: ['x'] }] }),
    "command_spec has no 'x'",
  ],
  ['two parts', [...chain({ tasks: [] }), { ...(chain({ tasks: [] })[0] as Step), id: 2 }], 'not connected'],
])('%s', (_, steps, text) => {
  expect(dataflowFaults(steps).join('\n')).toContain(text);
});

test('what a parent that ran put out is in the spec: one source. A part of a list is none.', () => {
  const ran = chain(
    { tasks: [py([], ['a'])], state: 'COMPLETED' },
    { tasks: [py(['a'], [])], spec: { a: 1 } },
  );
  expect(dataflowFaults(ran)).toEqual([]);
  const part = {
    _fw_name: 'ForeachTask',
    task: py([], ['a']),
    split: 'l',
    number_of_chunks: 2,
    chunk_number: 0,
  };
  const parts = chain({ tasks: [part] }, { tasks: [py(['a'], [])] });
  expect(dataflowFaults(parts)).toHaveLength(1);
});

test('commands name their inputs in the spec, or bring them', () => {
  const command_spec = {
    in: { source: 'data' },
    other: 'data',
    file: { source: { type: 'path', value: 'x' } },
  };
  const task = { _fw_name: 'CommandLineTask', command_spec, inputs: ['in', 'file'], outputs: [] };
  expect(dataflowFaults(chain({ tasks: [task], spec: { data: {} } }))).toEqual([]);
});
