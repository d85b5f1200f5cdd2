/** DockerTask: a command or a Firetask in a container, its inputs fetched from storage, its outputs stored there. */
import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { StoredByNewerRun } from '../../core/cloud/overwrite.ts';
import type { Storage } from '../../core/cloud/storage.ts';
import { BorealisError, messageOf } from '../../core/errors.ts';
import {
  type Doc,
  describeLaunchPad,
  type FWAction,
  fromJson,
  parseFWAction,
  toJson,
} from '../../core/launchpad/index.ts';
import { MINUTE, SECOND, sleep } from '../../core/wait.ts';
import { Budget } from '../docker/budget.ts';
import { Captures } from '../docker/capture.ts';
import { commandOf } from '../docker/command.ts';
import { Company } from '../docker/company.ts';
import { type ContainerSpec, type Ended, runContainer, StartError } from '../docker/container.ts';
import { type Earlier, findEarlier, recordName, remember, takeOver } from '../docker/earlier.ts';
import { Engine, isNotFound } from '../docker/engine.ts';
import { type Image, provideImage } from '../docker/image.ts';
import type { Manifest } from '../docker/kept_outputs.ts';
import { LABELS, removeOthersOf } from '../docker/leftovers.ts';
import { memoryOf, shownSize } from '../docker/memory.ts';
import { captureOf, duration, mapPath, objectName, stampOf } from '../docker/paths.ts';
import { type Staged, Staging, type Stored } from '../docker/staging.ts';
import { verdictOf } from '../docker/verdict.ts';
import { LoggedOutput } from '../lines.ts';
import { type DockerTaskParams, dockerTaskParams } from './docker_params.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';
import { questionOf } from './python.ts';
import { PythonInside } from './python_inside.ts';
import { words } from './script.ts';

/** Between SIGTERM and SIGKILL, when the time is up. */
const STOP_GRACE_MS = 10 * SECOND;
/** The log of a failed task is worth this long, and no more. */
const STORE_LOG_WITHIN_MS = 5 * MINUTE;
/** Between two runs of a command that fails. */
const FIRST_PAUSE_MS = SECOND;
const LONGEST_PAUSE_MS = 30 * SECOND;

/** All containers of this worker, whichever slot they are of. */
const company = new Company();

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
    return await new Run(task, flight, engine, staging, budget, inside).run();
  },
};

async function openInside(firetask: Doc, flight: Flight, staging: Staging): Promise<PythonInside> {
  const question = questionOf(firetask, flight.rawParams.firetask as Doc, flight);
  return await PythonInside.open(join(staging.folder, 'firetask'), question);
}

class Run {
  readonly #startedAt = new Date();
  /** Aborts when the task must stop: its time is up, or the rocket is to be given back. */
  readonly #signal: AbortSignal;
  /** What it does at this moment, for whoever reads that its time was up meanwhile. */
  readonly #doing = new Set<string>();
  #image: Image | null = null;
  #memoryBytes: number | undefined;
  #ended: Ended | null = null;
  #elapsedSecs: number | null = null;
  /** The run whose outputs were taken over: nothing ran. */
  #earlier: Earlier | null = null;

  constructor(
    readonly task: DockerTaskParams,
    readonly flight: Flight,
    readonly engine: Engine,
    readonly staging: Staging,
    readonly budget: Budget,
    /** Null: it runs a command. */
    readonly inside: PythonInside | null,
  ) {
    this.#signal = AbortSignal.any([flight.signal, budget.signal]);
    this.#memoryBytes = task.memory ?? undefined;
  }

  async run(): Promise<Partial<FWAction> | null> {
    const { task, flight, staging } = this;
    const { log } = flight;
    log.info(`STARTING TASK: ${task.name}, host: ${flight.hostName}, storage: ${task.storage_prefix}`);
    const storage = await flight.storage();
    let action: Partial<FWAction> | null = null;
    let failure: unknown = null;
    let captures: Captures | null = null;
    let kept: Manifest | null = null;
    try {
      kept = await this.#takeKept(storage);
      if (!kept && task.cache) this.#earlier = await this.#takeEarlier(storage);
      if (!kept && !this.#earlier) {
        await this.#prepare(storage);
        captures = await Captures.open(staging.outputs, this.#prologue());
        await this.#during('the command ran', this.#runUntilDone(captures));
      }
      const before = kept ?? this.#earlier;
      action = before ? actionBefore(before) : await this.#writtenAction();
    } catch (thrown) {
      failure = this.#whyStopped() ?? thrown;
    }
    try {
      if (!kept) captures ??= await Captures.open(staging.outputs, this.#prologue());
      await captures?.end(this.#epilogue(failure));
    } catch (thrown) {
      failure ??= new BorealisError(`The output could not be written: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
    failure = await this.#storeOutputs(storage, failure, action);
    const epilogue = this.#epilogue(failure);
    if (failure) {
      log.error(epilogue);
      const { exception, details, traceback } =
        failure instanceof FiretaskError ? failure : failed(messageOf(failure));
      throw new FiretaskError(exception, messageOf(failure), details ?? this.#provenance(), traceback, {
        cause: failure,
      });
    }
    log.info(epilogue);
    // Of several DockerTasks in one Firework each has its own.
    const key = flight.taskIndex === 0 ? 'docker' : `docker_${flight.taskIndex}`;
    return { ...action, stored_data: { [key]: this.#provenance(), ...action?.stored_data } };
  }

  /** The image and the inputs, both at once. */
  async #prepare(storage: Storage): Promise<void> {
    const pulling = this.#during('the image was being pulled', this.#needImage());
    const fetching = this.#during(
      'inputs were being fetched',
      this.staging.fetchInputs(storage, this.#signal),
    );
    // When one fails, the other is waited for, so that nothing writes into a folder that is going away.
    const [image, inputs] = await Promise.allSettled([pulling, fetching]);
    if (image.status === 'rejected') throw image.reason;
    if (inputs.status === 'rejected') throw inputs.reason;
  }

  /** Takes the outputs of an earlier run here that could not be stored then; with them there is nothing left to run. */
  async #takeKept(storage: Storage): Promise<Manifest | null> {
    const { staging } = this;
    if (!(await staging.hasKept())) return null;
    await this.#during('the image was being pulled', this.#provideImage());
    await this.#during('inputs were being looked for', staging.findInputs(storage, this.#signal));
    const taken = await staging.takeKept(this.#madeFrom());
    if (taken) this.flight.log.info('It ran here before, and its outputs were kept: they are stored now');
    return taken;
  }

  /**
   * Takes over what an earlier run left in storage, with the same image, parameters and inputs; null when there is none. A bucket
   * that cannot be asked is no reason not to run.
   */
  async #takeEarlier(storage: Storage): Promise<Earlier | null> {
    const { flight, staging } = this;
    await this.#during('the image was being pulled', this.#needImage());
    await this.#during('inputs were being looked for', staging.findInputs(storage, this.#signal));
    const taking = this.#during('an earlier run was being looked for', this.#lookForEarlier(storage));
    return await taking.catch((thrown) => {
      this.#signal.throwIfAborted();
      if (thrown instanceof StoredByNewerRun) throw thrown;
      flight.log.warning(`Whether it ran before cannot be found out, so it runs: ${messageOf(thrown)}`);
      return null;
    });
  }

  async #lookForEarlier(storage: Storage): Promise<Earlier | null> {
    const { flight, staging } = this;
    const name = this.#recordName();
    const earlier = await findEarlier(storage, staging.bucket, name);
    if (!earlier) flight.log.info('No earlier run had the same image, parameters and inputs: it runs');
    else if (await takeOver(storage, staging, earlier, this.#signal)) return earlier;
    else flight.log.info(`${shown(earlier)} did the same, but its outputs are not there any more: it runs`);
    return null;
  }

  #recordName(): string {
    const { task, staging, inside } = this;
    const { command, entrypoint, env, workdir, gpus, network, internal_prefix, fwaction } = task;
    const outputs = (task.outputs ?? []).filter((path) => captureOf(path) !== '>>').sort();
    const parameters = {
      command,
      entrypoint,
      env,
      workdir,
      gpus,
      network,
      internal_prefix,
      outputs,
      fwaction,
    };
    // By its ID: one digest may stand for images of several kinds of machines.
    const facts = { image: this.#image?.id, ...parameters, firetask: inside?.facts };
    return recordName(facts, staging.inputFacts);
  }

  /** Leaves a record of this run, for later ones. Without it they run, nothing worse. */
  async #remember(storage: Storage, stored: Stored, action: Partial<FWAction> | null): Promise<void> {
    const { staging, flight } = this;
    try {
      const name = this.#recordName();
      if (await staging.inputsAreTheSame(storage, this.#signal))
        await remember(storage, staging, name, stored, action && toJson(action));
      else flight.log.info('Its inputs were replaced meanwhile: no later run will take its outputs over');
    } catch (thrown) {
      flight.log.warning(`No later run will take its outputs over: ${messageOf(thrown)}`);
    }
  }

  /** What its outputs follow from, besides the inputs. */
  #madeFrom(): string {
    const { task, inside } = this;
    const { command, entrypoint, env, workdir, internal_prefix, storage_prefix, outputs, fwaction } = task;
    const paths = { internal_prefix, storage_prefix, outputs, fwaction };
    const runs = { command, firetask: inside && toJson(inside.facts) };
    return JSON.stringify({ image: this.#image?.id, ...runs, entrypoint, env, workdir, ...paths });
  }

  /** Outputs that could not be stored stay on this worker's disk. Returns the failure, which says where. */
  async #keepOutputs(why: unknown, action: Partial<FWAction> | null): Promise<unknown> {
    const { flight, staging } = this;
    const failure = this.#whyStopped() ?? why;
    if (flight.signal.aborted || why instanceof StoredByNewerRun) return failure;
    const place = await staging.keepOutputs(this.#madeFrom(), action && toJson(action));
    const names = staging.outputs.map(
      ({ sub }) => `gs://${staging.bucket}/${objectName(staging.prefix, sub)}`,
    );
    return failed(
      `${messageOf(failure)}. The command succeeded; its outputs (${names.join(', ')}) are kept in ${place} on ${flight.hostName}. When this Firework is rerun there, they are stored without running it again: lpad rerun_fws -i ${flight.fwId}`,
    );
  }

  /** What is being done when the time is up stays noted. */
  async #during<T>(what: string, work: Promise<T>): Promise<T> {
    this.#doing.add(what);
    const done = await work;
    this.#doing.delete(what);
    return done;
  }

  /** The reason when the task was stopped, whatever failed because of it; null when it was not. */
  #whyStopped(): FiretaskError | null {
    const { budget, flight, task } = this;
    if (flight.signal.aborted) return failed(`The task was stopped${this.#howStopped()}`);
    if (!budget.signal.aborted) return null;
    const when = [...this.#doing].join(' and ');
    return failed(
      `Docker process timeout: its ${task.timeout} s were over while ${when}${this.#howStopped()}. Give the task a longer \`timeout\` (seconds), or less to do`,
    );
  }

  #howStopped(): string {
    const by = this.#ended?.stoppedBy;
    return by === 'SIGKILL'
      ? ': SIGTERM did not end it, SIGKILL did'
      : by === 'SIGTERM'
        ? ': SIGTERM ended it'
        : '';
  }

  /** Whoever looked for an earlier run has the image already. */
  async #needImage(): Promise<void> {
    if (!this.#image) await this.#provideImage();
  }

  async #provideImage(): Promise<void> {
    const { engine, task, flight } = this;
    this.#image = await provideImage(engine, task.image, task.pull, {
      log: flight.log,
      signal: this.#signal,
      env: flight.env,
      pruneAtPercent: flight.pruneImagesAtPercent,
    });
  }

  /** Runs the command, again when it fails and the task says so. Throws what is wrong about its last end. */
  async #runUntilDone(captures: Captures): Promise<void> {
    const { task, flight } = this;
    let retries = task.retries;
    let retriesOnOom = task.retry_on_oom;
    let pause = FIRST_PAUSE_MS;
    for (let alone = false; ; ) {
      const { ended, verdict } = await this.#runOnce(captures, alone);
      if (ended.stoppedBy) this.#signal.throwIfAborted();
      if (!verdict) return;
      const failure = (!verdict.outOfMemory && (await this.inside?.raised())) || failed(verdict.message);
      if (verdict.outOfMemory && retriesOnOom > 0) {
        retriesOnOom--;
        alone = true;
        await this.#raiseMemory(verdict.message);
      } else if (!verdict.outOfMemory && retries > 0) {
        retries--;
        flight.log.warning(
          `${failure.message}: running it again in ${pause / SECOND} s (\`retries\`: ${retries} more)`,
        );
        await sleep(pause, this.#signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      } else throw failure;
      this.#signal.throwIfAborted();
      await captures.again(`${stampOf(new Date())} ${failure.message}: run again`);
      await this.#emptyOutputs();
    }
  }

  /** Twice the memory for the next run, as far as the VM has it. Throws when it had all that there is. */
  async #raiseMemory(why: string): Promise<void> {
    const { flight, engine } = this;
    const most = await memoryOf(engine, this.#signal);
    const had = this.#memoryBytes;
    if (had && had >= most) throw failed(why);
    // Without a limit it had to share all that there is.
    if (had) this.#memoryBytes = Math.min(2 * had, most);
    const now = this.#memoryBytes ? shownSize(this.#memoryBytes) : "all of the VM's";
    flight.log.warning(`${why}. Running it again (\`retry_on_oom\`), alone, with ${now} of memory`);
  }

  async #runOnce(captures: Captures, alone: boolean) {
    const { flight } = this;
    // Waiting for others is not the task's own time.
    this.budget.pause();
    using _place = await company.enter(alone, flight.signal).finally(() => this.budget.go());
    const started = performance.now();
    this.#ended = null;
    try {
      this.#ended = await this.#runContainer(captures);
    } finally {
      this.#elapsedSecs = (performance.now() - started) / 1000;
    }
    return { ended: this.#ended, verdict: verdictOf(this.#ended, this.#memoryBytes) };
  }

  async #runContainer(captures: Captures): Promise<Ended> {
    const { task, flight, engine } = this;
    const { log } = flight;
    const launchpad = flight.launchPad ? describeLaunchPad(flight.launchPad) : `offline, ${flight.launchDir}`;
    const { fwId, launchId } = flight;
    await removeOthersOf(engine, { launchpad, fwId, launchId }, { log, signal: this.#signal });
    const labels = {
      [LABELS.launchpad]: launchpad,
      [LABELS.fwId]: String(flight.fwId),
      [LABELS.launchId]: String(flight.launchId),
      [LABELS.worker]: flight.fworker.name,
      [LABELS.host]: flight.hostName,
      [LABELS.guard]: flight.guard.path,
    };
    flight.guard.watchContainers(`${LABELS.guard}=${flight.guard.path}`);
    const logged = new LoggedOutput(log);
    const run = async (command: string[]) => {
      log.debug(`Running: ${command.join(' ')}`);
      return await runContainer(engine, this.#spec(command, labels), {
        signal: this.#signal,
        graceMs: Math.min(STOP_GRACE_MS, flight.graceMs),
        hastened: flight.guard.hastened,
        log,
        async onOutput(bytes) {
          await captures.write(bytes);
          logged.write(bytes);
        },
      });
    };
    const image = this.#image as Image;
    const entrypoint = this.#entrypoint() ?? image.entrypoint;
    const command = this.inside?.command ?? commandOf(task.command ?? [], { ...image, entrypoint });
    try {
      return await run(command);
    } catch (thrown) {
      if (isNotFound(thrown)) {
        // Another worker of this Engine needed room, and removed the image before it was used here.
        log.warning(`The image is not there any more: ${messageOf(thrown)}`);
        await this.#provideImage();
        return await run(command);
      }
      // An image without a shell: the words go to the program itself, which is all that can be done with them.
      const isMissing = thrown instanceof StartError && thrown.code === 127;
      if (isMissing && this.inside)
        throw failed(
          `There is no program '${entrypoint[0]}' in the image ${task.image}, which a firetask runs in. Install Python there, or name it: \`entrypoint\``,
        );
      const shellIsMissing = isMissing && entrypoint.length === 0;
      if (!shellIsMissing || typeof task.command !== 'string') throw thrown;
      return await run(words(task.command));
    } finally {
      flight.guard.watchContainers(null);
      logged.end();
    }
  }

  /** A Firetask's is a Python; undefined: the image's own. */
  #entrypoint(): string[] | undefined {
    return this.task.entrypoint ?? (this.inside ? ['python3'] : undefined);
  }

  #spec(command: string[], labels: Record<string, string>): ContainerSpec {
    const { task, staging, inside } = this;
    return {
      image: (this.#image as Image).id,
      command,
      user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
      mounts: [...staging.mounts, ...(inside?.mounts ?? [])],
      labels,
      entrypoint: this.#entrypoint(),
      env: inside ? { PYTHONUNBUFFERED: '1', ...task.env } : (task.env ?? undefined),
      workdir: task.workdir ?? undefined,
      memoryBytes: this.#memoryBytes,
      cpus: task.cpus ?? undefined,
      gpus: task.gpus ?? undefined,
      shmBytes: task.shm_size ?? undefined,
      network: task.network ?? undefined,
    };
  }

  /** What a run that failed left must not be taken for the next one's. */
  async #emptyOutputs(): Promise<void> {
    await this.inside?.forget();
    for (const { local, tree, capture } of this.staging.outputs) {
      if (capture) continue;
      if (!tree) await truncate(local);
      else
        for (const name of await readdir(local))
          await rm(join(local, name), { recursive: true, force: true });
    }
  }

  /** The FWAction of the Firetask, or the one that the command wrote, when the task says where. */
  async #writtenAction(): Promise<Partial<FWAction> | null> {
    if (this.inside) return await this.inside.action();
    const { fwaction } = this.task;
    if (!fwaction) return null;
    const { sub } = mapPath(fwaction, this.task.internal_prefix, '');
    const file = this.staging.outputs.find((output) => output.sub === sub) as Staged;
    const text = await readFile(file.local, 'utf8');
    if (text.trim() === '') throw new BorealisError(`The container wrote no FWAction to ${fwaction}`);
    return parseFWAction(fromJson(text), fwaction);
  }

  /**
   * Everything after a success; only the `>>` logs after a failure, for finding out why, and of a run that was not needed. Returns
   * the failure, of the task or of the storing.
   */
  async #storeOutputs(
    storage: Storage,
    failure: unknown,
    action: Partial<FWAction> | null,
  ): Promise<unknown> {
    const { staging } = this;
    if (failure || this.#earlier) {
      const logs = staging.outputs.filter((output) => output.capture === '>>');
      await staging.store(storage, logs, AbortSignal.timeout(STORE_LOG_WITHIN_MS)).catch((thrown) => {
        this.flight.log.warning(`The log of the task could not be stored: ${messageOf(thrown)}`);
      });
      return failure;
    }
    try {
      const storing = staging.store(storage, staging.outputs, this.#signal);
      const stored = await this.#during('outputs were being stored', storing);
      if (this.task.cache) await this.#remember(storage, stored, action);
      return null;
    } catch (thrown) {
      return await this.#keepOutputs(thrown, action);
    }
  }

  /** What this launch ran, and what it took: kept with the launch, whether it succeeded or not. */
  #provenance(): Doc {
    const ended = this.#ended;
    return {
      image: this.task.image,
      image_id: this.#image?.id ?? null,
      image_digest: this.#image?.digest ?? null,
      exit_code: ended?.exitCode ?? null,
      elapsed_secs: this.#elapsedSecs === null ? null : Number(this.#elapsedSecs.toFixed(3)),
      peak_memory_bytes: ended?.peakMemoryBytes ?? null,
      memory_limit_bytes: this.#memoryBytes ?? null,
      bytes_in: this.staging.bytes.in,
      bytes_out: this.staging.bytes.out,
      ...(this.#earlier && { skipped_for: whichRun(this.#earlier) }),
    };
  }

  #prologue(): string {
    const { task, flight } = this;
    const parameters = JSON.stringify({ ...task, ...(task.env && { env: masked(task.env) }) }, null, 2);
    return `${stampOf(this.#startedAt)} DockerTask: ${task.name}, host: ${flight.hostName}\n\n${parameters}\n\nDocker Image ID: ${this.#image?.id ?? '---'}`;
  }

  #epilogue(failure: unknown): string {
    const earlier = this.#earlier;
    const how = failure ? 'FAILED' : earlier ? 'SKIPPED' : 'SUCCESSFUL';
    const why = failure
      ? ` ${messageOf(failure)}`
      : earlier
        ? `: ${shown(earlier)} did the same, and its outputs were taken over`
        : '';
    const elapsed = this.#elapsedSecs === null ? '---' : duration(this.#elapsedSecs);
    return `${stampOf(new Date())} ${how} TASK: ${this.task.name}, elapsed ${elapsed} of timeout parameter ${duration(this.task.timeout)}${why}`;
  }
}

const actionBefore = ({ fwaction }: Earlier | Manifest) =>
  fwaction === null ? null : parseFWAction(fromJson(fwaction), 'The FWAction of the earlier run');

const whichRun = ({ fw_id, launch_id, at }: Earlier) => ({ fw_id, launch_id, at });

const shown = ({ fw_id, launch_id, at }: Earlier) => `Firework ${fw_id} (launch ${launch_id}, ${at})`;

const failed = (message: string) => new FiretaskError('DockerTaskError', message);

/** Logs are read by many. */
function masked(env: Record<string, string>): Record<string, string> {
  const secret = /pass|secret|token|credential|key/i;
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, secret.test(name) ? '***' : value]),
  );
}
