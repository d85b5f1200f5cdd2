/** What a run's outputs follow from, besides its inputs: runs that agree in it leave the same. Pure. */
import { type Doc, toJson } from '../../core/launchpad/index.ts';
import type { DockerTaskParams } from '../firetasks/docker_params.ts';
import { captureOf } from './paths.ts';

/** What a run is, apart from its parameters. */
export interface RunsIn {
  /** By its ID: one digest may stand for images of several kinds of machines. */
  imageId: string | undefined;
  /** The Firetask that runs inside, as its answer follows from it; undefined: a command runs. */
  firetask: Doc | undefined;
}

/** For outputs in storage, which any later task may take over: wherever it stores its own, and whatever it logs. */
export function cacheFingerprint(task: DockerTaskParams, { imageId, firetask }: RunsIn): Doc {
  const { command, entrypoint, env, workdir, gpus, network, internal_prefix, fwaction } = task;
  const outputs = (task.outputs ?? []).filter((path) => captureOf(path) !== '>>').sort();
  const runs = { command, entrypoint, env, workdir, gpus, network };
  return { image: imageId, ...runs, internal_prefix, outputs, fwaction, firetask };
}

/** For outputs that were kept on this worker, to be stored as they are: where and under which names counts too. */
export function keptFingerprint(task: DockerTaskParams, { imageId, firetask }: RunsIn): string {
  const { command, entrypoint, env, workdir, internal_prefix, storage_prefix, outputs, fwaction } = task;
  const paths = { internal_prefix, storage_prefix, outputs, fwaction };
  const runs = { command, firetask: firetask ? toJson(firetask) : null };
  return JSON.stringify({ image: imageId, ...runs, entrypoint, env, workdir, ...paths });
}
