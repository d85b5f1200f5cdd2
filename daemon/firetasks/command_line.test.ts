/** CommandLineTask: commands that are made of values of the spec, run as real processes. */
import { describe, expect, test } from 'bun:test';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { testWorker } from '../test_worker.ts';
import { compose } from './command_line.ts';

/** Flies it; returns the child's spec, or the last line of the failure. */
async function fly(
  task: Doc,
  spec: Doc = {},
  files: Record<string, string> = {},
): Promise<{ spec: Doc | string; read(name: string): string | undefined }> {
  await using worker = await testWorker({ oneFolder: true });
  await mkdir(join(worker.folder, 'folder'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(worker.folder, name), text);
  await worker.add([{ _fw_name: 'CommandLineTask', ...task }], spec, 1);
  const landing = await worker.fly();
  const made = new Map<string, string>();
  for (const name of ['out', 'err', 'copy'])
    await readFile(join(worker.folder, name), 'utf8').then(
      (text) => made.set(name, text),
      () => {},
    );
  const read = (name: string) => made.get(name);
  if (landing === 'completed') return { spec: (await worker.firework(2)).spec as Doc, read };
  const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
  return { spec: (_stacktrace.trim().split('\n').at(-1) ?? '').replaceAll(worker.folder, 'DIR'), read };
}

const data = (value: unknown) => ({ source: { type: 'data', value } });
const result = { target: { type: 'data', value: '' } };

test('a word for each input, in their order, with prefix and separator', () => {
  const made = compose(
    ['run'],
    [
      { binding: { prefix: '-n', separator: '=' }, ...data(3) },
      data('a b'),
      { source: { type: 'path', value: 'in' }, target: { type: 'stdin' } },
    ],
    [{ binding: { prefix: '-o' }, target: { type: 'path', value: 'out' } }],
  );
  expect(made.argv).toEqual(['run', '-n=3', 'a b', '-oout']);
  expect(made.stdin).toEqual({ path: 'in' });
});

describe('what comes of it', () => {
  test('the output as a value, trimmed; values look as Python shows them', async () => {
    const command_spec = { command: ['echo', '-n'], a: data(true), b: data(1.5), c: 'list', out: result };
    const { spec } = await fly(
      { command_spec, inputs: ['a', 'b', 'c'], outputs: ['out'] },
      { list: [data('x'), { type: 'data', value: 'y' }] },
    );
    expect(spec).toMatchObject({ out: { type: 'data', value: 'True 1.5 x y' } });
  });

  test('stdin of a text and of a file, stdout and stderr to files, a file copied', async () => {
    const command_spec = {
      command: ['sh', '-c', 'cat; echo bad >&2; echo made > made'],
      text: { ...data('given'), target: { type: 'stdin' } },
      file: { source: { type: 'path', value: 'in' }, target: { type: 'stdin' } },
      out: { source: { type: 'stdout' }, target: { type: 'path', value: 'out' } },
      err: { source: { type: 'stderr' }, target: { type: 'path', value: 'err' } },
      copy: { source: { type: 'path', value: 'made' }, target: { type: 'path', value: 'copy' } },
    };
    const outputs = ['out', 'err', 'copy'];
    const one = await fly({ command_spec, inputs: ['text'], outputs });
    expect(outputs.map(one.read)).toEqual(['given', 'bad\n', 'made\n']);
    expect(one.spec).toMatchObject({ copy: { type: 'path', value: 'copy' } });
    const other = await fly({ command_spec, inputs: ['file'], outputs }, {}, { in: 'from a file' });
    expect(other.read('out')).toBe('from a file');
  });

  test('a target that is a folder gets a file with a name of its own', async () => {
    const out = { source: { type: 'stdout' }, target: { type: 'path', value: 'folder' } };
    const { spec } = await fly({ command_spec: { command: ['echo', 'x'], out }, outputs: ['out'] });
    expect(((spec as Doc).out as Doc).value).toMatch(/^folder\/[0-9a-f-]{36}$/);
  });

  test('parts of a ForeachTask add theirs to a list', async () => {
    const command_spec = { command: ['echo', 'x'], out: result };
    const { spec } = await fly({ command_spec, outputs: ['out'], chunk_number: 0 }, {});
    expect(spec).toMatchObject({ out: [{ type: 'data', value: 'x' }] });
  });
});

describe('failures', () => {
  const cases: [string, Doc, RegExp][] = [
    [
      'a bad exit code',
      { command_spec: { command: ['sh', '-c', 'echo why >&2; exit 3'] } },
      /^RuntimeError: .* ended with exit code 3: why$/,
    ],
    [
      'no such program',
      { command_spec: { command: ['no-such-program'] } },
      /^FileNotFoundError: There is no program 'no-such-program'/,
    ],
    [
      'no such label',
      { command_spec: { command: ['true'] }, inputs: ['x'] },
      /^KeyError: 'x' is not in command_spec/,
    ],
    [
      'no such key',
      { command_spec: { command: ['true'], x: 'gone' }, inputs: ['x'] },
      /^KeyError: 'gone' is not in the spec/,
    ],
    [
      'no source',
      { command_spec: { command: ['true'], x: {} }, inputs: ['x'] },
      /^AssertionError: input has no key "source"/,
    ],
    [
      'no target',
      { command_spec: { command: ['true'], x: {} }, outputs: ['x'] },
      /^AssertionError: output has no key "target"/,
    ],
    [
      'an identifier',
      {
        command_spec: { command: ['true'], x: { source: { type: 'identifier', value: 'i' } } },
        inputs: ['x'],
      },
      /^NotImplementedError/,
    ],
    [
      'no stdin file',
      {
        command_spec: {
          command: ['cat'],
          x: { source: { type: 'path', value: 'none' }, target: { type: 'stdin' } },
        },
        inputs: ['x'],
      },
      /^FileNotFoundError: ENOENT/,
    ],
    ['no command', { command_spec: {} }, /^ValueError: CommandLineTask: parameter 'command_spec.command'/],
  ];
  test.each(cases)('%s', async (_, task, message) => {
    expect((await fly(task)).spec).toMatch(message);
  });
});
