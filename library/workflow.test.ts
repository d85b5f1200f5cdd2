import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromJson, parseYaml, plain } from '../core/launchpad/index.ts';
import { type Firetask, scriptTask } from './firetasks.ts';
import { Firework } from './firework.ts';
import { Workflow } from './workflow.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'library-'));
});
afterAll(() => rm(folder, { recursive: true }));

const task = scriptTask('true');

/** A diamond, its Fireworks not in the order in which they run. */
function diamond(): Workflow {
  const a = new Firework(task, { name: 'a', spec: { seed: 7, when: new Date('2026-01-02T03:04:05.678Z') } });
  const b = new Firework([task, scriptTask(['date'])], { name: 'b', parents: a });
  const c = new Firework(task, { name: 'c', parents: [a] });
  const d = new Firework(task, { name: 'd', parents: [b, c] });
  return new Workflow([d, a, b, c], { name: 'diamond', metadata: { by: 'test' } });
}

test('a workflow is a document with ids in the order of its Fireworks, and links from parents', () => {
  const script = { _fw_name: 'ScriptTask', script: 'true' };
  expect(diamond().toDocument()).toEqual({
    name: 'diamond',
    metadata: { by: 'test' },
    fws: [
      { fw_id: 1, name: 'd', spec: { _tasks: [script] } },
      { fw_id: 2, name: 'a', spec: { seed: 7, when: '2026-01-02T03:04:05.678', _tasks: [script] } },
      { fw_id: 3, name: 'b', spec: { _tasks: [script, { _fw_name: 'ScriptTask', script: ['date'] }] } },
      { fw_id: 4, name: 'c', spec: { _tasks: [script] } },
    ],
    links: { 1: [], 2: [3, 4], 3: [1], 4: [1] },
  });
});

test('its JSON and YAML say the same, and a file of either becomes the same workflow', async () => {
  const workflow = diamond();
  const document = plain(workflow.toDocument());
  expect(plain(fromJson(workflow.toJson()))).toEqual(document);
  for (const version of ['1.1', '1.2'] as const)
    expect(plain(parseYaml(workflow.toYaml(), 'test', { version }))).toEqual(document);
  for (const [kind, text] of [
    ['json', workflow.toJson()],
    ['yaml', workflow.toYaml()],
  ] as const) {
    const file = join(folder, `diamond.${kind}`);
    await writeFile(file, text);
    expect(plain((await Workflow.fromFile(file)).toDocument())).toEqual(document);
  }
});

test('a file keeps its numbers: 1.0 is a float, large integers have all digits', async () => {
  const file = join(folder, 'numbers.json');
  const spec =
    '{"one": 1.0, "large": 9007199254740993, "_tasks": [{"_fw_name": "ScriptTask", "script": "true"}]}';
  await writeFile(file, `{"fws": [{"fw_id": 5, "spec": ${spec}}], "links": {}}`);
  const workflow = await Workflow.fromFile(file);
  for (const text of [workflow.toJson(), workflow.toYaml()]) {
    expect(text).toMatch(/one"?: 1\.0/);
    expect(text).toContain('9007199254740993');
  }
});

test('what is given is copied: a later change is not in the workflow', () => {
  const seeds = [1];
  const firework = new Firework(task, { spec: { seeds } });
  seeds.push(2);
  expect(firework.spec.seeds).toEqual([1]);
  expect(() => Object.assign(firework, { parents: [firework] })).toThrow();
});

test('a chain of 10,000 Fireworks goes into a file and comes back', async () => {
  const chain: Firework[] = [];
  for (let i = 0; i < 10_000; i++) chain.push(new Firework(task, { name: `${i}`, parents: chain.slice(-1) }));
  const file = join(folder, 'chain.json');
  await writeFile(file, new Workflow(chain.toReversed(), { name: 'chain' }).toJson());
  const { fireworks } = await Workflow.fromFile(file);
  expect([fireworks[0]?.name, fireworks[0]?.parents[0]?.name, fireworks.at(-1)?.parents]).toEqual([
    '9999',
    '9998',
    [],
  ]);
});

describe('what is wrong is named', () => {
  const loop: Record<string, unknown> = {};
  loop.again = [loop];
  const outside = new Firework(task, { name: 'outside' });
  const child = new Firework(task, { name: 'child', parents: outside });
  test.each<[string, () => unknown, string]>([
    ['no Firetask', () => new Firework([], { name: 'a' }), "Firework 'a': it needs at least one Firetask"],
    [
      'an unknown Firetask',
      () => new Firework([task, { _fw_name: 'scripttask' }], { name: 'a' }),
      "Firework 'a': spec._tasks[1]._fw_name: 'scripttask' is no Firetask that workers know; did you mean 'ScriptTask'?",
    ],
    [
      'no Firetask at all',
      () => new Firework({ script: 'true' } as unknown as Firetask, { name: 'a' }),
      "Firework 'a': spec._tasks[0]._fw_name: 'undefined' is no Firetask",
    ],
    [
      'a function in the spec',
      () => new Firework(task, { name: 'a', spec: { hooks: [1, { do: () => {} }] } }),
      "Firework 'a': spec.hooks[1].do is a function: a document holds",
    ],
    [
      'a Map in the spec',
      () => new Firework(task, { name: 'a', spec: { seeds: new Map() } }),
      "Firework 'a': spec.seeds is a Map",
    ],
    [
      'a spec in a circle',
      () => new Firework(task, { name: 'a', spec: { loop } }),
      "Firework 'a': spec.loop.again[0] holds itself",
    ],
    [
      'a symbol in a parameter',
      () => new Firework({ _fw_name: 'ScriptTask', script: Symbol('x') }, { name: 'a' }),
      "Firework 'a': spec._tasks[0].script is a symbol",
    ],
    [
      'a parent that is an id',
      () => new Firework(task, { name: 'a', parents: [7] as unknown as Firework[] }),
      "Firework 'a': parents[0] is no Firework",
    ],
    ['nothing', () => new Workflow([], { name: 'w' }), "Workflow 'w': it needs at least one Firework"],
    [
      'one twice',
      () => new Workflow([outside, child, outside], { name: 'w' }),
      "Workflow 'w': Firework 'outside' is in it twice",
    ],
    [
      'a missing parent',
      () => new Workflow([child], { name: 'w' }),
      "Workflow 'w': 'outside', a parent of Firework 'child', is not in the workflow",
    ],
    [
      'a class in the metadata',
      () => new Workflow([outside], { name: 'w', metadata: { at: new URL('http://x') } }),
      "Workflow 'w': metadata.at is a URL",
    ],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(message);
  });
});
