/** DockerTask: a command or a Firetask in a container, its inputs fetched from storage, its outputs stored there. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BorealisError, messageOf } from '../../core/errors.ts';
import {
  type Doc,
  describeLaunchPad,
  type FWAction,
  fromJson,
  parseFWAction,
} from '../../core/launchpad/index.ts';
import { MINUTE, SECOND } from '../../core/wait.ts';
import { Budget } from '../docker/budget.ts';
import { Captures } from '../docker/capture.ts';
import { Engine } from '../docker/engine.ts';
import type { Manifest } from '../docker/kept_outputs.ts';
import { mapPath, stampOf } from '../docker/paths.ts';
import { epilogue, prologue, provenance, whyStopped } from '../docker/report.ts';
import { runUntilDone } from '../docker/retries.ts';
import { actionBefore, keepOutputs, rememberRun, takeEarlier, takeKept } from '../docker/reuse.ts';
import { type Staged, Staging } from '../docker/staging.ts';
import { beginningOf, needImage, type TaskRun } from '../docker/task_run.ts';
import { type DockerTaskParams, dockerTaskParams } from './docker_params.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';
import { questionOf } from './python.ts';
import { PythonInside } from './python_inside.ts';

/** The log of a failed task is worth this long, and no more. */
const STORE_LOG_WITHIN_MS = 5 * MINUTE;

export const dockerTask: Firetask = {
  names: ['{{borealis.docker_task.DockerTask}}', 'DockerTask'],
  params: dockerTaskParams,
  async run(raw, flight) {
    const task = raw as DockerTaskParams;
    const outputs = [...(task.outputs ?? []), ...(task.fwaction ? [task.fwaction] : [])];
    await using engine = await Engine.open(flight.env, flight.signal);
    await using staging = await Staging.open(join(flight.launchDir, `.docker-${flight.taskIndex}`), {
      inputs: task.inputs ?? [],
      outputs,
      internalPrefix: task.internal_prefix,
      storagePrefix: task.storage_prefix,
      stamp: stampOf(new Date()),
      owner: {
        launchPad: flight.launchPad ? describeLaunchPad(flight.launchPad) : 'offline',
        fwId: flight.fwId,
        launchId: flight.launchId,
        taskIndex: flight.taskIndex,
      },
      depot: await flight.depot(),
      log: flight.log,
    });
    const inside = task.firetask ? await openInside(task.firetask, flight, staging) : null;
    using budget = new Budget(task.timeout * SECOND);
    flight.log.info(`STARTING TASK: ${task.name}, host: ${flight.hostName}, storage: ${task.storage_prefix}`);
    return await carryOut({
      task,
      flight,
      engine,
      staging,
      budget,
      inside,
      signal: AbortSignal.any([flight.signal, budget.signal]),
      state: beginningOf(task),
      storage: await flight.storage(),
    });
  },
};

async function openInside(firetask: Doc, flight: Flight, staging: Staging): Promise<PythonInside> {
  const question = questionOf(firetask, flight.rawParams.firetask as Doc, flight);
  return await PythonInside.open(join(staging.folder, 'firetask'), question);
}

/** From the image and the inputs to what is told of it. Nothing runs whose outputs are there already. */
async function carryOut(run: TaskRun): Promise<Partial<FWAction>> {
  const { task, flight, staging, budget, state } = run;
  const { log } = flight;
  const openCaptures = () => Captures.open(staging.outputs, prologue(task, state, flight.hostName));
  let action: Partial<FWAction> | null = null;
  let failure: unknown = null;
  let captures: Captures | null = null;
  let kept: Manifest | null = null;
  try {
    kept = await takeKept(run);
    if (!kept && task.cache) state.earlier = await takeEarlier(run);
    const before = kept ?? state.earlier;
    if (!before) {
      await prepare(run);
      captures = await openCaptures();
      await budget.during('the command ran', runUntilDone(run, captures));
    }
    action = before ? actionBefore(before) : await writtenAction(run);
  } catch (thrown) {
    failure = whyStopped(run) ?? thrown;
  }
  try {
    if (!kept) captures ??= await openCaptures();
    await captures?.end(epilogue(task, state, failure));
  } catch (thrown) {
    failure ??= new BorealisError(`The output could not be written: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  failure = await storeOutputs(run, failure, action);
  const end = epilogue(task, state, failure);
  const told = provenance(task, state, staging.bytes);
  if (failure) {
    log.error(end);
    throw failureOf(failure, told);
  }
  log.info(end);
  // Of several DockerTasks in one Firework each has its own.
  const key = flight.taskIndex === 0 ? 'docker' : `docker_${flight.taskIndex}`;
  return { ...action, stored_data: { [key]: told, ...action?.stored_data } };
}

/** The image and the inputs, both at once. */
async function prepare(run: TaskRun): Promise<void> {
  const { storage, staging, budget, signal } = run;
  const pulling = budget.during('the image was being pulled', needImage(run));
  const fetching = budget.during('inputs were being fetched', staging.fetchInputs(storage, signal));
  // When one fails, the other is waited for, so that nothing writes into a folder that is going away.
  const [image, inputs] = await Promise.allSettled([pulling, fetching]);
  if (image.status === 'rejected') throw image.reason;
  if (inputs.status === 'rejected') throw inputs.reason;
}

/** The FWAction of the Firetask, or the one that the command wrote, when the task says where. */
async function writtenAction({ task, staging, inside }: TaskRun): Promise<Partial<FWAction> | null> {
  if (inside) return await inside.action();
  const { fwaction } = task;
  if (!fwaction) return null;
  const { sub } = mapPath(fwaction, task.internal_prefix, '');
  const file = staging.outputs.find((output) => output.sub === sub) as Staged;
  const text = await readFile(file.local, 'utf8');
  if (text.trim() === '') throw new BorealisError(`The container wrote no FWAction to ${fwaction}`);
  return parseFWAction(fromJson(text), fwaction);
}

/**
 * Everything after a success; only the `>>` logs after a failure, for finding out why, and of a run that was not needed. Returns
 * the failure, of the task or of the storing.
 */
async function storeOutputs(
  run: TaskRun,
  failure: unknown,
  action: Partial<FWAction> | null,
): Promise<unknown> {
  const { task, flight, storage, staging, budget, state, signal } = run;
  if (failure || state.earlier) {
    const logs = staging.outputs.filter((output) => output.capture === '>>');
    await staging.store(storage, logs, AbortSignal.timeout(STORE_LOG_WITHIN_MS)).catch((thrown) => {
      flight.log.warning(`The log of the task could not be stored: ${messageOf(thrown)}`);
    });
    return failure;
  }
  try {
    const storing = staging.store(storage, staging.outputs, signal);
    const stored = await budget.during('outputs were being stored', storing);
    if (task.cache) await rememberRun(run, stored, action);
    return null;
  } catch (thrown) {
    return await keepOutputs(run, thrown, action);
  }
}

/** What Python raised inside keeps its name. */
function failureOf(failure: unknown, told: Doc): FiretaskError {
  const raised = failure instanceof FiretaskError ? failure : null;
  const exception = raised?.exception ?? 'DockerTaskError';
  return new FiretaskError(exception, messageOf(failure), raised?.details ?? told, raised?.traceback, {
    cause: failure,
  });
}
