/** A DockerTask's run: what it works with, and what is known of it so far. */
import type { Storage } from '../../core/cloud/storage.ts';
import type { DockerTaskParams } from '../firetasks/docker_params.ts';
import type { Flight } from '../firetasks/firetask.ts';
import type { PythonInside } from '../firetasks/python_inside.ts';
import type { Budget } from './budget.ts';
import type { Ended } from './container.ts';
import type { Earlier } from './earlier.ts';
import type { Engine } from './engine.ts';
import { type Image, provideImage } from './image.ts';
import type { Staging } from './staging.ts';

export interface TaskRun {
  readonly task: DockerTaskParams;
  readonly flight: Flight;
  readonly engine: Engine;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly budget: Budget;
  /** Null: it runs a command. */
  readonly inside: PythonInside | null;
  /** Aborts when the task must stop: its time is up, or the rocket is to be given back. */
  readonly signal: AbortSignal;
  readonly state: RunState;
}

/** Noted by whoever does the work, for what is told of the run (report.ts), as far as it came. */
export interface RunState {
  readonly startedAt: Date;
  image: Image | null;
  /** The limit of its container; undefined: none. */
  memoryBytes: number | undefined;
  /** How its last container ended; null: none did. */
  ended: Ended | null;
  elapsedSecs: number | null;
  /** The run whose outputs were taken over: nothing ran. */
  earlier: Earlier | null;
}

export const beginningOf = (task: DockerTaskParams): RunState => ({
  startedAt: new Date(),
  image: null,
  memoryBytes: task.memory ?? undefined,
  ended: null,
  elapsedSecs: null,
  earlier: null,
});

/** The image. Whoever looked for an earlier run has it already. */
export async function needImage(run: TaskRun): Promise<Image> {
  return run.state.image ?? (await findImage(run));
}

/** Finds the image or pulls it, also when it was here before. */
export async function findImage({ engine, task, flight, signal, state }: TaskRun): Promise<Image> {
  state.image = await provideImage(engine, task.image, task.pull, {
    log: flight.log,
    signal,
    env: flight.env,
    pruneAtPercent: flight.pruneImagesAtPercent,
  });
  return state.image;
}
