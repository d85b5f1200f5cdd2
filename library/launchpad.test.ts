import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LaunchPad as Connection, claim, complete, fwAction } from '../core/launchpad/index.ts';
import { type TestPad, testPad } from '../core/launchpad/test_pad.ts';
import { scriptTask } from './firetasks.ts';
import { Firework } from './firework.ts';
import { LaunchPad } from './launchpad.ts';
import type { Progress } from './progress.ts';
import { Workflow } from './workflow.ts';

const task = scriptTask('true');

/** The keys that a program would connect with. */
const keysOf = ({ settings }: TestPad) => ({ host: settings.host, uri_mode: true, name: settings.name });

/** `first`, then `left` and `right`. */
function fork(): Workflow {
  const first = new Firework(task, { name: 'first', spec: { seed: 7, large: 2 ** 40, ratio: 0.5 } });
  const left = new Firework(task, { name: 'left', parents: first });
  const right = new Firework(task, { name: 'right', parents: first });
  return new Workflow([first, left, right], { name: 'fork', metadata: { by: 'test' } });
}

const worker = { name: 'tester', category: '', query: {}, env: {} };

/** Runs one Firework as a worker does. Returns its id. */
async function fly(pad: Connection, how: 'COMPLETED' | 'FIZZLED' = 'COMPLETED'): Promise<number> {
  const claimed = await claim(pad, worker, { launchDir: () => '/tmp', host: 'host', ip: '127.0.0.1' });
  if (!claimed) throw new Error('nothing is READY');
  const _exception = { _stacktrace: 'Traceback\nValueError: no such seed', _details: null };
  const stored = how === 'FIZZLED' ? { _exception } : { words: 3 };
  await complete(pad, claimed, fwAction({ stored_data: stored }), how);
  return claimed.fwId;
}

describe('a program', () => {
  test('adds workflows, and asks about them', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    const [one, many] = [await launchpad.add(fork()), await launchpad.addAll([new Firework(task), fork()])];
    expect([one, ...many]).toEqual([[1, 2, 3], [4], [5, 6, 7]]);
    expect(await launchpad.firework(1)).toMatchObject({
      fwId: 1,
      name: 'first',
      state: 'READY',
      spec: { seed: 7, large: 2 ** 40, ratio: 0.5, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] },
      launches: [],
    });
    expect(await launchpad.workflow(3)).toMatchObject({
      name: 'fork',
      state: 'READY',
      metadata: { by: 'test' },
      states: new Map([
        [1, 'READY'],
        [2, 'WAITING'],
        [3, 'WAITING'],
      ]),
      children: new Map([
        [1, [2, 3]],
        [2, []],
        [3, []],
      ]),
    });
    expect((await launchpad.workflow(4))?.name).toBe('Unnamed FW');
    expect([await launchpad.firework(99), await launchpad.workflow(99)]).toEqual([null, null]);
    expect(await launchpad.counts()).toEqual({ READY: 3, WAITING: 4 });
    expect(await launchpad.counts({ 'spec.seed': 7 })).toEqual({ READY: 2 });
    const found: number[] = [];
    for await (const { fwId } of launchpad.fireworks({ name: 'left' })) found.push(fwId);
    expect(found).toEqual([2, 6]);
  });

  test('appends below what is there, also as a detour', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    await launchpad.add(fork());
    expect(await launchpad.append(new Firework(task), { parents: [2, 3] })).toEqual([4]);
    expect(await launchpad.append(fork(), { parents: [1], detour: true })).toEqual([5, 6, 7]);
    expect((await launchpad.workflow(1))?.children).toEqual(
      new Map([
        [1, [2, 3, 5]],
        [2, [4]],
        [3, [4]],
        [4, []],
        [5, [6, 7]],
        [6, [2, 3]],
        [7, [2, 3]],
      ]),
    );
    await expect(launchpad.append(fork(), { parents: [99] })).rejects.toThrow('99');
  });

  test('follows a workflow to its end, and learns why it failed', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    const ids = await launchpad.add(fork());
    const told: Progress[] = [];
    for await (const progress of launchpad.watch(ids)) {
      told.push(progress);
      if (progress.counts.READY) await fly(pad.launchpad, progress.completed === 1 ? 'FIZZLED' : 'COMPLETED');
    }
    expect(told.map(({ completed, counts, ended }) => ({ completed, counts, ended }))).toEqual([
      { completed: 0, counts: { READY: 1, WAITING: 2 }, ended: false },
      { completed: 1, counts: { COMPLETED: 1, READY: 2 }, ended: false },
      { completed: 1, counts: { COMPLETED: 1, READY: 1, FIZZLED: 1 }, ended: false },
      { completed: 1, counts: { COMPLETED: 1, FIZZLED: 2 }, ended: true },
    ]);
    const [last] = await launchpad.finished(ids);
    expect(last).toMatchObject({
      fwId: 1,
      name: 'fork',
      state: 'FIZZLED',
      total: 3,
      fizzled: [2, 3],
      ended: true,
    });
    expect(await launchpad.failures(last?.fizzled ?? [])).toEqual([
      { fwId: 2, name: 'left', exception: 'ValueError: no such seed' },
      { fwId: 3, name: 'right', exception: 'ValueError: no such seed' },
    ]);
    const first = await launchpad.firework(1);
    expect(first?.launches).toMatchObject([
      { launchId: 1, state: 'COMPLETED', worker: 'tester', launchDir: '/tmp', storedData: { words: 3 } },
    ]);
    expect(first?.launches[0]?.endedAt).toBeInstanceOf(Date);
  });

  test('stops watching when it wants to, and is not kept by a deleted workflow', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    const ids = await launchpad.add(fork());
    const enough = new AbortController();
    let told = 0;
    for await (const _ of launchpad.watch(ids, { signal: enough.signal })) {
      told++;
      enough.abort(new Error('enough'));
    }
    expect(told).toBe(1);
    await expect(launchpad.finished(ids, { signal: enough.signal })).rejects.toThrow('enough');
    for await (const { ended } of launchpad.watch(ids[0] as number)) {
      expect(ended).toBe(false);
      expect(await launchpad.deleteWorkflow(2)).toEqual({ fireworks: 3, launches: 0, launchDirs: 0 });
    }
    await expect(launchpad.finished(ids)).rejects.toThrow('No workflow has a Firework with fw_id 1');
  });

  test('changes the course of things', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    await launchpad.add(fork());
    const states = async () => [...((await launchpad.workflow(1))?.states.values() ?? [])].join(' ');
    expect([await launchpad.pause(1), await launchpad.resume(2), await launchpad.pause(99)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(await states()).toBe('PAUSED WAITING WAITING');
    expect(await launchpad.resume(1)).toBe(true);
    expect([await launchpad.defuse(3), await launchpad.reignite(1)]).toEqual([true, false]);
    expect(await states()).toBe('READY WAITING DEFUSED');
    expect(await launchpad.reignite(3)).toBe(true);
    await launchpad.pauseWorkflow(2);
    expect(await states()).toBe('PAUSED PAUSED PAUSED');
    await launchpad.resumeWorkflow(2);
    await launchpad.defuseWorkflow(2);
    expect(await states()).toBe('DEFUSED DEFUSED DEFUSED');
    await launchpad.reigniteWorkflow(2);
    expect(await states()).toBe('READY WAITING WAITING');
    await launchpad.setPriority(1, 5);
    expect(await launchpad.updateSpec(1, { 'limits.most': 2 ** 40 })).toEqual([]);
    expect((await launchpad.firework(1))?.spec).toMatchObject({ _priority: 5, limits: { most: 2 ** 40 } });
    await fly(pad.launchpad);
    expect(await launchpad.updateSpec([1, 2], { seed: 8 })).toEqual([1]);
    expect(await states()).toBe('COMPLETED READY READY');
    expect(await launchpad.rerun([1])).toEqual([1]);
    expect(await states()).toBe('READY WAITING WAITING');
    await launchpad.archiveWorkflow(1);
    expect(await states()).toBe('ARCHIVED ARCHIVED ARCHIVED');
    await expect(launchpad.rerun(99)).rejects.toThrow('There is no Firework with fw_id 99');
  });

  test('connects by a file, and is told what is wrong with one', async () => {
    await using pad = await testPad();
    const folder = await mkdtemp(join(tmpdir(), 'library-'));
    try {
      const file = join(folder, 'my_launchpad.yaml');
      await writeFile(file, JSON.stringify(keysOf(pad)));
      await using launchpad = await LaunchPad.connect(file);
      expect(await launchpad.counts()).toEqual({});
      await expect(LaunchPad.connect(join(folder, 'none.yaml'))).rejects.toThrow(
        'There is no LaunchPad file',
      );
      await expect(LaunchPad.connect({ port: 0 })).rejects.toThrow('LaunchPad.connect: port=0');
      await expect(LaunchPad.connect({ host: '127.0.0.1', port: 1 }, { timeoutMs: 100 })).rejects.toThrow(
        'No LaunchPad answers at 127.0.0.1:1/fireworks',
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('with a document in place of a workflow is told so', async () => {
    await using pad = await testPad();
    await using launchpad = await LaunchPad.connect(keysOf(pad));
    const document = fork().toDocument() as unknown as Workflow;
    await expect(launchpad.add(document)).rejects.toThrow('Only a Workflow or a Firework can be added');
  });
});
