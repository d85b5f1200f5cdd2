/**
 * PyTask, users' classes, and what a worker says when Python or a module is missing: all without the package fireworks. With it:
 * tests/flight_as_python.e2e.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { runs, type TestWorker, testWorker, until } from '../test_worker.ts';

const python3 = Bun.which('python3');
const why = python3 ? '' : ' (there is no python3 here)';

const MODULE = `
import decimal, os, pathlib, signal, sys, threading, time
def swap(a, b): return b, a
def show(*args, **kwargs): return [list(args), kwargs]
def kinds(*args): return [type(a).__name__ for a in args]
def odd(): return {"set": {1}, "tuple": (1, 2), "big": 2**53 + 1, "float": 1.0, "nan": float("nan"), "lone": "\\ud800"}
def says(): print("to stdout"); print("to stderr", file=sys.stderr); os.system("echo from a child")
def says_much():
    for _ in range(200): sys.stdout.write("x" * 99_999 + "\\n")
def says_on_3():
    for text in (b'{"action": {"stored_data": {"r": "false"}}}\\n', b"{"):
        try: os.write(3, text)
        except OSError: pass
    return "true"
def is_big(): return "y" * 6_000_000
def closes(): sys.stdout.close(); os.close(1); os.close(2); return "silent"
def fails_silently(): sys.stderr.close(); raise Named("unseen")
def texts(): return [pathlib.Path("/a/b"), decimal.Decimal("1.50"), frozenset("z")]
class Mson:
    def as_dict(self): return {"@module": "m", "@class": "C", "n": 1}
def mson(): return Mson()
def itself():
    it = []
    it.append(it)
    return it
def dies(): os._exit(7)
def killed(): os.kill(os.getpid(), signal.SIGKILL)
def threads():
    def go_on():
        open("pid", "w").write(str(os.getpid()))
        time.sleep(60)
    threading.Thread(target=go_on).start()
    return "main"
def comes_back_twice(): return "parent" if os.fork() else "child"
class Plain(dict):
    def run_task(self, fw_spec): return {"stored_data": {"params": self["n"], "spec": fw_spec["x"]}}
def leaves(): sys.exit("no more")
def unstorable(): return object()
class Named(Exception):
    def to_dict(self): return {"code": 5}
def raises(): raise Named("with details")
def sleeps():
    open("pid", "w").write(str(os.getpid()))
    time.sleep(60)
def forks():
    if os.fork() == 0:
        open("pid", "w").write(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    return "parent"
class FWAction:
    def __init__(self, **parts): self.parts = parts
    def to_dict(self): return self.parts
def acts(): return FWAction(stored_data={"x": 1}, defuse_children=True)
def acts_badly(): return FWAction(mod_spec="nonsense")
`;

/** A package whose modules cannot be loaded. */
const NEEDS = {
  '__init__.py': '',
  'fireworks_too.py': 'import fireworks',
  'numbers.py': 'import no_such_numbers',
  'broken.py': '1 / 0',
};

/** A Python of its own, in which there is no package fireworks, nor any other. */
let venv: string;
beforeAll(async () => {
  venv = await mkdtemp(join(tmpdir(), 'venv-'));
  if (!python3) return;
  const made = Bun.spawnSync([python3, '-m', 'venv', '--without-pip', venv]);
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, '']);
});
afterAll(() => rm(venv, { recursive: true }));

async function withModule(
  work: (worker: TestWorker) => Promise<void>,
  python = join(venv, 'bin/python'),
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'module-'));
  try {
    await writeFile(join(folder, 'own.py'), MODULE);
    await mkdir(join(folder, 'needs'));
    for (const [name, text] of Object.entries(NEEDS)) await writeFile(join(folder, 'needs', name), text);
    const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' };
    await using worker = await testWorker({ env, python });
    await work(worker);
  } finally {
    await rm(folder, { recursive: true });
  }
}
const task = (func: string, more: Doc = {}): Doc => ({ _fw_name: 'PyTask', func, ...more });

describe(`PyTask${why}`, () => {
  const cases: [string, Doc, Doc][] = [
    [
      'a function of a module',
      task('math.pow', { args: [2, 10], stored_data_varname: 'r' }),
      { stored_data: { r: 1024 } },
    ],
    ['a built-in one', task('len', { args: ['four'], stored_data_varname: 'n' }), { stored_data: { n: 4 } }],
    ['nothing is stored unless it is asked for', task('len', { args: ['x'] }), {}],
    [
      'kwargs',
      task('own.show', { kwargs: { a: 1 }, stored_data_varname: 'r' }),
      { stored_data: { r: [[], { a: 1 }] } },
    ],
    [
      'auto_kwargs: all other parameters',
      task('own.show', { auto_kwargs: true, b: 2, stored_data_varname: 'r', _own: 3 }),
      { stored_data: { r: [[], { b: 2 }] } },
    ],
    [
      'inputs come from the spec, after the args',
      task('own.show', { args: [0], inputs: ['x', 'y'], stored_data_varname: 'r' }),
      { stored_data: { r: [[0, 9, [1]], {}] } },
    ],
    ['one output', task('own.swap', { args: [1, 2], outputs: ['pair'] }), { update_spec: { pair: [2, 1] } }],
    [
      'several outputs',
      task('own.swap', { args: [1, 2], outputs: ['b', 'a'] }),
      { update_spec: { b: 2, a: 1 } },
    ],
    [
      'chunk_number: each item is pushed',
      task('own.swap', { args: [1, 2], outputs: ['all'], chunk_number: 0 }),
      { mod_spec: [{ _push: { all: 2 } }, { _push: { all: 1 } }] },
    ],
    [
      'types keep what they are',
      task('own.kinds', {
        args: [1, 'a', null, true, [], {}],
        inputs: ['big', 'when'],
        stored_data_varname: 'r',
      }),
      { stored_data: { r: ['int', 'str', 'NoneType', 'bool', 'list', 'dict', 'int', 'datetime'] } },
    ],
    ['an FWAction', task('own.acts'), { stored_data: { x: 1 }, defuse_children: true }],
    [
      'a class of a module that does without fireworks',
      { _fw_name: '{{own.Plain}}', n: 1 },
      { stored_data: { params: 1, spec: 9 } },
    ],
    [
      'a task that writes to file descriptor 3',
      task('own.says_on_3', { stored_data_varname: 'r' }),
      { stored_data: { r: 'true' } },
    ],
    [
      'a task that closes its outputs',
      task('own.closes', { stored_data_varname: 'r' }),
      { stored_data: { r: 'silent' } },
    ],
    [
      'a forked child that comes back too',
      task('own.comes_back_twice', { stored_data_varname: 'r' }),
      { stored_data: { r: 'parent' } },
    ],
    [
      'what has a text of its own, as FireWorks stores it',
      task('own.texts', { stored_data_varname: 'r' }),
      { stored_data: { r: ['/a/b', '1.50', ['z']] } },
    ],
    [
      'an object that knows itself as a dictionary (monty)',
      task('own.mson', { stored_data_varname: 'r' }),
      { stored_data: { r: { '@module': 'm', '@class': 'C', n: 1 } } },
    ],
  ];
  const spec = { x: 9, y: [1], big: 2 ** 52, when: '2020-01-02T03:04:05.678901' };
  test.skipIf(!python3).each(cases)('%s', (_, one, action) =>
    withModule(async (worker) => {
      await worker.add([one], spec);
      expect(await worker.fly()).toBe('completed');
      expect((await worker.launch(1)).action).toMatchObject(action);
    }),
  );

  test.skipIf(!python3)('values come back whole', () =>
    withModule(async (worker) => {
      await worker.add([task('own.odd', { stored_data_varname: 'r' })]);
      expect(await worker.fly()).toBe('completed');
      const raw = await worker.launchpad.launches.findOne({}, { promoteValues: false, promoteLongs: false });
      const r = raw?.action.stored_data.r;
      expect([r.big.toString(), r.float._bsontype, Number.isNaN(r.nan.value)]).toEqual([
        '9007199254740993',
        'Double',
        true,
      ]);
      expect((await worker.storedData(1)).r).toMatchObject({ set: [1], tuple: [1, 2] });
    }),
  );

  test.skipIf(!python3)('what it prints is in the log', () =>
    withModule(async (worker) => {
      await worker.add([task('own.says')]);
      expect(await worker.fly()).toBe('completed');
      const said = worker.said.map(({ message }) => message);
      for (const line of ['to stdout', 'to stderr', 'from a child']) expect(said).toContain(line);
    }),
  );

  const failures: [string, Doc, RegExp, unknown][] = [
    ['no such module', task('no.such.f'), /ModuleNotFoundError: No module named 'no'$/, null],
    [
      'no such function',
      task('math.nothing'),
      /AttributeError: module 'math' has no attribute 'nothing'$/,
      null,
    ],
    [
      'no such built-in function',
      task('nothing'),
      /SetupError: PyTask: there is no built-in function 'nothing'$/,
      null,
    ],
    [
      'an exception with details',
      task('own.raises'),
      /File ".*own.py", line \d+, in raises[\s\S]*Named: with details$/,
      { code: 5 },
    ],
    ['a missing input', task('own.show', { inputs: ['none'] }), /KeyError: 'none'$/, null],
    [
      'too few outputs',
      task('own.swap', { args: [1, 2], outputs: ['a', 'b', 'c'] }),
      /must return 3 values, for a, b, c$/,
      null,
    ],
    ['an exit', task('own.leaves'), /SystemExit: no more$/, null],
    [
      'a sudden end',
      task('own.dies'),
      /RuntimeError: Python ended with exit code 7 before the task gave its result$/,
      null,
    ],
    [
      'a death by signal',
      task('own.killed'),
      /RuntimeError: Python was killed by signal 9 \(most often for lack of memory\) before the task gave its result$/,
      null,
    ],
    [
      'an error of a task that has closed its stderr',
      task('own.fails_silently'),
      /Named: unseen$/,
      { code: 5 },
    ],
    [
      'what contains itself',
      task('own.itself', { stored_data_varname: 'r' }),
      /ValueError: Circular reference detected$/,
      null,
    ],
    [
      'what cannot be stored',
      task('own.unstorable', { stored_data_varname: 'r' }),
      /of type object cannot be stored$/,
      null,
    ],
    ['a bad FWAction', task('own.acts_badly'), /The FWAction of PyTask: mod_spec /, null],
    ['no func', { _fw_name: 'PyTask' }, /ValueError: PyTask needs 'func', the name of a function/, null],
  ];
  test.skipIf(!python3).each(failures)('%s', (_, one, trace, details) =>
    withModule(async (worker) => {
      await worker.add([one]);
      expect(await worker.fly()).toBe('fizzled');
      const { _exception, _task } = (await worker.storedData(1)) as { _exception: Doc; _task: Doc };
      expect(String(_exception._stacktrace).trim()).toMatch(trace);
      expect([_exception._details, _task._fw_name]).toEqual([details, 'PyTask']);
    }),
  );

  test.skipIf(!python3)('20 MB of output are in the log, 6 MB of result in the launch', () =>
    withModule(async (worker) => {
      await worker.add([task('own.says_much'), task('own.is_big', { stored_data_varname: 'r' })]);
      expect(await worker.fly()).toBe('completed');
      const logged = worker.said.filter(({ message }) => message.startsWith('xxx'));
      expect(logged.reduce((sum, { message }) => sum + message.length, 0)).toBe(200 * 99_999);
      expect(await worker.storedData(1)).toEqual({ r: 'y'.repeat(6_000_000) });
    }),
  );

  const background: [string, string, string][] = [
    ['a child that it forked', 'own.forks', 'parent'],
    ['a thread that goes on', 'own.threads', 'main'],
  ];
  test.skipIf(!python3).each(background)('%s does not hold the Firework', (_, func, result) =>
    withModule(async (worker) => {
      await worker.add([task(func, { stored_data_varname: 'r' })]);
      expect(await worker.fly()).toBe('completed');
      expect(await worker.storedData(1)).toEqual({ r: result });
      expect(await runs(Number(await worker.file('pid')))).toBe(true);
    }),
  );

  test.skipIf(!python3)('SIGTERM ends it', () =>
    withModule(async (worker) => {
      await worker.add([task('own.sleeps')]);
      const flying = worker.fly();
      const pid = Number(await until('the task', () => worker.file('pid').catch(() => null)));
      worker.stop('SIGTERM');
      expect([await flying, await runs(pid)]).toEqual(['givenUp', false]);
    }),
  );
});

describe('a worker without what a task needs', () => {
  const trace = async (worker: TestWorker, one: Doc): Promise<string> => {
    await worker.add([one]);
    expect(await worker.fly()).toBe('fizzled');
    return String(((await worker.storedData(1))._exception as Doc)._stacktrace).trim();
  };
  test('no Python', () =>
    withModule(async (worker) => {
      expect(await trace(worker, task('len'))).toEndWith(
        "SetupError: There is no Python 'no-python' on this worker. Install python3, or name one with the setting 'python'",
      );
    }, 'no-python'));

  const missing: [string, Doc, RegExp][] = [
    [
      'no package fireworks',
      { _fw_name: 'SomebodysTask' },
      /SetupError: Firetask 'SomebodysTask' needs the Python package fireworks in (\S+): \1 -m pip install fireworks$/,
    ],
    [
      'no package fireworks, which the module needs',
      { _fw_name: '{{needs.fireworks_too.Task}}' },
      /SetupError: Firetask '\{\{needs\.fireworks_too\.Task\}\}' needs the Python package fireworks in /,
    ],
    [
      'no module',
      { _fw_name: '{{nowhere.to.be.Found}}' },
      /SetupError: Firetask '\{\{nowhere\.to\.be\.Found\}\}' is not known to this worker, nor to the Python that it asks \(\S+\): there is no module 'nowhere'\. Correct _fw_name, or install the package that defines it there$/,
    ],
    [
      'no module within a package',
      { _fw_name: '{{needs.nothing.Found}}' },
      /there is no module 'needs\.nothing'\. Correct/,
    ],
    ['no class', { _fw_name: '{{own.Task}}' }, /: its module has no such class\. Correct/],
    [
      'what the module needs',
      { _fw_name: '{{needs.numbers.Task}}' },
      /: the module 'needs\.numbers' needs 'no_such_numbers', which is not there\. Correct/,
    ],
    [
      'a name without module',
      { _fw_name: '{{Task}}' },
      /'\{\{Task\}\}' names no module: it must be \{\{module\.Class\}\}$/,
    ],
    [
      'a module that is broken',
      { _fw_name: '{{needs.broken.Task}}' },
      /File ".*broken\.py", line 1[\s\S]*ZeroDivisionError: division by zero$/,
    ],
  ];
  test.skipIf(!python3).each(missing)(`%s${why}`, (_, one, last) =>
    withModule(async (worker) => expect(await trace(worker, one)).toMatch(last)),
  );
});
