/** The Firetasks of one rocket, one after the other, and the action that comes of them (the middle of `Rocket.run`). */
import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import type { Storage } from '../core/cloud/storage.ts';
import { BorealisError, codeOf, messageOf } from '../core/errors.ts';
import {
  type Claim,
  type Doc,
  type FWAction,
  type FWorker,
  failure,
  fwAction,
  isDoc,
  type LaunchPadSettings,
  newWorkflow,
  numberOf,
  plainDoc,
  toJson,
} from '../core/launchpad/index.ts';
import { copy } from '../core/launchpad/values.ts';
import type { Logger } from '../core/log.ts';
import { Background } from './background.ts';
import type { Depot } from './docker/depot.ts';
import { bringFiles } from './files_in.ts';
import { FiretaskError, type Flight } from './firetasks/firetask.ts';
import { firetaskNamed } from './firetasks/index.ts';
import { expandPath } from './firetasks/paths.ts';
import { actionFile, checkpointOf, decorate, finalAction, type Gathered, gather } from './fwaction.ts';
import type { Guard } from './guard.ts';
import { checkNeeds } from './room.ts';

/** What Firetasks need of their worker. */
export interface Crew {
  fworker: FWorker;
  hostName: string;
  guard: Guard;
  python: string;
  graceMs: number;
  pruneImagesAtPercent: number;
  env: Readonly<Record<string, string | undefined>>;
  storage(): Promise<Storage>;
  depot(): Promise<Depot>;
}

/** A rocket, and who keeps its record. */
export interface Rocket {
  claim: Pick<Claim, 'fwId' | 'launchId' | 'name' | 'spec' | 'tasks' | 'launchDir' | 'begun' | 'refused'>;
  /** Null: it flies offline. */
  launchPad: LaunchPadSettings | null;
  log: Logger;
  /** Aborts when it must end now. */
  signal: AbortSignal;
  /** Records where it is, so that a rerun can begin there. */
  checkpoint(checkpoint: Doc): Promise<void>;
  /** Records that it runs in another folder (`_launch_dir`). Offline it cannot: its record is in its folder. */
  moveTo?(dir: string): Promise<void>;
}

export interface Result {
  action: FWAction;
  state: 'COMPLETED' | 'FIZZLED';
}

/** Runs them. Never throws for what a task does. */
export async function runTasks(crew: Crew, rocket: Rocket): Promise<Result> {
  const { claim, log, signal } = rocket;
  const rawSpec = copy(claim.spec);
  const gathered: Gathered = { storedData: {}, updateSpec: {}, modSpec: [] };
  let last = fwAction();
  let launchDir = claim.launchDir;
  let current: Doc | null = null;
  let background: Background | null = null;
  const decorated = (action: FWAction) =>
    decorate(action, {
      spec: plainDoc(rawSpec),
      fwId: claim.fwId,
      name: claim.name,
      launchDir,
      fworkerName: crew.fworker.name,
    });
  try {
    if (claim.refused) throw claim.refused;
    checkNeeds(claim.fwId, claim.spec);
    launchDir = await openLaunchDir(crew, rocket);
    const recovered = await recover(claim.spec, launchDir, gathered);
    if (recovered === null) await bringFiles(rawSpec, { ...crew, launchDir, log, signal });
    await writeFireworkFile(rocket, launchDir);
    background = new Background(
      rawSpec._background_tasks,
      async (rawParams, signal) => {
        const t = { rawParams, taskIndex: claim.tasks.length, rawSpec: copy(claim.spec), launchDir, signal };
        await runTask(crew, rocket, t);
      },
      log,
      signal,
    );
    rawSpec._fw_env = crew.fworker.env;
    for (const [taskIndex, rawParams] of claim.tasks.entries()) {
      if (taskIndex < (recovered ?? 0)) continue;
      current = rawParams;
      if (!claim.begun || taskIndex > 0) await rocket.checkpoint(checkpointOf(taskIndex, gathered));
      signal.throwIfAborted();
      const returned = await runTask(crew, rocket, { rawParams, taskIndex, rawSpec, launchDir, signal });
      last = actionFile(launchDir) ?? fwAction(returned ?? {});
      if (gather(gathered, rawSpec, last)) break;
    }
    current = null;
    await background.stop(crew.graceMs);
    await background.finish();
    checkWorkflows(last);
    const action = decorated(finalAction(last, gathered));
    await removeIfUseless(rocket, launchDir);
    return { action, state: 'COMPLETED' };
  } catch (raw) {
    const thrown = isDiskFull(raw) ? diskFull(raw, claim.fwId, launchDir) : raw;
    if (!signal.aborted) log.error(`Firework ${claim.fwId} '${claim.name}' failed: ${messageOf(thrown)}`);
    const details = thrown instanceof FiretaskError ? thrown.details : null;
    return { action: decorated(failure(current, stacktrace(thrown), details)), state: 'FIZZLED' };
  } finally {
    await background?.stop(crew.graceMs);
  }
}

/** Runs one Firetask and returns its action. */
async function runTask(
  crew: Crew,
  rocket: Rocket,
  t: Pick<Flight, 'rawParams' | 'taskIndex' | 'rawSpec' | 'launchDir' | 'signal'>,
): Promise<Partial<FWAction> | null> {
  const name = String(t.rawParams._fw_name);
  const task = firetaskNamed(name);
  const rawParams = task.globalSpec && t.rawParams.use_global_spec ? t.rawSpec : t.rawParams;
  const parsed = task.params.safeParse(plainDoc(rawParams));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FiretaskError('ValueError', `${name}: parameter '${issue?.path.join('.')}': ${issue?.message}`);
  }
  const log = rocket.log.with({ task: typeof rawParams.name === 'string' ? rawParams.name : name });
  const flight: Flight = {
    ...t,
    fwId: rocket.claim.fwId,
    launchId: rocket.claim.launchId,
    spec: plainDoc(t.rawSpec),
    rawParams,
    fworker: crew.fworker,
    hostName: crew.hostName,
    launchPad: rocket.launchPad,
    log,
    env: { ...crew.env, PWD: t.launchDir },
    python: crew.python,
    guard: crew.guard,
    graceMs: crew.graceMs,
    pruneImagesAtPercent: crew.pruneImagesAtPercent,
    storage: crew.storage,
    depot: crew.depot,
  };
  log.debug(`Task ${t.taskIndex} started: ${name}`);
  const returned = await task.run(parsed.data, flight);
  t.signal.throwIfAborted();
  log.debug(`Task ${t.taskIndex} completed: ${name}`);
  return returned;
}

/** A Firetask's own words about it are better. */
const isDiskFull = (thrown: unknown) => codeOf(thrown) === 'ENOSPC' && !(thrown instanceof FiretaskError);

function diskFull(cause: unknown, fwId: number, launchDir: string): BorealisError {
  const mend = `Free some of it, or give workers a larger one; then: lpad rerun_fws -i ${fwId}`;
  return new BorealisError(`The disk is full: ${messageOf(cause)} (in ${launchDir}). ${mend}`, { cause });
}

/** Throws for additions and detours that are no workflows: better here than when the launch has ended. */
function checkWorkflows(action: FWAction): void {
  for (const dict of [...action.additions, ...action.detours]) newWorkflow(dict);
  for (const { workflow } of action.append_wfs) newWorkflow(workflow);
}

/** The folder of the launch: its own, or the one that the spec names. */
async function openLaunchDir(crew: Crew, { claim, moveTo }: Rocket): Promise<string> {
  const wanted = claim.spec._launch_dir;
  if (typeof wanted !== 'string' || !moveTo) {
    await mkdir(claim.launchDir, { recursive: true });
    return claim.launchDir;
  }
  const expanded = expandPath(wanted, crew.env);
  const dir = isAbsolute(expanded) ? expanded : resolve(claim.launchDir, expanded);
  await mkdir(dir, { recursive: true });
  if (dir !== claim.launchDir) await moveTo(dir);
  return dir;
}

/** With `_recovery`: what was gathered before, and its files. Returns the number of the Firetask to begin with; null without. */
async function recover(spec: Doc, launchDir: string, gathered: Gathered): Promise<number | null> {
  const recovery = spec._recovery;
  if (!isDoc(recovery)) return null;
  Object.assign(gathered.storedData, recovery._all_stored_data);
  Object.assign(gathered.updateSpec, recovery._all_update_spec);
  gathered.modSpec.push(...((recovery._all_mod_spec ?? []) as Doc[]));
  const previous = recovery._prev_dir;
  if (recovery._mode === 'cp' && typeof previous === 'string' && previous !== launchDir) {
    await stat(previous).catch((cause) => {
      throw new FiretaskError(
        'FileNotFoundError',
        `_recovery: the folder of the run before, ${previous}, is not on this worker. Rerun without its files: lpad rerun_fws --task-level`,
        null,
        undefined,
        { cause },
      );
    });
    await cp(previous, launchDir, { recursive: true });
  }
  return numberOf(recovery._task_n);
}

const FIREWORK_FILE = 'FW.json';

/** What runs here, for scripts and people who look into the folder (FireWorks' PRINT_FW_JSON). Offline it is there already. */
async function writeFireworkFile({ claim, launchPad }: Rocket, launchDir: string): Promise<void> {
  if (!launchPad) return;
  const { fwId, launchId, name, spec } = claim;
  const firework = { fw_id: fwId, name, state: 'RUNNING', spec, launches: [{ launch_id: launchId }] };
  await writeFile(join(launchDir, FIREWORK_FILE), toJson(firework, 4));
}

/** A launch that left nothing leaves no folder, unless children are told of it. */
async function removeIfUseless({ claim, launchPad }: Rocket, launchDir: string): Promise<void> {
  if (!launchPad || launchDir !== claim.launchDir || claim.spec._pass_job_info) return;
  const left = await readdir(launchDir).catch(() => ['?']);
  if (left.every((name) => name === FIREWORK_FILE)) await rm(launchDir, { recursive: true, force: true });
}

/** A failure as Python would print it: people and scripts look at the last line. */
export function stacktrace(thrown: unknown): string {
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
