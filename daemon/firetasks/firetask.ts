import * as z from 'zod';
import type { Storage } from '../../core/cloud/storage.ts';
import { BorealisError } from '../../core/errors.ts';
import type { Doc, FWAction, FWorker, LaunchPadSettings } from '../../core/launchpad/index.ts';
import type { Logger } from '../../core/log.ts';
import type { Depot } from '../docker/depot.ts';
import type { Guard } from '../guard.ts';

/** What a Firetask knows of the rocket that it is part of. */
export interface Flight {
  readonly fwId: number;
  readonly launchId: number;
  /** Absolute, there, and this launch's own. The working folder of the task's processes. */
  readonly launchDir: string;
  /** The spec with JavaScript's numbers, `_fw_env` added, changed by the actions of earlier Firetasks. */
  readonly spec: Doc;
  /** The same with Int32, Double and Long kept: for Python. */
  readonly rawSpec: Doc;
  /** The parameters of this Firetask with types kept. */
  readonly rawParams: Doc;
  readonly taskIndex: number;
  readonly fworker: FWorker;
  readonly hostName: string;
  /** Null: the rocket flies offline. */
  readonly launchPad: LaunchPadSettings | null;
  readonly log: Logger;
  /** Aborts when the task must stop now: it ends its processes and throws. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The Python for PyTask and for users' Firetasks. */
  readonly python: string;
  /** What starts processes so that they cannot outlive the worker. */
  readonly guard: Guard;
  /** How long a process may take to end after SIGTERM. */
  readonly graceMs: number;
  /** Images that the worker pulled go when the Docker Engine's disk is this full; 0: never. */
  readonly pruneImagesAtPercent: number;
  storage(): Promise<Storage>;
  /** What DockerTasks share on this worker's disk. */
  depot(): Promise<Depot>;
}

/** A kind of task. `params` checks the parameters before `run`; keys that begin with `_` are FireWorks' own. */
export interface Firetask {
  readonly names: readonly string[];
  readonly params: z.ZodType<Doc>;
  /** With `use_global_spec` its parameters are keys of the spec, as FireWorks has it for some. */
  readonly globalSpec?: boolean;
  run(params: Doc, flight: Flight): Promise<Partial<FWAction> | null>;
}

/** A parameter that Python takes for true or false: numbers and None will do as well. */
export const truth = z.union([z.boolean(), z.number(), z.null()], 'must be true or false').transform(Boolean);

/** The same with what it is when left out. */
export const flag = (leftOut: boolean) => truth.prefault(leftOut);

/** A task's own failure. `exception` is the class name that Python's users see in the stack trace's last line. */
export class FiretaskError extends BorealisError {
  override readonly name = 'FiretaskError';
  constructor(
    readonly exception: string,
    message: string,
    readonly details: unknown = null,
    /** Python's own traceback, when the failure happened there. */
    readonly traceback?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Ends a Firetask as a Python exception of that name would. */
export function fail(exception: string, message: string): never {
  throw new FiretaskError(exception, message);
}

/** Python's `assert`. */
export function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) fail('AssertionError', otherwise);
}

/** Python's `fw_spec[key]`: a key that is not there is an error. */
export function specValue(spec: Doc, key: string): unknown {
  if (!Object.hasOwn(spec, key)) fail('KeyError', `'${key}' is not in the spec`);
  return spec[key];
}
