/** DockerTask: a command in a container, its inputs fetched from storage, its outputs stored there. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { Storage } from '../../core/cloud/storage.ts';
import { BorealisError, messageOf } from '../../core/errors.ts';
import { describeLaunchPad, type FWAction, fromJson, parseFWAction } from '../../core/launchpad/index.ts';
import { SECOND } from '../../core/wait.ts';
import { Captures } from '../docker/capture.ts';
import { type Ended, removeOthers, runContainer } from '../docker/container.ts';
import { Engine } from '../docker/engine.ts';
import { provideImage } from '../docker/image.ts';
import { duration, mapPath, stampOf } from '../docker/paths.ts';
import { type Staged, Staging } from '../docker/staging.ts';
import { LoggedOutput } from '../lines.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';
import { words } from './script.ts';

export const params = z.looseObject({
  name: z.string().min(1),
  image: z.string().regex(/^\w[\w.\-/:@]*$/, 'must be the name of an image, such as gcr.io/project/tool:1'),
  command: z.union([z.string(), z.array(z.union([z.string(), z.number()]).transform(String))]),
  internal_prefix: z.string().startsWith('/'),
  storage_prefix: z.string().min(1),
  inputs: z.array(z.string()).nullish(),
  outputs: z.array(z.string()).nullish(),
  /** Seconds. */
  timeout: z
    .number()
    .positive()
    .nullish()
    .transform((seconds) => seconds ?? 3600),
  /** Ours: whether the registry is asked. Upstream always does. */
  pull: z.enum(['always', 'missing', 'never']).default('always'),
  /** Ours: a JSON FWAction that the container writes; a path below internal_prefix. */
  fwaction: z.string().nullish(),
});

type Params = z.infer<typeof params>;

export const dockerTask: Firetask = {
  names: ['{{borealis.docker_task.DockerTask}}', 'DockerTask'],
  params,
  async run(raw, flight) {
    const task = raw as Params;
    const outputs = [...(task.outputs ?? []), ...(task.fwaction ? [task.fwaction] : [])];
    await using engine = await Engine.open(flight.env);
    await using staging = await Staging.open(join(flight.launchDir, `.docker-${flight.taskIndex}`), {
      inputs: task.inputs ?? [],
      outputs,
      internalPrefix: task.internal_prefix,
      storagePrefix: task.storage_prefix,
      stamp: stampOf(new Date()),
    });
    return await new Run(task, flight, engine, staging).run();
  },
};

class Run {
  readonly #startedAt = new Date();
  #imageId = '---';
  #elapsed = '---';

  constructor(
    readonly task: Params,
    readonly flight: Flight,
    readonly engine: Engine,
    readonly staging: Staging,
  ) {}

  async run(): Promise<Partial<FWAction> | null> {
    const { task, flight, staging } = this;
    const { log, signal } = flight;
    log.info(`STARTING TASK: ${task.name}, host: ${flight.hostName}, storage: ${task.storage_prefix}`);
    const storage = await flight.storage();
    let action: Partial<FWAction> | null = null;
    let failure: unknown = null;
    let captures: Captures | null = null;
    try {
      const pulling = provideImage(this.engine, task.image, task.pull, { log, signal, env: flight.env });
      // Both at once; when one fails, the other is waited for, so that nothing writes into a folder that is going away.
      const [image, inputs] = await Promise.allSettled([pulling, staging.fetchInputs(storage, signal)]);
      if (image.status === 'rejected') throw image.reason;
      this.#imageId = image.value;
      if (inputs.status === 'rejected') throw inputs.reason;
      captures = await Captures.open(staging.outputs, this.#prologue());
      await this.#runContainer(captures);
      action = await this.#writtenAction();
    } catch (thrown) {
      failure = thrown;
    }
    captures ??= await Captures.open(staging.outputs, this.#prologue());
    await captures.end(this.#epilogue(failure));
    failure = await this.#storeOutputs(storage, failure);
    const epilogue = this.#epilogue(failure);
    if (failure) {
      log.error(epilogue);
      throw failure instanceof FiretaskError
        ? failure
        : new FiretaskError('DockerTaskError', messageOf(failure), null, undefined, { cause: failure });
    }
    log.info(epilogue);
    return action;
  }

  async #runContainer(captures: Captures): Promise<void> {
    const { task, flight, staging } = this;
    const { log } = flight;
    const own = {
      'borealis.launchpad': flight.launchPad ? describeLaunchPad(flight.launchPad) : 'offline',
      'borealis.fw_id': String(flight.fwId),
    };
    await removeOthers(this.engine, own, log);
    const command = typeof task.command === 'string' ? words(task.command) : task.command;
    log.debug(`Running: ${command.join(' ')}`);
    const logged = new LoggedOutput(log);
    const started = performance.now();
    const guarded = basename(flight.guard.path);
    flight.guard.watchContainers(`borealis.guard=${guarded}`);
    const ended = await runContainer(
      this.engine,
      {
        image: this.#imageId,
        command,
        user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
        mounts: staging.mounts,
        labels: {
          ...own,
          'borealis.launch_id': String(flight.launchId),
          'borealis.worker': flight.fworker.name,
          'borealis.guard': guarded,
        },
      },
      {
        timeoutMs: task.timeout * SECOND,
        signal: flight.signal,
        log,
        async onOutput(bytes) {
          await captures.write(bytes);
          logged.write(bytes);
        },
      },
    ).finally(() => flight.guard.watchContainers(null));
    logged.end();
    this.#elapsed = duration((performance.now() - started) / 1000);
    judge(ended);
  }

  /** The FWAction that the container wrote, when the task says where. */
  async #writtenAction(): Promise<Partial<FWAction> | null> {
    const { fwaction } = this.task;
    if (!fwaction) return null;
    const { sub } = mapPath(fwaction, this.task.internal_prefix, '');
    const file = this.staging.outputs.find((output) => output.sub === sub) as Staged;
    const text = await readFile(file.local, 'utf8');
    if (text.trim() === '') throw new BorealisError(`The container wrote no FWAction to ${fwaction}`);
    return parseFWAction(fromJson(text), fwaction);
  }

  /**
   * Everything after a success, only the `>>` logs after a failure: those are for finding out why. Returns the failure, of
   * the task or of the storing.
   */
  async #storeOutputs(storage: Storage, failure: unknown): Promise<unknown> {
    const { outputs } = this.staging;
    const chosen = failure ? outputs.filter((output) => output.capture === '>>') : outputs;
    try {
      await this.staging.store(storage, chosen, failure ? undefined : this.flight.signal);
      return failure;
    } catch (thrown) {
      if (!failure) return thrown;
      this.flight.log.warning(`The log of the failed task could not be stored: ${messageOf(thrown)}`);
      return failure;
    }
  }

  #prologue(): string {
    const { task, flight } = this;
    const parameters = JSON.stringify(task, null, 2);
    return `${stampOf(this.#startedAt)} DockerTask: ${task.name}, host: ${flight.hostName}\n\n${parameters}\n\nDocker Image ID: ${this.#imageId}`;
  }

  #epilogue(failure: unknown): string {
    const how = failure ? 'FAILED' : 'SUCCESSFUL';
    const why = failure ? ` ${messageOf(failure)}` : '';
    return `${stampOf(new Date())} ${how} TASK: ${this.task.name}, elapsed ${this.#elapsed} of timeout parameter ${duration(this.task.timeout)}${why}`;
  }
}

/** Throws what is wrong about the end of a container. */
function judge({ exitCode, stopped, outOfMemory }: Ended): void {
  if (stopped === 'timeout')
    throw new FiretaskError(
      'DockerTaskError',
      'Docker process timeout. Give the task a longer `timeout` (seconds), or less to do',
    );
  if (stopped === 'abort') throw new FiretaskError('DockerTaskError', 'The task was stopped');
  if (exitCode === 0) return;
  const memory = outOfMemory || exitCode === 137;
  const hint: Record<number, string> = {
    125: ' (the Docker Engine could not run it)',
    126: ' (the command cannot be executed: is it a program, and for this kind of machine?)',
    127: ' (the command was not found in the image)',
  };
  const advice = memory
    ? ' (SIGKILL, most likely out of memory). Use VMs with more memory (-o machine-type=..., or -o custom-memory=... -o custom-cpu=...), or make the task need less; then rerun it: lpad rerun_fws -i FW_ID'
    : (hint[exitCode] ?? '');
  throw new FiretaskError('DockerTaskError', `Docker process exit code ${exitCode}${advice}`);
}
