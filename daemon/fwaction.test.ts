import { describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Doc, type FWAction, fwAction, plainDoc } from '../core/launchpad/index.ts';
import { actionFile, checkpointOf, decorate, finalAction, type Gathered, gather } from './fwaction.ts';

const nothing = (): Gathered => ({ storedData: {}, updateSpec: {}, modSpec: [] });
const workflow = { fws: [{ fw_id: 1, spec: { _tasks: [] } }], links: {} };

describe('an action ends its Firework', () => {
  const cases: [string, Partial<FWAction>, boolean][] = [
    ['nothing', {}, false],
    ['stored data', { stored_data: { a: 1 } }, false],
    ['update_spec and mod_spec', { update_spec: { a: 1 }, mod_spec: [{ _set: { b: 1 } }] }, false],
    ['propagate', { propagate: true }, false],
    ['exit', { exit: true }, true],
    ['additions', { additions: [workflow] }, true],
    ['detours', { detours: [workflow] }, true],
    ['append_wfs', { append_wfs: [{ workflow, parents: [], detour: false }] }, true],
    ['defuse_children', { defuse_children: true }, true],
    ['defuse_workflow', { defuse_workflow: true }, true],
  ];
  test.each(cases)('%s', (_, part, ends) => expect(gather(nothing(), {}, fwAction(part))).toBe(ends));
});

test('what Firetasks store and change adds up, and later ones see it', () => {
  const gathered = nothing();
  const spec: Doc = { n: 1, list: ['a'] };
  gather(gathered, spec, fwAction({ stored_data: { s: 1, t: 1 }, update_spec: { u: { k: [1] } } }));
  gather(
    gathered,
    spec,
    fwAction({ stored_data: { t: 2 }, mod_spec: [{ _push: { list: 'b' } }, { _inc: { n: 2 } }] }),
  );
  expect(gathered.storedData).toEqual({ s: 1, t: 2 });
  expect(plainDoc(spec)).toEqual({ n: 3, list: ['a', 'b'], u: { k: [1] } });
  const last = fwAction({ stored_data: { t: 2 }, propagate: true });
  expect(finalAction(last, gathered)).toEqual(
    fwAction({
      stored_data: { s: 1, t: 2 },
      update_spec: { u: { k: [1] } },
      mod_spec: [{ _push: { list: 'b' } }, { _inc: { n: 2 } }],
      propagate: true,
    }),
  );
  expect(Object.keys(checkpointOf(1, gathered))).toEqual([
    '_task_n',
    '_all_stored_data',
    '_all_update_spec',
    '_all_mod_spec',
  ]);
});

test('what is pushed into an updated list is pushed once', () => {
  // FireWorks shares the list between the running spec and the action, so that a child gets it twice: not copied.
  const gathered = nothing();
  const spec: Doc = {};
  gather(gathered, spec, fwAction({ update_spec: { list: ['a'] } }));
  gather(gathered, spec, fwAction({ mod_spec: [{ _push: { list: 'b' } }] }));
  expect(spec.list).toEqual(['a', 'b']);
  expect(gathered.updateSpec).toEqual({ list: ['a'] });
});

test('a mod_spec that does not fit says so', () => {
  expect(() => gather(nothing(), { n: 1 }, fwAction({ mod_spec: [{ _push: { n: 2 } }] }))).toThrow(
    "mod_spec: 'n' is not a list",
  );
});

async function inFolder<T>(files: Record<string, string>, work: (folder: string) => T): Promise<Awaited<T>> {
  const folder = await mkdtemp(join(tmpdir(), 'fwaction-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('what a spec asks to be passed on', () => {
  const rocket = (spec: Doc, launchDir: string) => ({
    spec,
    fwId: 7,
    name: 'seven',
    launchDir,
    fworkerName: 'w',
  });
  const own = (launch_dir: string) => ({ fw_id: 7, name: 'seven', launch_dir, state: 'RUNNING' });

  test('nothing', () => expect(decorate(fwAction(), rocket({}, '/d'))).toEqual(fwAction()));
  test('_pass_job_info: parents’ and its own, once', () => {
    const before = { fw_id: 1, name: 'p', launch_dir: '/p', state: 'RUNNING' };
    for (const _job_info of [[before], [before, own('/d')]]) {
      const { mod_spec } = decorate(fwAction(), rocket({ _pass_job_info: true, _job_info }, '/d'));
      expect(mod_spec).toEqual([{ _push_all: { _job_info: [before, own('/d')] } }]);
    }
  });
  test('_preserve_fworker', () =>
    expect(decorate(fwAction(), rocket({ _preserve_fworker: true }, '/d')).update_spec).toEqual({
      _fworker: 'w',
    }));
  test('_files_out: the last match of each pattern, folders too', () =>
    inFolder({ 'a1.txt': '', 'a2.txt': '', '.hidden': '' }, async (folder) => {
      await mkdir(join(folder, 'tree'));
      const _files_out = { a: 'a*.txt', none: 'b*', abs: join(folder, 'a1*'), tree: 'tr*', dot: '*hidden' };
      expect(decorate(fwAction(), rocket({ _files_out }, folder)).mod_spec).toEqual([
        { _set: { '_files_prev->a': join(folder, 'a2.txt') } },
        { _set: { '_files_prev->abs': join(folder, 'a1.txt') } },
        { _set: { '_files_prev->tree': join(folder, 'tree') } },
      ]);
    }));
});

describe('an action that a task left as a file', () => {
  const cases: [string, Record<string, string>, FWAction | null | string][] = [
    ['none', {}, null],
    [
      'FWAction.json',
      { 'FWAction.json': '{"stored_data": {"a": 1}, "exit": true}' },
      fwAction({ stored_data: { a: 1 }, exit: true }),
    ],
    [
      'FWAction.yaml',
      { 'FWAction.yaml': 'update_spec: {b: [1, 2]}\n' },
      fwAction({ update_spec: { b: [1, 2] } }),
    ],
    [
      'of both the JSON one',
      { 'FWAction.json': '{"stored_data": {"a": 1}}', 'FWAction.yaml': 'exit: true' },
      fwAction({ stored_data: { a: 1 } }),
    ],
    ['no JSON', { 'FWAction.json': '{' }, 'not JSON: the end in line 1'],
    [
      'no dictionary',
      { 'FWAction.json': '[1]' },
      'FWAction.json: it Invalid input: expected object, received array',
    ],
    [
      'a misspelt key',
      { 'FWAction.json': '{"stored": {}}' },
      "FWAction.json: unknown key 'stored'. An FWAction has:",
    ],
    [
      'a wrong type',
      { 'FWAction.json': '{"update_spec": 3}' },
      'FWAction.json: update_spec must be a dictionary',
    ],
  ];
  test.each(cases)('%s', (_, files, expected) =>
    inFolder(files, (folder) => {
      if (typeof expected === 'string') expect(() => actionFile(folder)).toThrow(expected);
      else expect(actionFile(folder)).toEqual(expected);
    }),
  );
});
