/** A Firetask in Python inside a container: what comes of it is what comes of it when Python's rapidfire runs it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import { addWorkflows, type Doc, newWorkflow, plainDoc, rerun } from '../core/launchpad/index.ts';
import { silent } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import { openDepot } from '../daemon/docker/depot.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { type TestWorker, testWorker } from '../daemon/test_worker.ts';
import { type Gcp, startGcp } from '../sandbox/gcp/index.ts';
import { python } from './one_machine.ts';
import { importPythonImage, SITE_PACKAGES } from './python_image.ts';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const why = !python
  ? ' (skipped: no Python with FireWorks)'
  : await Engine.open({ DOCKER_HOST: host }).then(
      async (engine) => void (await engine[Symbol.asyncDispose]()),
      (thrown: Error) => ` (skipped: ${thrown.message})`,
    );
const inside = test.skipIf(why !== undefined);
const IMAGE = `borealis-test-python-${process.pid}:1`;
const LIMIT = 60 * SECOND;

const MODULE = `
import os, sys
if "${SITE_PACKAGES}" in sys.path or "fireworks" in os.environ:
    from fireworks import FiretaskBase, Firework, FWAction, ScriptTask
else:
    FiretaskBase = dict
class Named(Exception):
    def to_dict(self): return {"code": 5}
class Plain(dict):
    def run_task(self, fw_spec):
        print("to stdout"); print("to stderr", file=sys.stderr)
        return {"stored_data": {"n": self["n"], "x": fw_spec["x"]}, "update_spec": {"big": 2**53 + 1, "float": 1.0}}
class Grows(FiretaskBase):
    _fw_name = "{{in_the_image.Grows}}"
    def run_task(self, fw_spec):
        detour = Firework([ScriptTask.from_str("true")], name="detour")
        addition = Firework([ScriptTask.from_str("true")], name="addition")
        return FWAction(detours=detour, additions=addition, update_spec={"u": [self["n"], fw_spec["x"]]},
                        mod_spec=[{"_push": {"list": 1}}], stored_data={"s": 1.5})
class Defuses(FiretaskBase):
    _fw_name = "{{in_the_image.Defuses}}"
    def run_task(self, fw_spec): return FWAction(defuse_children=True)
class Raises(FiretaskBase):
    _fw_name = "{{in_the_image.Raises}}"
    def run_task(self, fw_spec): raise ValueError("no good: %s" % fw_spec["x"])
class Leaves(FiretaskBase):
    _fw_name = "{{in_the_image.Leaves}}"
    def run_task(self, fw_spec): return FWAction(exit=True, stored_data={"left": True})
def swap(a, b): return b, a
def named(): raise Named("with details")
def dies(): os._exit(0)
def crashes(): os.abort()
def counts():
    with open("/wc/tries", "a+") as file:
        file.write("x"); file.seek(0)
        if len(file.read()) < 3: raise RuntimeError("not yet")
    return os.listdir("/wc/out")
def leaves():
    import uuid
    once = str(uuid.uuid4())
    with open("/wc/once", "w") as file: file.write(once)
    return once
def shout(): return open("/wc/in.txt").read().upper()
def spawns():
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool: return pool.map(abs, [-3])
`;

let dir: string;
let gcp: Gcp;
let storage: Storage;
let dropImage = async () => {};
beforeAll(async () => {
  if (why !== undefined) return;
  dir = await mkdtemp(join(tmpdir(), 'docker-firetask-'));
  await writeFile(join(dir, 'in_the_image.py'), MODULE);
  gcp = await startGcp({ dir, fireworker: ['false'], launchpadFile: '' });
  storage = new Storage(readEndpoints(gcp.env));
  await storage.write('sandbox', 'lib/in_the_image.py', MODULE);
  dropImage = await importPythonImage(host, IMAGE, python as string);
}, LIMIT);
afterAll(async () => {
  if (why !== undefined) return;
  await dropImage();
  await gcp.stop();
  await rm(dir, { recursive: true, force: true });
}, LIMIT);

const fireworks = `/wc:${SITE_PACKAGES}`;
const docker = (firetask: Doc, more: Doc = {}): Doc => ({
  _fw_name: 'DockerTask',
  name: 'inside',
  image: IMAGE,
  pull: 'missing',
  firetask,
  internal_prefix: '/wc',
  storage_prefix: 'sandbox/lib',
  env: { PYTHONPATH: '/wc', ...(more.env as Doc) },
  ...more,
  inputs: ['/wc/in_the_image.py', ...((more.inputs as string[]) ?? [])],
});
const withFireworks = { env: { PYTHONPATH: fireworks } };
const call = (func: string, more: Doc = {}): Doc => ({
  _fw_name: 'PyTask',
  func: `in_the_image.${func}`,
  ...more,
});

const worker = () =>
  testWorker({
    env: { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' },
    storage: async () => storage,
  });

/** Flies one; the worker is there for whoever looks at what came of it. */
async function fly(task: Doc, check: (worker: TestWorker) => unknown, spec: Doc = {}): Promise<void> {
  await using one = await worker();
  await one.add([task], spec, 1);
  await one.fly();
  await check(one);
}

const failureOf = async (one: TestWorker) =>
  ((await one.storedData(1))._exception ?? {}) as { _stacktrace: string; _details: Doc };
const stored = async (name: string) => Buffer.from(await storage.read('sandbox', name)).toString();

/** All Fireworks by name: their state, spec and action, without what differs by who flew them. */
async function endOf({ launchpad }: TestWorker): Promise<Doc> {
  const found: Doc = {};
  for await (const one of launchpad.fireworks.find().sort({ fw_id: 1 })) {
    const { name, state, spec, fw_id } = plainDoc(one);
    const launch = await launchpad.launches.findOne({ fw_id });
    const { stored_data, ...action } = (plainDoc(launch ?? {}).action ?? {}) as Doc;
    const { docker: _, ...own } = (stored_data ?? {}) as Doc;
    const { _tasks, ...rest } = spec as Doc;
    found[`${fw_id} ${name}`] = { state, spec: rest, own, ...action, additions: null, detours: null };
  }
  return found;
}

describe(`a Firetask inside a container${why ?? ''}`, () => {
  const same: [string, Doc][] = [
    ['update_spec, mod_spec, detours and additions', { _fw_name: '{{in_the_image.Grows}}', n: 3 }],
    ['children that are defused', { _fw_name: '{{in_the_image.Defuses}}' }],
    ['exit', { _fw_name: '{{in_the_image.Leaves}}' }],
    ['PyTask', call('swap', { args: [1, { k: 2.5 }], outputs: ['a', 'b'], stored_data_varname: 'r' })],
  ];
  inside.each(same)(
    'ends as with rapidfire: %s',
    async (_, firetask) => {
      const spec = { x: 'from the spec' };
      await using theirs = await worker();
      await using ours = await worker();
      const flow = (tasks: Doc[]) =>
        newWorkflow({
          fws: [
            { fw_id: 1, name: 'first', spec: { ...spec, _tasks: tasks } },
            { fw_id: 2, name: 'child', spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } },
          ],
          links: { 1: [2] },
        });
      await addWorkflows(theirs.launchpad, [flow([firetask])]);
      await addWorkflows(ours.launchpad, [flow([docker(firetask, withFireworks)])]);
      const { host: name, port, name: database } = theirs.launchpad.settings;
      const RAPIDFIRE = `from fireworks import LaunchPad, FWorker
from fireworks.core.rocket_launcher import launch_rocket
launch_rocket(LaunchPad(host="${name}", port=${port}, name="${database}", strm_lvl="CRITICAL"), FWorker(name="tester"))`;
      const flown = Bun.spawn([python as string, '-W', 'ignore', '-c', RAPIDFIRE], {
        cwd: theirs.folder,
        env: { ...process.env, PYTHONPATH: dir, fireworks: 'here' },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      expect([await ours.fly(), await flown.exited]).toEqual(['completed', 0]);
      const end = await endOf(ours);
      expect(end['1 first']).toMatchObject({ state: 'COMPLETED' });
      expect(end).toEqual(await endOf(theirs));
    },
    LIMIT,
  );

  inside(
    'needs Python alone: a class and a PyTask without the package fireworks, inputs and outputs as for a command',
    async () => {
      await storage.write('sandbox', 'lib/in.txt', 'hello');
      const plain = { _fw_name: '{{in_the_image.Plain}}', n: 7 };
      const outputs = ['>/wc/said', '>>/wc/logs/run.log'];
      await fly(
        docker(plain, { outputs }),
        async (one) => {
          expect(await one.storedData(1)).toMatchObject({ n: 7, x: 1, docker: { exit_code: 0 } });
          const { spec } = await one.firework(2);
          expect(spec).toMatchObject({ big: 9007199254740993n, float: 1 });
          const said = one.said.map(({ message }) => message);
          expect(said).toEqual(expect.arrayContaining(['to stdout', 'to stderr']));
        },
        { x: 1 },
      );
      expect((await stored('lib/said')).split('\n').sort()).toEqual(['', 'to stderr', 'to stdout']);
      await fly(docker(call('shout', { outputs: ['loud'] }), { inputs: ['/wc/in.txt'] }), async (one) =>
        expect((await one.firework(2)).spec).toMatchObject({ loud: 'HELLO' }),
      );
      await fly(docker(call('spawns', { outputs: ['n'] })), async (one) =>
        expect((await one.firework(2)).spec).toMatchObject({ n: [3] }),
      );
    },
    LIMIT,
  );

  const failures: [string, Doc, RegExp, object | null][] = [
    [
      'a traceback',
      docker({ _fw_name: '{{in_the_image.Raises}}' }, withFireworks),
      /Traceback[\s\S]*in_the_image\.py", line \d+, in run_task\n[\s\S]*ValueError: no good: 1\n$/,
      { exit_code: 1 },
    ],
    ['details of its own', docker(call('named')), /Traceback[\s\S]*Named: with details\n$/, { code: 5 }],
    ['no result', docker(call('dies')), /RuntimeError: Python ended before the task gave its result/, null],
    ['a crash', docker(call('crashes')), /DockerTaskError: Docker process exit code 1(34|39) \(SIG/, null],
    [
      'a class that needs fireworks',
      docker({ _fw_name: 'ScriptTask', script: 'true' }),
      /Firetask 'ScriptTask' needs the Python package fireworks in \S+: \S+ -m pip install fireworks/,
      null,
    ],
    [
      'no Python',
      docker(call('swap'), { entrypoint: 'python9' }),
      /There is no program 'python9' in the image \S+, which a firetask runs in/,
      null,
    ],
    ['no function', docker({ _fw_name: 'PyTask' }), /ValueError: PyTask needs 'func'/, null],
    ['both', docker(call('swap'), { command: 'true' }), /parameter 'command': a task has either/, null],
    ['neither', { ...docker({}), firetask: null }, /parameter 'command': a task has either/, null],
    ['two FWActions', docker(call('swap'), { fwaction: '/wc/a' }), /parameter 'fwaction': a firetask/, null],
  ];
  inside.each(failures)(
    'fails with %s',
    async (_, task, stacktrace, details) => {
      await fly(
        task,
        async (one) => {
          expect((await one.firework(1)).state).toBe('FIZZLED');
          const { _stacktrace, _details } = await failureOf(one);
          expect(_stacktrace).toMatch(stacktrace);
          if (details) expect(_details).toMatchObject(details);
        },
        { x: 1 },
      );
    },
    LIMIT,
  );

  inside(
    'one that fails is run again, as a command is',
    async () => {
      await storage.write('sandbox', 'lib/tries', '');
      const task = docker(call('counts', { outputs: ['left'] }), {
        inputs: ['/wc/tries'],
        outputs: ['/wc/out/', '>>/wc/logs/again.log'],
        retries: 2,
      });
      await fly(task, async (one) => {
        expect((await one.firework(2)).spec).toMatchObject({ left: [] });
        const said = one.said.map(({ message }) => message);
        expect(said.filter((line) => line.startsWith('not yet: running it again'))).toHaveLength(2);
      });
    },
    LIMIT,
  );

  inside(
    'its FWAction is kept with outputs that cannot be stored, and comes when a rerun stores them',
    async () => {
      const briefly = { retryable: () => true, firstDelayMs: 1, longestDelayMs: 1, deadlineMs: 10 };
      const impatient = new Storage(readEndpoints(gcp.env), { policy: briefly });
      const depot = await openDepot(join(dir, 'depot'), {
        fetchCacheBytes: 0,
        storeRetryMs: 100,
        log: silent,
      });
      const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' };
      await using one = await testWorker({ env, storage: async () => impatient, depot: async () => depot });
      await one.add([docker(call('leaves', { outputs: ['once'] }), { outputs: ['/wc/once'] })], {}, 1);
      gcp.faults.add({ service: 'storage', match: 'POST', status: 503, times: 1000 });
      expect(await one.fly()).toBe('fizzled');
      gcp.faults.clear();
      await rerun(one.launchpad, 1);
      expect(await one.fly()).toBe('completed');
      const { once } = (await one.firework(2)).spec as Doc;
      expect(once).toMatch(/^[0-9a-f-]{36}$/);
      expect(await stored('lib/once')).toBe(String(once));
      const said = one.said.map(({ message }) => message);
      expect(said).toContain('It ran here before, and its outputs were kept: they are stored now');
    },
    LIMIT,
  );

  inside(
    'with cache it is skipped when its parameters, its spec and its inputs are those of a run before',
    async () => {
      const flown = async (n: number, x: number, more: Doc = {}) => {
        let found: Doc = {};
        const task = docker({ _fw_name: '{{in_the_image.Plain}}', n }, { cache: true, ...more });
        const look = async (one: TestWorker) => {
          const { docker, ...own } = (await one.storedData(1)) as Record<string, Doc>;
          found = { skipped: docker?.skipped_for !== undefined, own, spec: (await one.firework(2)).spec };
        };
        await fly(task, look, { x });
        return found;
      };
      const first = await flown(1, 1);
      expect(first).toMatchObject({ skipped: false, own: { n: 1, x: 1 }, spec: { float: 1 } });
      // Another name, timeout or log is another Firetask in `_tasks`, and no other run.
      expect(await flown(1, 1, { name: 'other', timeout: 99 })).toEqual({ ...first, skipped: true });
      expect([(await flown(2, 1)).skipped, (await flown(1, 2)).skipped]).toEqual([false, false]);
      expect((await flown(1, 2)).skipped).toBe(true);
    },
    LIMIT,
  );
});
