/** ForeachTask, JoinDictTask, JoinListTask and ImportDataTask: values on their way through a workflow. */
import { describe, expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Double } from 'bson';
import type { Doc } from '../../core/launchpad/index.ts';
import { TYPED } from '../../core/launchpad/index.ts';
import { testWorker } from '../test_worker.ts';
import { parts } from './foreach.ts';
import { placed } from './import_data.ts';

/** Flies it; returns the child's spec, or the last line of the failure. */
async function childSpec(
  task: Doc,
  spec: Doc = {},
  files: Record<string, string> = {},
): Promise<Doc | string> {
  await using worker = await testWorker({ oneFolder: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(worker.folder, name), text);
  await worker.add([task], spec, 1);
  if ((await worker.fly()) === 'completed') {
    const { _tasks, ...rest } = (await worker.firework(2)).spec as Doc;
    return rest;
  }
  const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
  return (_stacktrace.trim().split('\n').at(-1) ?? '').replaceAll(worker.folder, 'DIR');
}

describe('ForeachTask', () => {
  test.each([
    [[1, 2, 3, 4, 5], 5, [[1], [2], [3], [4], [5]]],
    [
      [1, 2, 3, 4, 5],
      2,
      [
        [1, 2, 3],
        [4, 5],
      ],
    ],
    [[1, 2, 3, 4, 5], 3, [[1, 2], [3, 4], [5]]],
    // Fewer than asked for, as in Python: none is empty.
    [[1, 2, 3, 4, 5], 4, [[1, 2], [3, 4], [5]]],
    [[1], 3, [[1]]],
  ])('%p in %p', (list, count, expected) => expect(parts(list, count)).toEqual(expected));

  test('a Firework for each part, before the children; what they push comes together', async () => {
    await using worker = await testWorker();
    const command_spec = {
      command: ['echo'],
      word: 'words',
      out: { source: { type: 'stdout' }, target: { type: 'data', value: '' } },
    };
    const task = { _fw_name: 'CommandLineTask', command_spec, inputs: ['word'], outputs: ['out'] };
    const each = {
      _fw_name: 'ForeachTask',
      task: { ...task, inputs: ['words'], command_spec: { ...command_spec, words: 'words' } },
      split: 'words',
    };
    const words = ['a', 'b', 'c'].map((value) => ({ source: { type: 'data', value } }));
    await worker.add([each], { words, other: 1 }, 1);
    while (await worker.fly());
    const names = (await worker.launchpad.fireworks.find({}).toArray()).map(
      ({ name, state }) => `${name} ${state}`,
    );
    expect(names.sort()).toEqual([
      'ForeachTask 0 COMPLETED',
      'ForeachTask 1 COMPLETED',
      'ForeachTask 2 COMPLETED',
      'child 2 COMPLETED',
      'first COMPLETED',
    ]);
    const { out } = (await worker.firework(2)).spec as { out: { value: string }[] };
    expect(out.map(({ value }) => value).sort()).toEqual(['a', 'b', 'c']);
  });

  const inner = { _fw_name: 'PyTask', func: 'print', inputs: ['l'] };
  const failures: [string, Doc, Doc, RegExp][] = [
    ['no such list', { task: inner, split: 'l' }, {}, /^KeyError: 'l'/],
    ['no list', { task: inner, split: 'l' }, { l: 1 }, /^AssertionError: 'l' in the spec is no list/],
    ['an empty one', { task: inner, split: 'l' }, { l: [] }, /^AssertionError: the list 'l' is empty/],
    [
      'not an input',
      { task: { ...inner, inputs: ['m'] }, split: 'l' },
      { l: [1] },
      /^AssertionError: 'l' is not among/,
    ],
    ['no inputs', { task: { _fw_name: 'PyTask' }, split: 'l' }, { l: [1] }, /parameter 'task.inputs'/],
  ];
  test.each(failures)('%s', async (_, task, spec, message) =>
    expect(await childSpec({ _fw_name: 'ForeachTask', ...task }, spec)).toMatch(message),
  );
});

describe('JoinDictTask and JoinListTask', () => {
  const dict = (more: Doc = {}) => ({ _fw_name: 'JoinDictTask', inputs: ['a', 'b'], output: 'o', ...more });
  const list = { _fw_name: 'JoinListTask', inputs: ['a', 'b'], output: 'o' };
  const cases: [string, Doc, Doc, Doc | RegExp][] = [
    ['a dictionary', dict(), { a: 1, b: [2] }, { o: { a: 1, b: [2] } }],
    ['renamed', dict({ rename: { b: 'c' } }), { a: 1, b: 2 }, { o: { a: 1, c: 2 } }],
    ['with what is there', dict(), { a: 1, b: 2, o: { a: 0, z: 9 } }, { o: { a: 1, b: 2, z: 9 } }],
    ['a missing input', dict(), { a: 1 }, /^KeyError: 'b'/],
    ['into what is no dictionary', dict(), { a: 1, b: 2, o: 3 }, /^AssertionError/],
    ['a list', list, { a: 1, b: { c: 2 } }, { o: [1, { c: 2 }] }],
    ['longer', list, { a: 1, b: 2, o: [0] }, { o: [0, 1, 2] }],
    ['into what is no list', list, { a: 1, b: 2, o: {} }, /^AssertionError/],
  ];
  test.each(cases)('%s', async (_, task, spec, expected) => {
    const found = await childSpec(task, spec);
    if (expected instanceof RegExp) expect(found).toMatch(expected);
    else expect(found).toEqual(expected);
  });

  test('numbers keep their type', async () => {
    await using worker = await testWorker();
    await worker.add([list], { a: new Double(1), b: 2 }, 1);
    await worker.fly();
    const child = await worker.launchpad.fireworks.findOne({ fw_id: 2 }, TYPED);
    expect(child?.spec.o.map((value: Doc) => value._bsontype)).toEqual(['Double', 'Int32']);
  });
});

describe('ImportDataTask', () => {
  const load = (filename: string, mapstring: string) => ({ _fw_name: 'ImportDataTask', filename, mapstring });
  const files = { 'd.json': '{"x": 1, "y": 1.5}', 'd.yaml': 'x: [1, yes]\n', 'l.json': '[1]', 'd.txt': '{}' };
  const cases: [string, Doc, Doc, Doc | RegExp][] = [
    ['JSON', load('d.json', 'a'), {}, { a: { x: 1, y: 1.5 } }],
    ['YAML, of today', load('d.yaml', 'a'), {}, { a: { x: [1, 'yes'] } }],
    ['deep in the spec', load('l.json', 'a/b/c'), { a: { b: { d: 1 } } }, { a: { b: { c: [1], d: 1 } } }],
    ['with the dictionary there', load('d.json', 'a'), { a: { x: 0, z: 2 } }, { a: { x: 1, y: 1.5, z: 2 } }],
    ['in place of another value', load('l.json', 'a'), { a: { x: 0 } }, { a: [1] }],
    ['below what is not there', load('d.json', 'a/b'), {}, /^KeyError: 'a'/],
    ['no such file', load('e.json', 'a'), {}, /^FileNotFoundError: ENOENT.*DIR\/e.json/],
    ['another kind of file', load('d.txt', 'a'), {}, /^AssertionError: d.txt must end in .json or .yaml/],
  ];
  test.each(cases)('%s', async (_, task, spec, expected) => {
    const found = await childSpec(task, spec, files);
    if (expected instanceof RegExp) expect(found).toMatch(expected);
    else expect(found).toEqual(expected);
  });

  test('the spec itself is not changed', () => {
    const spec = { a: { b: {} } };
    expect(placed(spec, ['a', 'b', 'c'], 1)).toEqual({ a: { b: { c: 1 } } });
    expect(spec).toEqual({ a: { b: {} } });
  });
});
