import { describe, expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { runs, type TestWorker, testWorker, until } from '../test_worker.ts';
import { words } from './script.ts';

const script = (text: string | string[], more: Doc = {}): Doc => ({
  _fw_name: 'ScriptTask',
  script: text,
  ...more,
});
const stored = { store_stdout: true, store_stderr: true };
const ok = { returncode: 0, all_returncodes: [0] };

async function fly(
  task: Doc,
  spec: Doc = {},
  check: (worker: TestWorker) => unknown = () => {},
): Promise<Doc> {
  await using worker = await testWorker();
  await worker.add([task], spec);
  await worker.fly();
  await check(worker);
  return await worker.storedData(1);
}
const failureOf = (data: Doc) =>
  String((data._exception as Doc)._stacktrace)
    .trim()
    .split('\n')
    .at(-1);

describe('what is stored', () => {
  const cases: [string, Doc, Doc][] = [
    ['return codes alone', script('echo out'), ok],
    ['both outputs', script('echo out; echo err >&2', stored), { ...ok, stdout: 'out\n', stderr: 'err\n' }],
    [
      'of several scripts all they wrote',
      script(['echo 1', 'echo 2'], stored),
      {
        stdout: '1\n2\n',
        stderr: '',
        returncode: 0,
        all_returncodes: [0, 0],
      },
    ],
    [
      'nothing follows a bad return code',
      script(['exit 4', 'touch never'], { fizzle_bad_rc: false }),
      {
        returncode: 4,
        all_returncodes: [4],
      },
    ],
    [
      'None for fizzle_bad_rc means no, as in Python',
      script('exit 4', { fizzle_bad_rc: null }),
      {
        returncode: 4,
        all_returncodes: [4],
      },
    ],
    [
      'a death by signal as Python tells it',
      script('kill -9 $$', { fizzle_bad_rc: false }),
      {
        returncode: -9,
        all_returncodes: [-9],
      },
    ],
    [
      '1 and None for true and false',
      script('echo x', { store_stdout: 1, store_stderr: null }),
      { ...ok, stdout: 'x\n' },
    ],
    [
      'without a shell',
      script(`printf '%s|' 'a b' "c" $HOME`, { use_shell: false, store_stdout: true }),
      {
        ...ok,
        stdout: 'a b|c|$HOME|',
      },
    ],
    [
      'with another shell',
      script('echo $BASH_VERSION | cut -c1-2', { shell_exe: '/bin/bash', store_stdout: true }),
      {
        ...ok,
        stdout: '5.\n',
      },
    ],
    ['no UTF-8', script(String.raw`printf 'a\377b'`, stored), { ...ok, stdout: 'a\ufffdb', stderr: '' }],
    [
      'its output closed early',
      script('exec >&- 2>&-; sleep 0.1; touch done', stored),
      { ...ok, stdout: '', stderr: '' },
    ],
    [
      'its input not read',
      script('echo x', { stdin_key: 'big', store_stdout: true }),
      { ...ok, stdout: 'x\n' },
    ],
    [
      'what was in the background, when the output is stored',
      script('(sleep 0.2; echo late) &', stored),
      {
        ...ok,
        stdout: 'late\n',
        stderr: '',
      },
    ],
  ];
  const big = 'x'.repeat(1_000_000);
  test.each(cases)('%s', async (_, task, data) => expect(await fly(task, { big })).toEqual(data));

  test('much input and much output at once', async () => {
    const { stdout } = await fly(script('cat; cat > /dev/null', { stdin_key: 'big', store_stdout: true }), {
      big,
    });
    expect(stdout).toBe(big);
  });

  test('of endless lines the first 4 MiB; the log has them in pieces', async () => {
    const { stdout } = await fly(script('yes | tr -d "\\n" | head -c 6000000', stored), {}, ({ said }) => {
      const pieces = said.filter(({ message }) => message.startsWith('yyy'));
      expect(Math.max(...pieces.map(({ message }) => message.length))).toBe(65_536);
      expect(pieces.reduce((sum, { message }) => sum + message.length, 0)).toBe(6_000_000);
    });
    expect((stdout as string).length).toBe(4 * 1024 * 1024);
  });
});

describe('a task that cannot be', () => {
  const cases: [string, Doc, string][] = [
    [
      'a bad return code',
      script(['true', 'exit 5']),
      'RuntimeError: ScriptTask fizzled! Return code: [0, 5]',
    ],
    [
      'no such program',
      script('no-such-program', { use_shell: false }),
      "FileNotFoundError: There is no program 'no-such-program' on this worker. Install it, or correct the name",
    ],
    [
      'both kinds of input',
      script('cat', { stdin_key: 'a', stdin_file: 'b' }),
      'ValueError: ScriptTask cannot process both a key and file as the standard in!',
    ],
    [
      'both ends of a bad return code',
      script('true', { defuse_bad_rc: true, fizzle_bad_rc: true }),
      'ValueError: ScriptTask cannot both FIZZLE and DEFUSE a bad returncode!',
    ],
    ['no such key', script('cat', { stdin_key: 'none' }), "KeyError: 'none' is not in the spec"],
    [
      'an open quote',
      script("echo 'a", { use_shell: false }),
      "ValueError: No closing quotation in: echo 'a",
    ],
    [
      'a wrong type',
      script('true', { use_shell: 'yes' }),
      "ValueError: ScriptTask: parameter 'use_shell': must be true or false",
    ],
  ];
  test.each(cases)('%s', async (_, task, last) => expect(failureOf(await fly(task))).toBe(last));

  test('no such input file', async () => {
    const last = failureOf(await fly(script('cat', { stdin_file: 'none' })));
    expect(last).toMatch(/^FileNotFoundError: stdin_file none: ENOENT/);
  });
});

test('files: input from one, output appended to others', async () => {
  await using worker = await testWorker({ oneFolder: true });
  await writeFile(join(worker.folder, 'in'), 'text');
  await writeFile(join(worker.folder, 'out'), 'before ');
  await worker.add([
    script('cat; echo err >&2', { stdin_file: 'in', stdout_file: 'out', stderr_file: 'err' }),
  ]);
  expect(await worker.fly()).toBe('completed');
  expect([await worker.file('out'), await worker.file('err')]).toEqual(['before text', 'err\n']);
});

test('with use_global_spec the parameters are keys of the spec', async () => {
  const task = script('echo param', { use_global_spec: true });
  expect(await fly(task, { script: 'echo spec', store_stdout: true })).toEqual({ ...ok, stdout: 'spec\n' });
});

test('a process in the background does not hold the Firework, and ends with the worker at the latest', async () => {
  let pid = 0;
  {
    await using worker = await testWorker();
    await worker.add([script('sh -c "while sleep 0.05; do echo alive; done" & echo $! > pid')]);
    await worker.add([script('true')]);
    expect(await worker.fly()).toBe('completed');
    pid = Number(await worker.file('pid'));
    const heard = () => worker.said.filter(({ message }) => message === 'alive').length;
    const before = heard();
    expect(await worker.fly()).toBe('completed');
    await until('that it goes on', () => heard() > before + 2);
    expect(await runs(pid)).toBe(true);
  }
  expect(await runs(pid)).toBe(false);
});

test('several scripts read one file on, each where the one before stopped', async () => {
  await using worker = await testWorker();
  const write = { _fw_name: 'FileWriteTask', files_to_write: [{ filename: 'in', contents: 'abcdef' }] };
  await worker.add([write, script(['head -c 2 > first', 'cat > rest'], { stdin_file: 'in' })]);
  expect(await worker.fly()).toBe('completed');
  expect([await worker.file('first'), await worker.file('rest')]).toEqual(['ab', 'cdef']);
});

test('words are split as Python’s shlex does', () => {
  const cases: [string, string[]][] = [
    ['', []],
    ['  a  b ', ['a', 'b']],
    [`'a b' "c d"`, ['a b', 'c d']],
    [`a'b'"c"`, ['abc']],
    [`""`, ['']],
    [String.raw`a\ b`, ['a b']],
    [String.raw`"a\"b" 'a\b'`, ['a"b', String.raw`a\b`]],
    ['a\tb\nc', ['a', 'b', 'c']],
  ];
  for (const [line, split] of cases) expect(words(line)).toEqual(split);
});
