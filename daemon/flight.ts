/** One rocket's flight: from a claim to its results in the LaunchPad (`Rocket.run` in fireworks/core/rocket.py). */
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, cp, mkdir, readdir, rmdir } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Storage } from '../core/cloud/storage.ts';
import { BorealisError, messageOf } from '../core/errors.ts';
import {
  type Claim,
  complete,
  type Doc,
  type FWAction,
  type FWorker,
  failure,
  fwAction,
  giveUp,
  isAway,
  isDoc,
  type LaunchPad,
  newWorkflow,
  numberOf,
  plainDoc,
  retract,
  setLaunchDir,
} from '../core/launchpad/index.ts';
import { copy } from '../core/launchpad/values.ts';
import type { Logger } from '../core/log.ts';
import { type RetryPolicy, retry } from '../core/retry.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import { FiretaskError, type Flight } from './firetasks/firetask.ts';
import { firetaskNamed } from './firetasks/index.ts';
import { expandPath } from './firetasks/paths.ts';
import { actionFile, checkpointOf, decorate, finalAction, type Gathered, gather } from './fwaction.ts';
import type { Guard } from './guard.ts';
import { Heartbeat } from './heartbeat.ts';

/** What a rocket needs of its worker. */
export interface Pad {
  launchpad: LaunchPad;
  fworker: FWorker;
  hostName: string;
  log: Logger;
  /** Aborts when rockets in flight must be given back. */
  stopNow: AbortSignal;
  guard: Guard;
  python: string;
  pingMs: number;
  graceMs: number;
  env: Readonly<Record<string, string | undefined>>;
  storage(): Promise<Storage>;
}

/** completed, fizzled: written so. givenUp: READY again for another. lost: it was taken from us; nothing was written. */
export type Landing = 'completed' | 'fizzled' | 'givenUp' | 'lost';

/** Results are worth waiting for: the LaunchPad may be away for a day. */
const KEEP_RESULTS: RetryPolicy = {
  retryable: isAway,
  firstDelayMs: SECOND,
  longestDelayMs: 30 * SECOND,
  deadlineMs: 24 * 60 * MINUTE,
};

/** When stopping, what is left of the grace time is for giving up; longer would be cut by SIGKILL. */
const GIVE_UP: RetryPolicy = {
  retryable: isAway,
  firstDelayMs: 300,
  longestDelayMs: 2 * SECOND,
  deadlineMs: 10 * SECOND,
};

/** Flies one claimed Firework. Never throws for what a task does; throws when the LaunchPad cannot be written. */
export async function fly(pad: Pad, claim: Claim): Promise<Landing> {
  const log = pad.log.with({ fw_id: claim.fwId, launch_id: claim.launchId, firework: claim.name });
  const started = performance.now();
  log.info(`Running Firework ${claim.fwId} '${claim.name}' in ${claim.launchDir}`);
  // It beats until the results are written: a run whose results wait for the LaunchPad is not lost.
  await using heartbeat = new Heartbeat(pad.launchpad, claim, pad.pingMs, log);
  const signal = AbortSignal.any([pad.stopNow, heartbeat.lost]);
  const { action, state } = await runTasks(pad, claim, log, signal, heartbeat);
  await heartbeat.lastLook();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (heartbeat.lost.aborted) {
    log.warning(
      `Firework ${claim.fwId} was taken from this worker (its heartbeat was judged too old): its results are dropped`,
    );
    return 'lost';
  }
  if (pad.stopNow.aborted && state === 'FIZZLED') {
    const why = messageOf(pad.stopNow.reason);
    const given = await retry(GIVE_UP, () => giveUp(pad.launchpad, claim, why));
    log.warning(`Gave Firework ${claim.fwId} back after ${seconds} s: ${why}`);
    return given ? 'givenUp' : 'lost';
  }
  const write = (end: Result) =>
    retry(KEEP_RESULTS, () => complete(pad.launchpad, claim, end.action, end.state), {
      signal: pad.stopNow,
      onRetry: (thrown, ms) =>
        log.warning(
          `The LaunchPad is away; the results wait ${(ms / 1000).toFixed(0)} s: ${messageOf(thrown)}`,
        ),
    });
  let landed: Result = { action, state };
  const written = await write(landed).catch(async (thrown) => {
    // What the action asks for cannot be done to this workflow: as FireWorks, the Firework fails, and says why.
    if (!(thrown instanceof BorealisError) || state === 'FIZZLED') throw thrown;
    log.error(`The FWAction of Firework ${claim.fwId} cannot be applied: ${messageOf(thrown)}`);
    await retry(KEEP_RESULTS, () => retract(pad.launchpad, claim), { signal: pad.stopNow });
    landed = { action: failure(null, stacktrace(thrown), null), state: 'FIZZLED' };
    return await write(landed);
  });
  if (!written) {
    log.warning(`Firework ${claim.fwId} was taken from this worker: its results are dropped`);
    return 'lost';
  }
  log.info(`Firework ${claim.fwId} '${claim.name}' is ${landed.state} after ${seconds} s`);
  return landed.state === 'COMPLETED' ? 'completed' : 'fizzled';
}

interface Result {
  action: FWAction;
  state: 'COMPLETED' | 'FIZZLED';
}

async function runTasks(
  pad: Pad,
  claim: Claim,
  log: Logger,
  signal: AbortSignal,
  heartbeat: Heartbeat,
): Promise<Result> {
  const rawSpec = copy(claim.spec);
  const gathered: Gathered = { storedData: {}, updateSpec: {}, modSpec: [] };
  let last = fwAction();
  let launchDir = claim.launchDir;
  let current: Doc | null = null;
  const rocket = () => ({
    spec: plainDoc(rawSpec),
    fwId: claim.fwId,
    name: claim.name,
    launchDir,
    fworkerName: pad.fworker.name,
  });
  try {
    launchDir = await openLaunchDir(pad, claim);
    if (rawSpec._background_tasks) log.warning('This worker does not run _background_tasks');
    const first = await recover(claim.spec, launchDir, gathered);
    if (first === 0) await bringFiles(rawSpec, launchDir);
    rawSpec._fw_env = pad.fworker.env;
    for (const [taskIndex, rawParams] of claim.tasks.entries()) {
      if (taskIndex < first) continue;
      current = rawParams;
      if (!claim.begun || taskIndex > 0) await heartbeat.checkpoint(checkpointOf(taskIndex, gathered));
      signal.throwIfAborted();
      last = await runTask(pad, claim, { rawParams, taskIndex, rawSpec, launchDir, log, signal });
      if (gather(gathered, rawSpec, last)) break;
    }
    current = null;
    checkWorkflows(last);
    const action = decorate(finalAction(last, gathered), rocket());
    await removeIfEmpty(launchDir, claim.launchDir);
    return { action, state: 'COMPLETED' };
  } catch (thrown) {
    if (!signal.aborted) log.error(`Firework ${claim.fwId} '${claim.name}' failed: ${messageOf(thrown)}`);
    const details = thrown instanceof FiretaskError ? thrown.details : null;
    return { action: decorate(failure(current, stacktrace(thrown), details), rocket()), state: 'FIZZLED' };
  }
}

/** Runs one Firetask and returns its action: what it gave back, or what it left as FWAction.json or .yaml. */
async function runTask(
  pad: Pad,
  claim: Claim,
  t: { rawParams: Doc; taskIndex: number; rawSpec: Doc; launchDir: string; log: Logger; signal: AbortSignal },
): Promise<FWAction> {
  const name = String(t.rawParams._fw_name);
  const task = firetaskNamed(name);
  const rawParams = task.globalSpec && t.rawParams.use_global_spec ? t.rawSpec : t.rawParams;
  const parsed = task.params.safeParse(plainDoc(rawParams));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FiretaskError('ValueError', `${name}: parameter '${issue?.path.join('.')}': ${issue?.message}`);
  }
  const log = t.log.with({ task: typeof rawParams.name === 'string' ? rawParams.name : name });
  const flight: Flight = {
    fwId: claim.fwId,
    launchId: claim.launchId,
    launchDir: t.launchDir,
    spec: plainDoc(t.rawSpec),
    rawSpec: t.rawSpec,
    rawParams,
    taskIndex: t.taskIndex,
    fworker: pad.fworker,
    hostName: pad.hostName,
    launchPad: pad.launchpad.settings,
    log,
    signal: t.signal,
    env: { ...pad.env, PWD: t.launchDir },
    python: pad.python,
    guard: pad.guard,
    graceMs: pad.graceMs,
    storage: pad.storage,
  };
  log.debug(`Task ${t.taskIndex} started: ${name}`);
  const returned = await task.run(parsed.data, flight);
  t.signal.throwIfAborted();
  log.debug(`Task ${t.taskIndex} completed: ${name}`);
  return actionFile(t.launchDir) ?? fwAction(returned ?? {});
}

/** Throws for additions and detours that are no workflows: better here than when the launch has ended. */
function checkWorkflows(action: FWAction): void {
  for (const dict of [...action.additions, ...action.detours]) newWorkflow(dict);
  for (const { workflow } of action.append_wfs) newWorkflow(workflow);
}

/** The folder of the launch: its own, or the one that the spec names. */
async function openLaunchDir(pad: Pad, claim: Claim): Promise<string> {
  const wanted = claim.spec._launch_dir;
  if (typeof wanted !== 'string') {
    await mkdir(claim.launchDir, { recursive: true });
    return claim.launchDir;
  }
  const expanded = expandPath(wanted, pad.env);
  const dir = isAbsolute(expanded) ? expanded : resolve(claim.launchDir, expanded);
  await mkdir(dir, { recursive: true });
  if (dir !== claim.launchDir) await setLaunchDir(pad.launchpad, claim.launchId, dir);
  return dir;
}

/** With `_recovery`: what was gathered before, and its files. Returns the number of the Firetask to begin with. */
async function recover(spec: Doc, launchDir: string, gathered: Gathered): Promise<number> {
  const recovery = spec._recovery;
  if (!isDoc(recovery)) return 0;
  Object.assign(gathered.storedData, recovery._all_stored_data);
  Object.assign(gathered.updateSpec, recovery._all_update_spec);
  gathered.modSpec.push(...((recovery._all_mod_spec ?? []) as Doc[]));
  const previous = recovery._prev_dir;
  if (recovery._mode === 'cp' && typeof previous === 'string' && previous !== launchDir) {
    await cp(previous, launchDir, { recursive: true });
  }
  return numberOf(recovery._task_n);
}

/** Files of parents (`_files_prev`) under the names that this Firework wants them by (`_files_in`); `.gz` as the names say. */
async function bringFiles(spec: Doc, launchDir: string): Promise<void> {
  const { _files_in: wanted, _files_prev: offered } = spec;
  if (!isDoc(wanted) || !isDoc(offered)) return;
  for (const [key, name] of Object.entries(wanted)) {
    if (!(key in offered)) continue;
    const [from, to] = [String(offered[key]), resolve(launchDir, String(name))];
    const [packed, packs] = [from.endsWith('.gz'), to.endsWith('.gz')];
    if (packed === packs) await copyFile(from, to);
    else await pipeline(createReadStream(from), packs ? createGzip() : createGunzip(), createWriteStream(to));
  }
}

/** FireWorks' REMOVE_USELESS_DIRS: a launch that left nothing leaves no folder. */
async function removeIfEmpty(launchDir: string, own: string): Promise<void> {
  if (launchDir !== own) return;
  if ((await readdir(launchDir).catch(() => ['?'])).length === 0) await rmdir(launchDir).catch(() => {});
}

/** A failure as Python would print it: people and scripts look at the last line. */
function stacktrace(thrown: unknown): string {
  if (thrown instanceof FiretaskError) {
    return thrown.traceback ?? `Traceback (most recent call last):\n${thrown.exception}: ${thrown.message}\n`;
  }
  const frames =
    thrown instanceof Error
      ? (thrown.stack ?? '')
          .split('\n')
          .slice(1, 8)
          .map((line) => `  ${line.trim()}`)
      : [];
  const name = thrown instanceof Error ? thrown.name : 'Error';
  return ['Traceback (most recent call last):', ...frames, `${name}: ${messageOf(thrown)}`, ''].join('\n');
}
