/**
 * A rocket for the replays: flies a Firework as `Rocket.run` of Python FireWorks does, with the few Firetasks that the
 * recorded scenarios use. `Act` returns the FWAction that its parameters describe.
 */
import { claim } from '../claim.ts';
import { complete } from '../complete.ts';
import { applyMod } from '../dict_mods.ts';
import type { LaunchPad } from '../launchpad.ts';
import { endsFirework, type FWAction, type FWorker, fwAction } from '../model.ts';
import { ping } from '../ping.ts';
import { copy, type Doc, isDoc, numberOf, plainDoc } from '../values.ts';

/** Flies one rocket in `dir`. False: nothing was READY. */
export async function rocket(launchpad: LaunchPad, fworker: FWorker, dir: string): Promise<boolean> {
  const flown = await claim(launchpad, fworker, { launchDir: () => dir });
  if (!flown) return false;
  const { spec, launchId } = flown;
  const mySpec = copy(spec);
  const stored: Doc = {};
  const update: Doc = {};
  const mods: Doc[] = [];
  let first = 0;
  if (isDoc(spec._recovery)) {
    first = numberOf(spec._recovery._task_n);
    Object.assign(stored, spec._recovery._all_stored_data);
    Object.assign(update, spec._recovery._all_update_spec);
    mods.push(...(spec._recovery._all_mod_spec as Doc[]));
  }
  let last = fwAction();
  for (const [i, task] of flown.tasks.entries()) {
    if (i < first) continue;
    const checkpoint = {
      _task_n: i,
      _all_stored_data: stored,
      _all_update_spec: update,
      _all_mod_spec: mods,
    };
    await ping(launchpad, launchId, checkpoint);
    try {
      last = runTask(task);
    } catch (thrown) {
      const _exception = { _stacktrace: (thrown as Error).message, _details: null };
      const data = { _message: 'runtime error during task', _task: task, _exception };
      await complete(launchpad, flown, fwAction({ stored_data: data, exit: true }), 'FIZZLED');
      return true;
    }
    Object.assign(stored, last.stored_data);
    Object.assign(update, last.update_spec);
    mods.push(...last.mod_spec);
    // Shared, not copied, as in Python: what a later mod_spec changes here is in `update` as well.
    Object.assign(mySpec, last.update_spec);
    for (const mod of last.mod_spec) applyMod(mod, mySpec);
    if (endsFirework(last)) break;
  }
  await ping(launchpad, launchId);
  if (mySpec._pass_job_info) {
    const own = { fw_id: flown.fwId, name: flown.name, launch_dir: dir, state: 'RUNNING' };
    mods.push({ _push_all: { _job_info: [...((mySpec._job_info as unknown[]) ?? []), own] } });
  }
  const action = { ...last, stored_data: stored, update_spec: update, mod_spec: mods };
  await complete(launchpad, flown, action, 'COMPLETED');
  return true;
}

function runTask(task: Doc): FWAction {
  const p = plainDoc(task);
  if (p._fw_name === 'Act') return act(task);
  if (p._fw_name === 'ScriptTask') return script(p);
  throw new Error(`the replays have no Firetask ${p._fw_name}`);
}

function act(p: Doc): FWAction {
  if (p.boom) throw new Error(`Traceback (most recent call last):\n...\nValueError: ${p.boom}\n`);
  return fwAction({
    stored_data: p.size ? { text: 'x'.repeat(numberOf(p.size)) } : ((p.stored ?? {}) as Doc),
    update_spec: (p.update ?? {}) as Doc,
    mod_spec: (p.mod ?? []) as Doc[],
    exit: p.exit === true,
    additions: (p.additions ?? []) as Doc[],
    detours: (p.detours ?? []) as Doc[],
    defuse_children: p.defuse_children === true,
    defuse_workflow: p.defuse_workflow === true,
    propagate: p.propagate === true,
  });
}

function script(p: Doc): FWAction {
  const codes: number[] = [];
  let streams: { stdout: string; stderr: string } = { stdout: '', stderr: '' };
  for (const line of p.script as string[]) {
    if (line === 'true') codes.push(0);
    else {
      const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', '-c', line], { cwd: '/tmp' });
      codes.push(exitCode);
      streams = { stdout: stdout.toString(), stderr: stderr.toString() };
    }
    if (codes.at(-1) !== 0) break;
  }
  const stored: Doc = {
    ...(p.store_stdout === true && { stdout: streams.stdout }),
    ...(p.store_stderr === true && { stderr: streams.stderr }),
    returncode: codes.at(-1),
    all_returncodes: codes,
  };
  const bad = codes.some((code) => code !== 0);
  if (bad && p.defuse_bad_rc) return fwAction({ stored_data: stored, defuse_children: true });
  if (bad && p.fizzle_bad_rc !== false) {
    const list = codes.join(', ');
    throw new Error(
      `Traceback (most recent call last):\nRuntimeError: ScriptTask fizzled! Return code: [${list}]`,
    );
  }
  return fwAction({ stored_data: stored });
}
