import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toJson } from './json.ts';
import { readWorkflowFile, readWorkflowFiles } from './workflow_file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'workflow-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** The spec of a Firework that is written in YAML with these lines in its spec. */
async function yamlSpec(lines: string): Promise<string> {
  const indented = lines.replaceAll(/^/gm, '  ');
  const path = await file('spec.yaml', `spec:\n  _tasks: [{_fw_name: PyTask}]\n${indented}\n`);
  const { _tasks, ...spec } = (await readWorkflowFile(path)).fireworks[0]?.spec ?? {};
  return toJson(spec);
}

describe('YAML is read as Python reads it', () => {
  test.each([
    [
      'words of YAML 1.1 stay words',
      'a: yes\nb: No\nc: on\nd: off\ny: 1',
      '{"a": "yes", "b": "No", "c": "on", "d": "off", "y": 1}',
    ],
    ['true and false', 'a: true\nb: False', '{"a": true, "b": false}'],
    ['nothing', 'a:\nb: ~\nc: null', '{"a": null, "b": null, "c": null}'],
    ['a float that is whole', 'a: 1.0\nb: 1e3\nc: -2.50', '{"a": 1.0, "b": 1000.0, "c": -2.5}'],
    [
      'integers of 64 bits',
      'a: 9007199254740993\nb: -9223372036854775808',
      '{"a": 9007199254740993, "b": -9223372036854775808}',
    ],
    ['octal and hexadecimal', 'a: 0o17\nb: 0xff\nc: 017', '{"a": 15, "b": 255, "c": 17}'],
    ['no sexagesimals', 'a: 12:30:45', '{"a": "12:30:45"}'],
    ['what is not a number', 'a: .nan\nb: .inf\nc: -.inf', '{"a": NaN, "b": Infinity, "c": -Infinity}'],
    [
      'times, as FireWorks stores them',
      'a: 2020-01-02 03:04:05.6789\nb: 2020-01-02T03:04:05Z',
      '{"a": "2020-01-02T03:04:05.678900", "b": "2020-01-02T03:04:05+00:00"}',
    ],
    [
      'anchors and merge keys',
      'x: &x {k: 1, l: 2}\ny: {<<: *x, l: 3}',
      '{"x": {"k": 1, "l": 2}, "y": {"k": 1, "l": 3}}',
    ],
    [
      'texts over lines',
      'a: |\n  one\n  two\nb: >\n  one\n  two',
      '{"a": "one\\ntwo\\n", "b": "one two\\n"}',
    ],
  ])('%s', async (_, lines, expected) => {
    expect(await yamlSpec(lines)).toBe(expected);
  });
});

test('the same workflow in YAML and in JSON', async () => {
  const json = await file(
    'one.json',
    '{"fws": [{"fw_id": 1, "name": "a", "spec": {"n": 1.0, "_tasks": [{"_fw_name": "PyTask"}]}}, {"fw_id": 2, "spec": {"_tasks": [{"_fw_name": "Script Task"}]}}], "links": {"1": [2]}, "metadata": {"k": 9007199254740993}}',
  );
  const yaml = await file(
    'one.yaml',
    'fws:\n- fw_id: 1\n  name: a\n  spec: {n: 1.0, _tasks: [{_fw_name: PyTask}]}\n- fw_id: 2\n  spec: {_tasks: {_fw_name: Script Task}}\nlinks: {1: 2}\nmetadata: {k: 9007199254740993}\n',
  );
  const [first, second] = [await readWorkflowFile(json), await readWorkflowFile(yaml)];
  expect(second).toEqual(first);
  expect([first.roots, [...first.links]]).toEqual([
    [1],
    [
      [1, [2]],
      [2, []],
    ],
  ]);
});

describe('what is wrong is told with the file and the place', () => {
  const task = '{_fw_name: ScriptTask}';
  test.each([
    ['w.yaml', '', 'w.yaml is empty'],
    ['w.yaml', '- a\n- b\n', "w.yaml: a workflow file is a dictionary with 'fws' and 'links'"],
    ['w.yaml', 'fws:\n\t- x\n', 'w.yaml, line 2: YAML is indented with spaces'],
    ['w.yaml', 'fws: [\n', 'w.yaml is not YAML:'],
    ['w.yaml', 'a: &a [*a, *b]', 'b'],
    [
      'w.yaml',
      `spec: {n: 99999999999999999999, _tasks: [${task}]}`,
      'w.yaml: 99999999999999999999 is too large',
    ],
    ['w.yaml', 'spec: {_tasks: 7}', 'w.yaml: spec._tasks: must be a list of Firetasks'],
    [
      'w.yaml',
      `fws: [{fw_id: 1, spec: {_tasks: [${task}]}}, {fw_id: 2, spec: {_tasks: [${task}]}}]\nlinks: {1: [2], 2: [1]}`,
      'w.yaml: links: a cycle, 1 -> 2 -> 1',
    ],
    [
      'w.yaml',
      'fws: [{spec: {_tasks: [{_fw_name: script_task}]}}]',
      "w.yaml: fws[0].spec._tasks[0]._fw_name: 'script_task' is no Firetask that workers know; did you mean 'ScriptTask'?",
    ],
    [
      'w.yaml',
      'spec: {_tasks: [{_fw_name: Nonsense}]}',
      "w.yaml: spec._tasks[0]._fw_name: 'Nonsense' is no Firetask that workers know. A Firetask of your own",
    ],
    [
      'w.json',
      '{"spec": {"_tasks": [\n{"_fw_name": PyTask}]}}',
      "w.json is not JSON: 'PyTask}]}}' in line 2",
    ],
    ['w.json', '{"fws": []}', 'w.json: fws: a workflow needs at least one Firework'],
  ])('%s: %j', async (name, content, message) => {
    const path = await file(name, content);
    await expect(readWorkflowFile(path)).rejects.toThrow(message);
    await expect(readWorkflowFile(path)).rejects.toThrow(path);
  });

  test('no such file, or a folder', async () => {
    const path = join(folder, 'gone.yaml');
    await expect(readWorkflowFile(path)).rejects.toThrow(`There is no file ${path}`);
    await expect(readWorkflowFile(folder)).rejects.toThrow(`${folder} cannot be read`);
  });

  test.each([
    ['ScriptTsk', 'ScriptTask'],
    ['docker_task', 'DockerTask'],
    ['py task', 'PyTask'],
    ['FilesTransferTask', 'FileTransferTask'],
    ['GetFileTask', 'GetFilesTask'],
  ])('%s: did you mean %s', async (name, near) => {
    const path = await file('near.json', JSON.stringify({ spec: { _tasks: [{ _fw_name: name }] } }));
    await expect(readWorkflowFile(path)).rejects.toThrow(`did you mean '${near}'?`);
  });

  test.each(['my_package.Task', '{{my_package.tasks.Task}}', 'ForeachTask', 'Docker Task'])(
    'no fault is found with %s',
    async (name) => {
      const path = await file('own.json', JSON.stringify({ spec: { _tasks: [{ _fw_name: name }] } }));
      expect((await readWorkflowFile(path)).fireworks).toHaveLength(1);
    },
  );
});

describe('archives', () => {
  const one = 'spec: {_tasks: [{_fw_name: PyTask}]}';
  const packed = async (name: string, files: Record<string, string>, gzip = true) =>
    await file(name, await new Bun.Archive(files, gzip ? { compress: 'gzip' } : undefined).bytes());

  test.each(['all.tar.gz', 'all.tgz', 'all.tar'])('%s: every file in it, by name', async (name) => {
    const files = { 'b.json': '{"spec": {"_tasks": []}, "name": "b"}', 'sub/a.yml': one, '._b.json': 'x' };
    const path = await packed(name, files, name !== 'all.tar');
    const read = await readWorkflowFiles(path);
    expect(read.map(({ source, workflow }) => [source, workflow.name])).toEqual([
      [`${path}/b.json`, 'b'],
      [`${path}/sub/a.yml`, 'Unnamed FW'],
    ]);
  });

  test('a file alone is one', async () => {
    const path = await file('alone.yaml', one);
    expect((await readWorkflowFiles(path)).map(({ source }) => source)).toEqual([path]);
  });

  test.each<[Record<string, string>, string]>([
    [{ 'a.yaml': one, 'readme.txt': 'x' }, 'readme.txt: an archive holds nothing but workflow files'],
    [{ '.hidden': 'x' }, 'There are no workflow files in'],
    [{ 'a.yaml': one, 'b.yaml': 'spec: 1' }, 'b.yaml: spec: must be a dictionary with _tasks'],
  ])('%j is refused', async (files, message) => {
    await expect(readWorkflowFiles(await packed('bad.tar.gz', files))).rejects.toThrow(message);
  });

  test('what is no archive is told', async () => {
    const path = await file('text.tar.gz', 'hello');
    await expect(readWorkflowFiles(path)).rejects.toThrow(path);
  });
});
