/** A container's life: created, attached, started, waited for, and removed whatever happens. */
import { z } from 'zod';
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { SECOND } from '../../core/wait.ts';
import { type Engine, EngineError } from './engine.ts';
import { framesOf } from './output.ts';

export interface ContainerSpec {
  image: string;
  command: string[];
  /** uid:gid */
  user: string;
  mounts: { source: string; target: string }[];
  labels: Record<string, string>;
}

export interface Ended {
  exitCode: number;
  /** It was stopped for this: its time was up, or the task was aborted. */
  stopped: 'timeout' | 'abort' | null;
  outOfMemory: boolean;
}

const created = z.looseObject({ Id: z.string() });
const waited = z.looseObject({
  StatusCode: z.number(),
  Error: z.looseObject({ Message: z.string() }).nullish(),
});
const state = z.looseObject({ State: z.looseObject({ OOMKilled: z.boolean().default(false) }) });
const listed = z.array(z.looseObject({ Id: z.string() }));

/** After SIGTERM a container has this long. */
const STOP_GRACE_SECS = 10;

/**
 * Runs a container to its end. `onOutput` gets its output piece by piece, and what it returns is waited for: a slow reader
 * slows the container down, nothing is gathered. A crash of the worker leaves the container running: see `removeOthers`.
 */
export async function runContainer(
  engine: Engine,
  spec: ContainerSpec,
  o: {
    timeoutMs: number;
    signal: AbortSignal;
    log: Logger;
    onOutput: (bytes: Uint8Array) => Promise<void> | void;
  },
): Promise<Ended> {
  o.signal.throwIfAborted();
  const id = await create(engine, spec);
  try {
    const output = await engine.attach(id);
    await start(engine, id);
    const watch = stopWhen(engine, id, o);
    try {
      for await (const piece of framesOf(output)) await o.onOutput(piece);
      const { StatusCode, Error: failure } = waited.parse(
        await engine.request('POST', `/containers/${id}/wait`),
      );
      if (failure?.Message) throw new BorealisError(`The container ended badly: ${failure.Message}`);
      const { State } = state.parse(await engine.request('GET', `/containers/${id}/json`));
      return { exitCode: StatusCode, stopped: watch.stopped(), outOfMemory: State.OOMKilled };
    } finally {
      await watch.end();
      output.destroy();
    }
  } finally {
    await remove(engine, id).catch((thrown) =>
      o.log.warning(`The container could not be removed: ${messageOf(thrown)}`),
    );
  }
}

async function create(engine: Engine, spec: ContainerSpec): Promise<string> {
  const body = {
    Image: spec.image,
    Cmd: spec.command,
    User: spec.user,
    Labels: spec.labels,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      Mounts: spec.mounts.map(({ source, target }) => ({ Type: 'bind', Source: source, Target: target })),
      // What is attached need not be written to the Engine's disk as well: 50 MB/s instead of 21.
      LogConfig: { Type: 'none' },
      Init: false,
    },
  };
  return created.parse(await engine.request('POST', '/containers/create', { body })).Id;
}

async function start(engine: Engine, id: string): Promise<void> {
  try {
    await engine.request('POST', `/containers/${id}/start`);
  } catch (thrown) {
    if (!(thrown instanceof EngineError)) throw thrown;
    const hint = /executable file not found|no such file/i.test(thrown.message)
      ? ' Is the first word of `command` a program of the image?'
      : /bind source path does not exist|not a directory/i.test(thrown.message)
        ? ' Do the task and the Docker Engine share a file system?'
        : '';
    throw new BorealisError(`The container cannot start: ${thrown.message}.${hint}`, { cause: thrown });
  }
}

/** Stops the container when its time is up or the task is aborted. */
function stopWhen(engine: Engine, id: string, o: { timeoutMs: number; signal: AbortSignal; log: Logger }) {
  let why: Ended['stopped'] = null;
  let stopping: Promise<void> | null = null;
  const stop = (reason: 'timeout' | 'abort') => {
    if (stopping) return;
    why = reason;
    o.log.warning(
      reason === 'timeout'
        ? `Stopping the container: its ${o.timeoutMs / SECOND} s are over`
        : 'Stopping the container',
    );
    stopping = stopContainer(engine, id).catch((thrown) =>
      o.log.warning(`The container could not be stopped: ${messageOf(thrown)}`),
    );
  };
  const onAbort = () => stop('abort');
  const timer = setTimeout(() => stop('timeout'), Math.min(o.timeoutMs, 2 ** 31 - 1));
  o.signal.addEventListener('abort', onAbort, { once: true });
  if (o.signal.aborted) onAbort();
  return {
    stopped: () => why,
    async end() {
      clearTimeout(timer);
      o.signal.removeEventListener('abort', onAbort);
      await stopping;
    },
  };
}

/** SIGTERM, then SIGKILL. Over a connection of its own: the task's own may be busy. */
async function stopContainer(engine: Engine, id: string): Promise<void> {
  const { Engine: Own } = await import('./engine.ts');
  await using other = new Own(engine.address);
  try {
    await other.request('POST', `/containers/${id}/stop?t=${STOP_GRACE_SECS}`);
  } catch (thrown) {
    // 304 and 404: it has ended by itself.
    if (!(thrown instanceof EngineError)) throw thrown;
  }
}

async function remove(engine: Engine, id: string): Promise<void> {
  try {
    await engine.request('DELETE', `/containers/${id}?force=true&v=true`);
  } catch (thrown) {
    if (!(thrown instanceof EngineError && (thrown.status === 404 || thrown.status === 409))) throw thrown;
  }
}

/**
 * Removes containers that carry all of `labels`. Called before a Firework's container starts: when its last worker was
 * killed outright, its container may still be running on this Engine, and the same task must not run twice at once.
 */
export async function removeOthers(
  engine: Engine,
  labels: Record<string, string>,
  log: Logger,
): Promise<void> {
  const filters = JSON.stringify({ label: Object.entries(labels).map(([key, value]) => `${key}=${value}`) });
  const found = listed.parse(
    await engine.request('GET', `/containers/json?all=true&filters=${encodeURIComponent(filters)}`),
  );
  for (const { Id } of found) {
    log.warning(`Removing container ${Id.slice(0, 12)}, which a dead worker left`);
    await remove(engine, Id);
  }
}
