/** Firetasks that are written in Python: our flights write for them what Python FireWorks wrote, and give them what it gives. */
import { describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Doc, fromJson } from '../core/launchpad/index.ts';
import { type RecordedFile, SCENARIOS, worldOf } from '../core/launchpad/recorded/scenarios.ts';
import { recorded, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import { SECOND } from '../core/wait.ts';
import { type TestWorker, testWorker } from '../daemon/test_worker.ts';

const python = process.env.BOREALIS_PYTHON;
const why = python ? '' : ' (needs BOREALIS_PYTHON, a Python with fireworks)';
const withPython = test.skipIf(!python);
const LIMIT = 60 * SECOND;

/** `Act` as the scenarios were recorded with, and what a user's package may have. */
const PACKAGE = `
from fireworks import Firework, FiretaskBase, FWAction, ScriptTask, Workflow, explicit_serialize

class Act(FiretaskBase):
    _fw_name = "Act"
    def run_task(self, fw_spec):
        if self.get("boom"):
            raise ValueError(self["boom"])
        def wfs(key):
            return [Workflow.from_dict(w) if "fws" in w else Firework.from_dict(w) for w in self.get(key) or []] or None
        return FWAction(stored_data=self.get("stored"), exit=self.get("exit", False), update_spec=self.get("update"),
                        mod_spec=self.get("mod"), additions=wfs("additions"), detours=wfs("detours"),
                        defuse_children=self.get("defuse_children", False),
                        defuse_workflow=self.get("defuse_workflow", False), propagate=self.get("propagate", False))

@explicit_serialize
class Looks(FiretaskBase):
    def run_task(self, fw_spec):
        return FWAction(stored_data={
            "fw_id": self.fw_id, "state": self.launchpad.get_fw_by_id(self.fw_id).state, "worker": self.fworker.name,
            "env": fw_spec["_fw_env"], "kinds": [type(fw_spec[key]).__name__ for key in ("whole", "real", "when")]})

@explicit_serialize
class Grows(FiretaskBase):
    def run_task(self, fw_spec):
        first = Firework(ScriptTask.from_str("true"), name="grown")
        return FWAction(additions=Workflow([first, Firework(ScriptTask.from_str("true"), name="later", parents=[first])]))

def grows():
    return FWAction(detours=Firework(ScriptTask.from_str("true"), name="way round"))
`;

async function withPackage(
  work: (worker: TestWorker) => Promise<void>,
  o: Parameters<typeof testWorker>[0] = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'package-'));
  try {
    await mkdir(join(folder, 'own_package'));
    await writeFile(join(folder, 'own_package/__init__.py'), '');
    await writeFile(join(folder, 'own_package/tasks.py'), PACKAGE);
    await writeFile(join(folder, 'FW_config.yaml'), 'ADD_USER_PACKAGES: [own_package]\n');
    const env = {
      ...process.env,
      PYTHONPATH: folder,
      FW_CONFIG_FILE: join(folder, 'FW_config.yaml'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    await using worker = await testWorker({ env, python: python as string, ...o });
    await work(worker);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe(`flown as recorded, with a Firetask in Python${why}`, () => {
  const names = [
    'exception_fizzles',
    'exit_skips_tasks',
    'propagate_update',
    'defuse_children',
    'defuse_workflow',
    'addition_firework',
    'addition_workflow',
    'detour_workflow',
    'two_detours',
    'rerun_fizzled_recover',
  ];
  withPython.each(names)(
    '%s',
    (name) =>
      withPackage(
        async (worker) => {
          const path = join(import.meta.dir, '../core/launchpad/recorded', `${name}.json`);
          const file = fromJson(await readFile(path, 'utf8')) as unknown as RecordedFile;
          const steps = [...file.steps];
          const world = worldOf(worker.launchpad, async (step) => {
            const next = steps.shift();
            expect(next?.step).toBe(step);
            const ours = await snapshot(worker.launchpad);
            for (const [collection, rows] of Object.entries(recorded(next?.collections ?? {})))
              expect({ step, collection, rows: ours[collection] }).toEqual({ step, collection, rows });
          });
          world.run = async (rockets = 1) => {
            for (let i = 0; i < rockets; i++) await worker.fly();
          };
          world.all = async () => {
            while (await worker.fly(false));
          };
          await SCENARIOS[name]?.(world, file);
          expect(steps).toEqual([]);
        },
        { oneFolder: true },
      ),
    LIMIT,
  );
});

describe(`a Firetask of a user’s package${why}`, () => {
  withPython(
    'has its spec with types, its Firework’s id, the LaunchPad and the worker, when the spec asks for them',
    () =>
      withPackage(
        async (worker) => {
          await worker.add([{ _fw_name: '{{own_package.tasks.Looks}}' }], {
            _add_launchpad_and_fw_id: true,
            _add_fworker: true,
            whole: 1,
            real: 1.5,
            when: '2020-01-02T03:04:05.678901',
          });
          expect(await worker.fly()).toBe('completed');
          expect(await worker.storedData(1)).toEqual({
            fw_id: 1,
            state: 'RUNNING',
            worker: 'py',
            env: { tool: '/opt/tool' },
            kinds: ['int', 'float', 'datetime'],
          });
        },
        { fworker: { name: 'py', category: '', query: {}, env: { tool: '/opt/tool' } } },
      ),
    LIMIT,
  );

  const growth: [string, Doc, Record<string, string>][] = [
    [
      'a Workflow as an addition',
      { _fw_name: '{{own_package.tasks.Grows}}' },
      { first: 'COMPLETED', 'child 2': 'READY', grown: 'READY', later: 'WAITING' },
    ],
    [
      'a Firework as a detour, from PyTask',
      { _fw_name: 'PyTask', func: 'own_package.tasks.grows' },
      { first: 'COMPLETED', 'child 2': 'WAITING', 'way round': 'READY' },
    ],
  ];
  withPython.each(growth)(
    '%s',
    (_, task, states) =>
      withPackage(async (worker) => {
        await worker.add([task], {}, 1);
        expect(await worker.fly()).toBe('completed');
        const all = await worker.launchpad.fireworks.find({}).toArray();
        expect(Object.fromEntries(all.map(({ name, state }) => [name, state]))).toEqual(states);
      }),
    LIMIT,
  );

  withPython(
    'FireWorks’ own templates, which are in its package: TemplateWriterTask without a folder',
    () =>
      withPackage(async (worker) => {
        const context = { opt1: 'red', opt2: 'blue' };
        await worker.add([
          {
            _fw_name: 'TemplateWriterTask',
            context,
            template_file: 'simple_template.txt',
            output_file: 'o',
          },
        ]);
        expect(await worker.fly()).toBe('completed');
        expect(await worker.file('o')).toBe('option1 = red\noption2 = blue');
      }),
    LIMIT,
  );

  withPython(
    'one that nobody knows',
    () =>
      withPackage(async (worker) => {
        await worker.add([{ _fw_name: '{{own_package.tasks.Nothing}}' }]);
        expect(await worker.fly()).toBe('fizzled');
        const { _exception } = (await worker.storedData(1)) as { _exception: Doc };
        expect(String(_exception._stacktrace)).toContain(
          "SetupError: Firetask '{{own_package.tasks.Nothing}}' is not known to this worker, nor to the Python that it asks",
        );
      }),
    LIMIT,
  );
});
