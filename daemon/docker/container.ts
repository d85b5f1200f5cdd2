/** A container's life: created, attached, started, waited for, and removed whatever happens. */
import type { Socket } from 'node:net';
import * as z from 'zod';
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type RetryPolicy, retry } from '../../core/retry.ts';
import { MINUTE, SECOND, sleep } from '../../core/wait.ts';
import { type Engine, EngineError, isConflict, isEngineAway, isNotFound } from './engine.ts';
import { peakMemory } from './memory.ts';
import { outputOf } from './output.ts';

export interface Mount {
  source: string;
  target: string;
  readOnly?: boolean;
}

export interface ContainerSpec {
  image: string;
  command: string[];
  /** Instead of the image's own. Empty: none. */
  entrypoint?: string[];
  /** uid:gid */
  user: string;
  mounts: Mount[];
  labels: Record<string, string>;
  env?: Record<string, string>;
  workdir?: string;
  memoryBytes?: number;
  cpus?: number;
  /** All, so many, or these. */
  gpus?: 'all' | number | string[];
  shmBytes?: number;
  network?: string;
}

export interface Ended {
  /** Null: nobody knows, for the Engine was restarted and ended it. */
  exitCode: number | null;
  /** The signal that was sent last, when it was stopped. */
  stoppedBy: 'SIGTERM' | 'SIGKILL' | null;
  /** The kernel killed a process of it for lack of memory. */
  outOfMemory: boolean;
  peakMemoryBytes: number | null;
  /** It was removed by somebody else while it ran. */
  removed: boolean;
}

export interface RunOptions {
  /** Aborts when the container is to be stopped: SIGTERM, after `graceMs` SIGKILL. */
  signal: AbortSignal;
  graceMs: number;
  /** Aborts when there is no time for that: SIGKILL at once. */
  hastened?: AbortSignal;
  log: Logger;
  /** What it returns is waited for: a slow reader slows the container down, nothing is gathered. */
  onOutput: (bytes: Uint8Array) => Promise<void> | void;
}

/** The container never ran. `code` is what `docker run` would end with: 125, 126 or 127. */
export class StartError extends BorealisError {
  override readonly name = 'StartError';
  constructor(
    readonly code: 125 | 126 | 127,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** After SIGKILL it ends at once, unless a process of it hangs in the kernel. */
const END_WITHIN_MS = 30 * SECOND;

/** An upgrade of the Engine's package takes less. */
const ENGINE_BACK: RetryPolicy = {
  retryable: isEngineAway,
  firstDelayMs: 250,
  longestDelayMs: 2 * SECOND,
  deadlineMs: 2 * MINUTE,
};

/**
 * Runs a container to its end. Throws StartError when it cannot start, and the reason of `signal` when that aborts before.
 * A crash of the worker leaves the container running: see leftovers.ts.
 */
export async function runContainer(engine: Engine, spec: ContainerSpec, o: RunOptions): Promise<Ended> {
  o.signal.throwIfAborted();
  const id = await create(engine, spec, o.signal);
  try {
    return await live(engine, id, spec, o);
  } finally {
    await removeContainer(engine, id).catch((thrown) =>
      o.log.warning(`The container could not be removed: ${messageOf(thrown)}`),
    );
  }
}

async function live(
  engine: Engine,
  id: string,
  { memoryBytes }: ContainerSpec,
  o: RunOptions,
): Promise<Ended> {
  // Both before the start, so that nothing of it is missed.
  let output = await engine.attach(id, o.signal);
  const over = new AbortController();
  try {
    let exit = exitCodeOf(await waitForExit(engine, id, 'next-exit', over.signal));
    await start(engine, id, o.signal);
    const peak = peakMemory(engine, id, over.signal);
    const stopping = stopWhen(engine, id, over.signal, o);
    for (;;) {
      await Promise.race([drain(output, o), stopping.hangs]);
      const exitCode = await Promise.race([exit, stopping.hangs]);
      if (exitCode === null) {
        o.log.warning('The Docker Engine went away while the container runs: waiting for it to come back');
      }
      const state = await stateOf(engine, id);
      if (state?.Running) {
        o.log.warning(
          'The Docker Engine is back, the container still runs. Some of its output may be missing',
        );
        output.destroy();
        output = await engine.attach(id);
        exit = exitCodeOf(await waitForExit(engine, id, 'not-running', over.signal));
        continue;
      }
      const outOfMemory = state !== null && (state.OOMKilled || (await sawOutOfMemory(engine, id, state)));
      over.abort();
      const seen = await peak;
      const stoppedBy = await stopping.by();
      const killedByOthers = exitCode === 137 && stoppedBy === null && !outOfMemory;
      return {
        exitCode: exitCode ?? (state && (await survivesEngine(engine)) ? state.ExitCode : null),
        stoppedBy,
        outOfMemory,
        // What grew too fast to be seen had all that it may have.
        peakMemoryBytes: outOfMemory && memoryBytes ? Math.max(seen ?? 0, memoryBytes) : seen,
        removed: state === null || (killedByOthers && (await vanishes(engine, id))),
      };
    }
  } finally {
    over.abort();
    output.destroy();
  }
}

/** Reads the output to its end. That the connection broke is told by whoever waits for the exit code. */
async function drain(output: Socket, o: RunOptions): Promise<void> {
  const pieces = outputOf(output);
  for (;;) {
    const next = await pieces.next().catch((thrown) => {
      if (isEngineAway(thrown)) return { done: true as const, value: undefined };
      throw thrown;
    });
    if (next.done) return;
    await o.onOutput(next.value);
  }
}

const waited = z.looseObject({
  StatusCode: z.number(),
  Error: z.looseObject({ Message: z.string() }).nullish(),
});

/** Returns when the Engine has taken note. */
const waitForExit = (
  engine: Engine,
  id: string,
  condition: 'next-exit' | 'not-running',
  signal: AbortSignal,
) => engine.lines('POST', `/containers/${id}/wait?condition=${condition}`, { signal });

/** The exit code; null when the connection broke before. */
async function exitCodeOf(answer: AsyncGenerator<Record<string, unknown>>): Promise<number | null> {
  try {
    const { done, value } = await answer.next();
    if (done) return null;
    const { StatusCode, Error: failure } = waited.parse(value);
    if (failure?.Message) throw new BorealisError(`The container ended badly: ${failure.Message}`);
    return StatusCode;
  } catch (thrown) {
    if (thrown instanceof BorealisError) throw thrown;
    return null;
  }
}

const info = z.looseObject({ LiveRestoreEnabled: z.boolean().default(false) });

/**
 * Whether containers go on while the Engine is away. Then it learns of their end; otherwise it ends them when it comes back from
 * a crash, and says exit code 0 (20.10).
 */
async function survivesEngine(engine: Engine): Promise<boolean> {
  return info.parse(await engine.request('GET', '/info')).LiveRestoreEnabled;
}

const stateSchema = z.looseObject({
  State: z.looseObject({
    Running: z.boolean(),
    ExitCode: z.number(),
    OOMKilled: z.boolean().default(false),
    StartedAt: z.string(),
    FinishedAt: z.string(),
  }),
});
type State = z.infer<typeof stateSchema>['State'];

/** The container's state, also of an Engine that is just coming back; null when the container is gone. */
async function stateOf(engine: Engine, id: string): Promise<State | null> {
  try {
    const answer = await retry(ENGINE_BACK, () => engine.request('GET', `/containers/${id}/json`));
    return stateSchema.parse(answer).State;
  } catch (thrown) {
    if (isNotFound(thrown)) return null;
    if (!isEngineAway(thrown)) throw thrown;
    throw new BorealisError(
      `The Docker Engine went away while the container ran, and did not come back within ${ENGINE_BACK.deadlineMs / MINUTE} minutes`,
      { cause: thrown },
    );
  }
}

/** Who removes a container kills it first: that it goes is seen a moment after its end. */
async function vanishes(engine: Engine, id: string): Promise<boolean> {
  for (let looks = 0; looks < 10; looks++) {
    if ((await stateOf(engine, id)) === null) return true;
    await sleep(100);
  }
  return false;
}

/**
 * Whether the Engine noted a lack of memory while the container ran. Its state tells only of some: not of a child process that
 * was killed while the first one went on to fail by itself (20.10).
 */
async function sawOutOfMemory(
  engine: Engine,
  id: string,
  { StartedAt, FinishedAt }: State,
): Promise<boolean> {
  const filters = JSON.stringify({ container: [id], event: ['oom'] });
  // By the Engine's own clock. `until` lies in the past or is about to: then the answer ends.
  const seconds = (time: string, moreMs: number) => ((Date.parse(time) + moreMs) / 1000).toFixed(3);
  const query = new URLSearchParams({
    since: seconds(StartedAt, 0),
    until: seconds(FinishedAt, 50),
    filters,
  });
  const answer = await engine.request('GET', `/events?${query}`, { text: true }).catch(() => '');
  return String(answer).trim() !== '';
}

const created = z.looseObject({ Id: z.string() });

async function create(engine: Engine, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
  const body = {
    Image: spec.image,
    Cmd: spec.command,
    ...(spec.entrypoint && { Entrypoint: spec.entrypoint.length > 0 ? spec.entrypoint : [''] }),
    User: spec.user,
    Labels: spec.labels,
    ...(spec.env && { Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`) }),
    ...(spec.workdir && { WorkingDir: spec.workdir }),
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      Mounts: spec.mounts.map(({ source, target, readOnly = false }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
      // What is attached need not be written to the Engine's disk as well: 50 MB/s instead of 21.
      LogConfig: { Type: 'none' },
      Init: false,
      // No swap beyond the memory: a task that swaps takes days instead of failing, and nobody learns that it needs more.
      ...(spec.memoryBytes && { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
      ...(spec.cpus && { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(spec.gpus && { DeviceRequests: [deviceRequest(spec.gpus)] }),
      ...(spec.shmBytes && { ShmSize: spec.shmBytes }),
      ...(spec.network && { NetworkMode: spec.network }),
    },
  };
  try {
    return created.parse(await engine.request('POST', '/containers/create', { body, signal })).Id;
  } catch (thrown) {
    if (!(thrown instanceof EngineError) || isNotFound(thrown)) throw thrown;
    throw startError(thrown);
  }
}

function deviceRequest(gpus: 'all' | number | string[]): object {
  const which = Array.isArray(gpus) ? { DeviceIDs: gpus } : { Count: gpus === 'all' ? -1 : gpus };
  return { ...which, Capabilities: [['gpu']] };
}

async function start(engine: Engine, id: string, signal: AbortSignal): Promise<void> {
  try {
    await engine.request('POST', `/containers/${id}/start`, { signal });
  } catch (thrown) {
    throw thrown instanceof EngineError ? startError(thrown) : thrown;
  }
}

/** The codes are those of `docker run`. What the Engine says is its runtime's, and differs little from version to version. */
function startError(cause: EngineError): StartError {
  const said = cause.message;
  const [code, hint] =
    /executable file not found|exec: "[^"]*": stat [^:]*: no such file|no such file or directory: unknown/i.test(
      said,
    )
      ? ([127, 'Is the first word of `command` a program of the image?'] as const)
      : /permission denied|exec format error/i.test(said)
        ? ([126, 'Is the first word of `command` a program, and for this kind of machine?'] as const)
        : /could not select device driver|gpu/i.test(said)
          ? ([125, 'GPUs need a VM that has them, with the NVIDIA container toolkit'] as const)
          : /bind source path does not exist|not a directory/i.test(said)
            ? ([125, 'Do the task and the Docker Engine share a file system?'] as const)
            : ([125, ''] as const);
  return new StartError(
    code,
    `The container cannot start: ${said}.${hint && ` ${hint}`} (exit code ${code})`,
    {
      cause,
    },
  );
}

/** Stops the container when `o.signal` aborts. `hangs` throws when it does not end even so. */
function stopWhen(engine: Engine, id: string, over: AbortSignal, o: RunOptions) {
  let by: Ended['stoppedBy'] = null;
  let stopping: Promise<void> | null = null;
  const hanging = Promise.withResolvers<never>();
  hanging.promise.catch(() => {});
  const send = async (name: 'SIGTERM' | 'SIGKILL') => {
    const limit = AbortSignal.timeout(END_WITHIN_MS);
    try {
      await engine.request('POST', `/containers/${id}/kill?signal=${name}`, { signal: limit });
      by = name;
    } catch (thrown) {
      // It has ended by itself.
      if (isNotFound(thrown) || isConflict(thrown)) return;
      o.log.warning(`${name} could not be sent to the container: ${messageOf(thrown)}`);
    }
  };
  const stop = async () => {
    o.log.warning(`Stopping the container: SIGTERM now, SIGKILL in ${o.graceMs / SECOND} s`);
    await send('SIGTERM');
    await sleep(o.graceMs, o.hastened ? AbortSignal.any([over, o.hastened]) : over);
    if (over.aborted) return;
    o.log.warning('SIGTERM did not end the container in time: SIGKILL');
    await send('SIGKILL');
    if (await sleep(END_WITHIN_MS, over))
      hanging.reject(
        new BorealisError(`The container does not end, ${END_WITHIN_MS / SECOND} s after SIGKILL`),
      );
  };
  const onAbort = () => {
    stopping ??= stop();
  };
  o.signal.addEventListener('abort', onAbort, { once: true });
  over.addEventListener('abort', () => o.signal.removeEventListener('abort', onAbort), { once: true });
  if (o.signal.aborted) onAbort();
  return {
    hangs: hanging.promise,
    /** The last signal that was sent, once it is sure. */
    async by() {
      await stopping;
      return by;
    },
  };
}

/** Removes a container whatever it does. One that is gone, or is just being removed, is no failure. */
export async function removeContainer(engine: Engine, id: string): Promise<void> {
  try {
    await retry(ENGINE_BACK, () => engine.request('DELETE', `/containers/${id}?force=true&v=true`));
  } catch (thrown) {
    if (!isNotFound(thrown) && !isConflict(thrown)) throw thrown;
  }
}
