/** The scenarios of tests/python/record.py again, call for call, with our own code. Names and steps are those of its files. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claim } from '../claim.ts';
import { complete } from '../complete.ts';
import { updateSpecs } from '../control.ts';
import { toJson } from '../json.ts';
import { fwAction, parseFWAction } from '../model.ts';
import { addOfflineRun, recoverOffline } from '../offline.ts';
import { ping } from '../ping.ts';
import { rerun } from '../rerun.ts';
import { cancelReservation, reserve, setReservationId, staleReservations } from '../reservations.ts';
import { track, trackersOf } from '../trackers.ts';
import { type Doc, isDoc, isoTime, numberOf } from '../values.ts';
import { act, CREATED, chain, fw, HOME, type Replay, tasksIn, type World, workflow } from './scenarios.ts';

export const RECORDED_HERE: Record<string, Replay> = {
  async gridfs_overflow(w) {
    await w.add(chain([act({ size: 17 * 1024 * 1024 })], 'a', 'b'));
    await updateSpecs(w.launchpad, [1], { _tasks: [act({ stored: { n: 1 } })] });
    await w.run();
    await w.snap('a stored more than a document holds');
    await w.run();
    await w.snap('b ran');
  },
  trackers: (w, file) =>
    inFolder(async (folder) => {
      const _trackers = [
        { filename: 'out.txt', nlines: 2, allow_zipped: false },
        { filename: 'gone.txt', nlines: 25, allow_zipped: true },
      ];
      await w.add(workflow([fw('a', tasksIn(file, 'a'), { spec: { _trackers } })]));
      await w.snap('added');
      const flown = await claim(w.launchpad, w.worker, { launchDir: () => folder });
      await w.snap('checked out');
      await writeFile(join(folder, 'out.txt'), 'one\ntwo\nthree\n');
      await ping(w.launchpad, 1, undefined, await track(trackersOf(flown?.spec._trackers), folder));
      await w.snap('pinged');
    }),
  async recovery_of_tasks(w) {
    const first = act({ stored: { first: 1 }, update: { u: 1 }, mod: [{ _push: { list: 1 } }] });
    const a = fw('a', [first, act({ boom: 'no good' }), act({ stored: { third: 3 } })]);
    await w.add(workflow([a, fw('b', [act({})], { parents: [a] })]));
    await w.run();
    await w.snap('fizzled');
    await rerun(w.launchpad, 2, { recover: 'last', recoverMode: 'prev_dir' });
    await w.snap('rerun in its folder');
    await w.run();
    await w.snap('fizzled again');
    await rerun(w.launchpad, 2, { recover: 'last', recoverMode: 'cp' });
    await w.snap('rerun with a copy of its folder');
    await updateSpecs(w.launchpad, [2], { '_tasks.1.boom': null });
    await w.run();
    await w.snap('mended and completed');
    await rerun(w.launchpad, 2);
    await w.snap('rerun from the beginning');
  },
  async reservation_expires(w) {
    const dir = { launchDir: () => HOME };
    await w.add(workflow([fw('a', [act({})])]));
    await reserve(w.launchpad, w.worker, dir);
    await setReservationId(w.launchpad, 1, '4711');
    await w.snap('reserved');
    for (const { launchId } of await staleReservations(w.launchpad, -1))
      await cancelReservation(w.launchpad, launchId);
    await w.snap('expired and cancelled');
    await reserve(w.launchpad, w.worker, dir);
    await claim(w.launchpad, w.worker, { ...dir, fwId: 1 });
    await w.snap('the second one runs');
    await complete(w.launchpad, { fwId: 1, launchId: 2 }, fwAction({ stored_data: { n: 1 } }), 'COMPLETED');
    await w.snap('completed');
  },
  async dataflow(w, file) {
    const a = fw('a', tasksIn(file, 'a'), { spec: { numbers: [1, 2, 3] } });
    const b = fw('b', tasksIn(file, 'b'), { parents: [a] });
    const c = fw('c', tasksIn(file, 'c'), { parents: [b] });
    await w.add(workflow([a, b, c, fw('d', tasksIn(file, 'd'), { parents: [c] })]));
    let launches = 0;
    for (const { step, collections } of file.steps) {
      for (const launch of collections.launches?.slice(launches) ?? []) {
        await flyAsRecorded(w, launch);
        launches++;
      }
      await w.snap(step);
    }
  },
  offline_recovery: (w) =>
    inFolder(async (folder) => {
      const write = (name: string, diary: Doc) =>
        writeFile(join(folder, name, 'FW_offline.json'), toJson(diary));
      const tasks = { a: { stored: { x: 1 } }, b: { boom: 'no good' }, c: {} };
      for (const [i, [name, task]] of Object.entries(tasks).entries())
        await w.add(workflow([fw(name, [act(task)], { spec: { _priority: 25 - i } })]));
      for (const name of Object.keys(tasks)) {
        await mkdir(join(folder, name));
        const reserved = await reserve(w.launchpad, w.worker, { launchDir: () => join(folder, name) });
        if (reserved) await addOfflineRun(w.launchpad, reserved, name);
      }
      await w.snap('three in a queue');
      const now = isoTime();
      const checkpoint = { _task_n: 0, _all_stored_data: {}, _all_update_spec: {}, _all_mod_spec: [] };
      const started = { started_on: now, checkpoint };
      await write('a', started);
      const recover = (id: number) => recoverOffline(w.launchpad, { fwId: id, launchId: id });
      await recover(1);
      await w.snap('the first one runs');
      const completed = fwAction({ stored_data: { x: 1 } });
      await write('a', { ...started, fwaction: completed, state: 'COMPLETED', completed_on: now });
      const fizzled = fwAction({ stored_data: { _message: 'runtime error during task' }, exit: true });
      await write('b', { ...started, fwaction: fizzled, state: 'FIZZLED', completed_on: now });
      await rename(join(folder, 'c'), join(folder, 'c-gone'));
      for (const id of [1, 2, 3]) await recover(id);
      await w.snap('all recovered');
    }),
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'recorded-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Flies a Firework whose Firetasks only Python has: the checkpoint and the action are those that Python's rocket left. */
async function flyAsRecorded({ launchpad, worker }: World, launch: Doc): Promise<void> {
  const flown = await claim(launchpad, worker, { launchDir: () => HOME, fwId: numberOf(launch.fw_id) });
  if (!flown) throw new Error(`Firework ${launch.fw_id} is not READY`);
  const [running] = launch.state_history as Doc[];
  await ping(launchpad, flown.launchId, running?.checkpoint as Doc);
  await complete(launchpad, flown, parseFWAction(dated(launch.action)), 'COMPLETED');
}

/** A recorded value with real dates where there are placeholders. */
function dated(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dated);
  if (isDoc(value))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, dated(inner)]));
  return value === '<iso+00:00>' ? CREATED : value;
}
