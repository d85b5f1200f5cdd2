/** The recorded scenarios again, call for call, with our own code. Names and steps are those of the recorded files. */
import { Double, Long } from 'bson';
import { newWorkflow } from '../add.ts';
import * as control from '../control.ts';
import {
  addOfflineRun,
  addWorkflows,
  appendWorkflow,
  cancelReservation,
  claim,
  complete,
  detectLostRuns,
  type FWorker,
  forgetOffline,
  futureRunExists,
  type LaunchPad,
  ping,
  rerun,
  reserve,
  runExists,
} from '../index.ts';
import type { Doc } from '../values.ts';
import { rocket } from './rocket.ts';

export const HOME = '/tmp/home';

/** What a scenario does its steps in. */
export interface World {
  launchpad: LaunchPad;
  worker: FWorker;
  add(workflow: Doc): Promise<void>;
  run(rockets?: number, worker?: FWorker): Promise<void>;
  /** Rockets until nothing is READY, each in a folder of its own (`rapidfire`). */
  all(): Promise<void>;
  snap(step: string): Promise<void>;
}

export function worldOf(launchpad: LaunchPad, snap: World['snap']): World {
  const worker = fworker('tester');
  return {
    launchpad,
    worker,
    snap,
    async add(workflow) {
      await addWorkflows(launchpad, [newWorkflow(workflow)]);
    },
    async run(rockets = 1, by = worker) {
      for (let i = 0; i < rockets; i++) await rocket(launchpad, by, HOME);
    },
    async all() {
      while (await runExists(launchpad, worker)) await rocket(launchpad, worker, `${HOME}/launcher_2026`);
      if (await futureRunExists(launchpad, worker)) throw new Error('something waits for a rocket that runs');
    },
  };
}

const fworker = (name: string, category: string | string[] = ''): FWorker => ({
  name,
  category,
  query: {},
  env: {},
});

/** A Firework under construction, as in Python: ids count down, links follow from parents. */
interface Made extends Doc {
  fw_id: number;
  parents: Made[];
}

let lastId = 0;
// One time for all: equal priorities are then taken in the order of insertion, as where the scenarios were recorded.
export const CREATED = '2026-01-02T03:04:05.678901+00:00';

export function fw(name: string, tasks: Doc[] = [ok()], o: { parents?: Made[]; spec?: Doc } = {}): Made {
  const spec = { ...o.spec, _tasks: tasks };
  return { name, spec, fw_id: --lastId, created_on: CREATED, parents: o.parents ?? [] };
}

const ok = (): Doc => sh('true');
const sh = (line: string, more: Doc = {}): Doc => ({
  ...more,
  script: [line],
  use_shell: true,
  _fw_name: 'ScriptTask',
});
export const act = (p: Doc): Doc => ({ ...p, _fw_name: 'Act' });

function firework({ parents: _, ...rest }: Made): Doc {
  return rest;
}

export function workflow(fws: Made[], more: { name?: string; metadata?: Doc } = {}): Doc {
  const links: Record<string, number[]> = {};
  for (const { fw_id } of fws) links[fw_id] = [];
  for (const { fw_id, parents } of fws) for (const parent of parents) links[parent.fw_id]?.push(fw_id);
  return { fws: fws.map(firework), links, metadata: {}, ...more };
}

const single = (one: Made): Doc => firework(one);

export function chain(tasks: Doc[], ...names: string[]): Doc {
  const fws: Made[] = [];
  for (const [i, name] of names.entries())
    fws.push(fw(name, i === 0 ? tasks : [ok()], { parents: fws.slice(-1) }));
  return workflow(fws);
}

function diamond(more: { name?: string; metadata?: Doc } = {}): Doc {
  const a = fw('a');
  const b = fw('b', [ok()], { parents: [a] });
  const c = fw('c', [ok()], { parents: [a] });
  const d = fw('d', [ok()], { parents: [b, c] });
  return workflow([a, b, c, d], more);
}

async function appendTo(w: World, dict: Doc, parents: number[], detour: boolean): Promise<void> {
  await appendWorkflow(w.launchpad, newWorkflow(dict), parents, { detour });
}

const dupefinder = { _dupefinder: { _fw_name: 'DupeFinderExact' } };

export type Replay = (w: World, file: RecordedFile) => Promise<void>;

export const SCENARIOS: Record<string, Replay> = {
  async add_single(w) {
    const nested = { list: [1, 2.5, null, true, 's'] };
    await w.add(single(fw('one', [ok()], { spec: { x: 1, nested } })));
    await w.snap('added');
  },
  async add_diamond(w) {
    await w.add(diamond({ name: 'diamond', metadata: { who: 'me', n: 3 } }));
    await w.snap('added');
  },
  async add_bulk(w) {
    const all = [0, 1, 2].map((i) => newWorkflow(workflow([fw(`a${i}`)], { name: `w${i}` })));
    await addWorkflows(w.launchpad, all);
    await w.snap('added');
  },
  async run_diamond(w) {
    await w.add(diamond());
    await w.snap('added');
    for (let i = 1; i <= 4; i++) {
      await w.run();
      await w.snap(`after rocket ${i}`);
    }
  },
  async checkout_running(w) {
    await w.add(single(fw('one')));
    await claim(w.launchpad, w.worker, { launchDir: () => HOME });
    await w.snap('checked out');
    await ping(w.launchpad, 1);
    await w.snap('pinged');
    await complete(w.launchpad, { fwId: 1, launchId: 1 }, null, 'FIZZLED');
    await w.snap('marked fizzled');
  },
  async reserve_unreserve(w) {
    await w.add(single(fw('one')));
    await reserve(w.launchpad, w.worker, { launchDir: () => HOME });
    await w.snap('reserved');
    await cancelReservation(w.launchpad, 1);
    await w.snap('reservation cancelled');
  },
  async script_fails(w) {
    await w.add(chain([sh('echo out; echo err >&2; exit 3')], 'a', 'b'));
    await w.run();
    await w.snap('fizzled');
  },
  async script_bad_rc_allowed(w) {
    const more = { fizzle_bad_rc: false, store_stdout: true, store_stderr: true };
    await w.add(single(fw('a', [sh('exit 3', more)])));
    await w.run();
    await w.snap('completed');
  },
  async script_defuse_bad_rc(w) {
    await w.add(chain([sh('exit 1', { defuse_bad_rc: true })], 'a', 'b'));
    await w.run();
    await w.snap('children defused');
  },
  async exception_fizzles(w) {
    await w.add(chain([act({ boom: 'no good' })], 'a', 'b'));
    await w.run();
    await w.snap('fizzled');
  },
  async update_and_mod_spec(w) {
    const mod = [{ _set: { 'u->k2': 5 } }, { _push: { list: 'e' } }, { _inc: { n: 2 } }];
    const a = fw('a', [act({ stored: { s: 1 }, update: { u: { k: [1] } } }), act({ stored: { t: 2 }, mod })]);
    const b = fw('b', [ok()], { parents: [a], spec: { list: ['d'], n: 1 } });
    await w.add(workflow([a, b, fw('c', [ok()], { parents: [b] })]));
    await w.run();
    await w.snap('child spec changed');
  },
  async propagate_update(w) {
    await w.add(chain([act({ update: { deep: 1 }, propagate: true })], 'a', 'b', 'c'));
    await w.run();
    await w.snap('all descendants');
  },
  async exit_skips_tasks(w) {
    await w.add(single(fw('a', [act({ exit: true, stored: { x: 1 } }), act({ boom: 'never' })])));
    await w.run();
    await w.snap('completed');
  },
  addition_firework: (w, file) => dynamic(w, file, 'a', ['b'], ['added', 'all run']),
  addition_workflow: (w, file) => dynamic(w, file, 'a', ['b'], ['added', 'all run']),
  detour_firework: (w, file) => dynamic(w, file, 'a', ['b', 'c'], ['detour in', 'all run']),
  detour_workflow: (w, file) => dynamic(w, file, 'a', ['b'], ['detour in', 'all run']),
  two_detours: (w, file) => dynamic(w, file, 'a', ['b'], ['detours in']),
  async detour_of_leaf(w, file) {
    await w.add(single(fw('a', tasksIn(file, 'a'))));
    await w.run();
    await w.snap('detour in');
  },
  async append_workflow(w) {
    await w.add(diamond());
    await appendTo(w, workflow([fw('new')]), [1], false);
    await w.snap('appended under 1');
    await appendTo(w, workflow([fw('new2')]), [2, 3], true);
    await w.snap('detour under 2 and 3');
    await w.all();
    await w.snap('all run');
  },
  async append_to_completed(w) {
    await w.add(single(fw('a')));
    await w.run();
    await appendTo(w, workflow([fw('late')]), [1], false);
    await w.snap('appended');
  },
  async defuse_children(w) {
    await w.add(chain([act({ defuse_children: true })], 'a', 'b'));
    await w.run();
    await w.snap('children defused');
  },
  async defuse_workflow(w) {
    const a = fw('a', [act({ defuse_workflow: true })], { spec: { _priority: 9 } });
    await w.add(workflow([a, fw('b', [ok()], { parents: [a] }), fw('z')]));
    await w.run();
    await w.snap('workflow defused');
  },
  async allow_fizzled_parents(w) {
    const a = fw('a', [act({ boom: 'x' })]);
    const b = fw('b', [ok()], { parents: [a], spec: { _allow_fizzled_parents: true } });
    await w.add(workflow([a, b, fw('c', [ok()], { parents: [a] })]));
    await w.run();
    await w.snap('b is ready');
    await w.all();
    await w.snap('b ran');
  },
  async pass_job_info(w) {
    const a = fw('a', [ok()], { spec: { _pass_job_info: true } });
    const b = fw('b', [ok()], { parents: [a], spec: { _pass_job_info: true } });
    await w.add(workflow([a, b, fw('c', [ok()], { parents: [b] })]));
    await w.run(2);
    await w.snap('two run');
  },
  async priority_order(w) {
    for (const p of [1, 5, 3]) await w.add(single(fw(`p${p}`, [ok()], { spec: { _priority: p } })));
    for (const i of [1, 2, 3]) {
      await w.run();
      await w.snap(`rocket ${i}`);
    }
  },
  async category_and_query(w) {
    await w.add(single(fw('plain')));
    await w.add(single(fw('gpu', [ok()], { spec: { _category: 'gpu' } })));
    await w.add(single(fw('named', [ok()], { spec: { _fworker: 'other' } })));
    await w.run(1, fworker('g', 'gpu'));
    await w.snap('gpu ran');
    await w.run(1, fworker('o'));
    await w.snap('worker o ran one');
    await w.run(1, fworker('other', ['gpu', 'cpu']));
    await w.snap('worker other');
  },
  async duplicates(w) {
    for (let i = 0; i < 2; i++) await w.add(single(fw('dup', [ok()], { spec: { ...dupefinder, k: 1 } })));
    await w.run();
    await w.snap('first ran');
    await w.run();
    await w.snap('second took its launch');
  },
  async pause_resume(w) {
    await w.add(diamond());
    await control.pause(w.launchpad, 1);
    await w.snap('paused 1');
    await control.resume(w.launchpad, 1);
    await w.snap('resumed 1');
    await control.pauseWorkflow(w.launchpad, 1);
    await w.snap('paused wf');
    // Python FireWorks 2.1.4 has no resume_wf.
    await w.snap('resume wf');
  },
  async defuse_reignite(w) {
    await w.add(diamond());
    await control.defuse(w.launchpad, 2);
    await w.snap('defused 2');
    await w.all();
    await w.snap('rest run');
    await control.reignite(w.launchpad, 2);
    await w.snap('reignited 2');
    await control.defuseWorkflow(w.launchpad, 1);
    await w.snap('defused wf');
    await control.reigniteWorkflow(w.launchpad, 1);
    await w.snap('reignited wf');
  },
  async rerun_completed(w) {
    await w.add(diamond());
    await w.all();
    await w.snap('all run');
    await rerun(w.launchpad, 2);
    await w.snap('rerun 2');
    await w.all();
    await w.snap('all run again');
  },
  async rerun_fizzled_recover(w) {
    await w.add(single(fw('a', [sh('touch f'), act({ boom: 'x' })])));
    await w.run();
    await w.snap('fizzled');
    await rerun(w.launchpad, 1, { recover: 'last' });
    await w.snap('rerun with recovery');
    await w.run();
    await w.snap('fizzled again');
  },
  async rerun_running_duplicate(w) {
    for (let i = 0; i < 2; i++) await w.add(single(fw('dup', [ok()], { spec: dupefinder })));
    await w.run(2);
    await rerun(w.launchpad, 1);
    await w.snap('both rerun');
  },
  async archive(w) {
    await w.add(diamond());
    await w.run();
    await control.archiveWorkflow(w.launchpad, 1);
    await w.snap('archived');
  },
  async delete(w) {
    await w.add(diamond());
    await w.add(single(fw('other')));
    await w.run();
    await control.deleteWorkflow(w.launchpad, 1);
    await w.snap('deleted');
  },
  async lost_run_fizzle(w) {
    await w.add(diamond());
    await claim(w.launchpad, w.worker, { launchDir: () => HOME });
    await w.snap('running');
    await detectLostRuns(w.launchpad, { expirationSecs: -1, fizzle: true });
    await w.snap('lost, fizzled');
  },
  async lost_run_rerun(w) {
    await w.add(diamond());
    await claim(w.launchpad, w.worker, { launchDir: () => HOME });
    await detectLostRuns(w.launchpad, { expirationSecs: -1, rerun: true });
    await w.snap('lost, rerun');
  },
  async offline(w) {
    await w.add(single(fw('a', [act({ stored: { x: 1 } })])));
    const flown = await claim(w.launchpad, w.worker, { launchDir: () => HOME });
    if (flown) await addOfflineRun(w.launchpad, flown, flown.name);
    await w.snap('offline run added');
    await forgetOffline(w.launchpad, { launch_id: 1 });
    await w.snap('forgotten');
  },
  async update_spec_and_priority(w) {
    await w.add(diamond());
    await control.updateSpecs(w.launchpad, [1, 2], { 'a.b': 3, c: null });
    await w.snap('updated');
    await control.setPriority(w.launchpad, 4, 9);
    await w.snap('priority');
  },
  async fizzled_middle_of_chain(w) {
    const a = fw('a');
    const b = fw('b', [act({ boom: 'x' })], { parents: [a] });
    const c = fw('c', [ok()], { parents: [b] });
    await w.add(workflow([a, b, c, fw('d', [ok()], { parents: [c] })]));
    await w.all();
    await w.snap('stuck');
  },
  async launchpad_and_fw_id(w) {
    const spec = { _add_launchpad_and_fw_id: true, _add_fworker: true };
    await w.add(single(fw('a', [ok()], { spec })));
    await w.run();
    await w.snap('run');
  },
  async odd_values(w) {
    const spec = {
      big: Long.fromBigInt(2n ** 53n + 1n),
      neg: -1,
      f: new Double(1),
      e: '',
      u: 'λ→\u0000end',
      d: '2020-01-02T03:04:05.678901',
      n: null,
      deep: [[{ '1': { '2': [] } }]],
    };
    await w.add(single(fw('odd', [ok()], { spec })));
    await w.run();
    await w.snap('run');
  },
};

export interface RecordedFile {
  steps: { step: string; collections: Record<string, Doc[]> }[];
}

/** The Firetasks that a Firework was recorded with: what a dynamic one returns holds ids of the recording run. */
export function tasksIn(file: RecordedFile, name: string): Doc[] {
  const found = file.steps[0]?.collections.fireworks?.find((one) => one.name === name);
  if (!found) throw new Error(`the recorded file has no Firework '${name}'`);
  return JSON.parse(JSON.stringify((found.spec as Doc)._tasks).replaceAll('<iso+00:00>', CREATED));
}

async function dynamic(
  w: World,
  file: RecordedFile,
  name: string,
  below: string[],
  steps: string[],
): Promise<void> {
  await w.add(chain(tasksIn(file, name), name, ...below));
  await w.run();
  await w.snap(steps[0] as string);
  if (steps[1] === undefined) return;
  await w.all();
  await w.snap(steps[1]);
}
