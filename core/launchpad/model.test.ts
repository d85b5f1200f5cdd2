import { expect, test } from 'bun:test';
import {
  endsFirework,
  type FWAction,
  failure,
  fwAction,
  fworkerDoc,
  fworkerQuery,
  parseFWAction,
} from './model.ts';
import type { Doc } from './values.ts';

const task = { spec: { _tasks: [] } };

test('what an FWAction leaves out is empty; one of a list may stand alone', () => {
  expect(parseFWAction({})).toEqual(fwAction());
  expect(parseFWAction({ stored_data: null, update_spec: null, mod_spec: null })).toEqual(fwAction());
  const alone = {
    mod_spec: { _set: { a: 1 } },
    additions: task,
    detours: task,
    append_wfs: { workflow: task, parents: ['3'] },
  };
  expect(parseFWAction(alone)).toEqual(
    fwAction({
      mod_spec: [{ _set: { a: 1 } }],
      additions: [task],
      detours: [task],
      append_wfs: [{ workflow: task, parents: [3], detour: false }],
    }),
  );
});

test('marks of Python on an FWAction are no keys', () => {
  expect(parseFWAction({ _fw_name: 'x', exit: true })).toEqual(fwAction({ exit: true }));
});

test.each<[unknown, string]>([
  [7, 'A: it'],
  [{ stored: {} }, "A: unknown key 'stored'. An FWAction has: stored_data, exit,"],
  [{ exit: 'yes' }, 'A: exit '],
  [{ stored_data: [] }, 'A: stored_data must be a dictionary'],
  [{ mod_spec: [1] }, 'A: mod_spec.0 must be a dictionary'],
  [{ append_wfs: [{}] }, 'A: append_wfs.0.workflow must be a dictionary'],
])('no FWAction: %j', (value, message) => {
  expect(() => parseFWAction(value, 'A')).toThrow(message);
});

test.each<[Partial<FWAction>, boolean]>([
  [{ stored_data: { a: 1 }, update_spec: { b: 2 }, mod_spec: [{}] }, false],
  [{ exit: true }, true],
  [{ detours: [task] }, true],
  [{ additions: [task] }, true],
  [{ append_wfs: [{ workflow: task, parents: [], detour: false }] }, true],
  [{ defuse_children: true }, true],
  [{ defuse_workflow: true }, true],
])('%j skips the Firetasks that are left: %p', (action, ends) => {
  expect(endsFirework(fwAction(action))).toBe(ends);
});

test('a worker in a launch, and its query', () => {
  const worker = { name: 'w', category: ['a', 'b'], query: { 'spec.k': { $gt: 1 } }, env: { db: 'x' } };
  expect(fworkerDoc(worker)).toEqual({
    name: 'w',
    category: ['a', 'b'],
    query: '{"spec.k": {"$gt": 1}}',
    env: { db: 'x' },
  });
  const query = fworkerQuery(worker) as Doc & { $and: Doc[] };
  expect(query['spec.k']).toEqual({ $gt: 1 });
  expect(query.$and).toContainEqual({ 'spec._category': { $in: ['a', 'b'] } });
  expect(worker.query).toEqual({ 'spec.k': { $gt: 1 } });
});

test('a failure has FireWorks’ shape', () => {
  const task = { _fw_name: 'T' };
  expect(failure(task, 'trace', { d: 1 })).toEqual(
    fwAction({
      stored_data: {
        _message: 'runtime error during task',
        _task: task,
        _exception: { _stacktrace: 'trace', _details: { d: 1 } },
      },
      exit: true,
    }),
  );
});
