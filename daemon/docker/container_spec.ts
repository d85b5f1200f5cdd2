/** What a task's container is like: what the task says, what it gets to see, and by what it is known as this worker's. */
import { describeLaunchPad } from '../../core/launchpad/index.ts';
import type { Flight } from '../firetasks/firetask.ts';
import type { ContainerSpec } from './container.ts';
import type { Image } from './image.ts';
import { LABELS } from './leftovers.ts';
import type { TaskRun } from './task_run.ts';

export function containerSpec(run: TaskRun, image: Image, command: string[]): ContainerSpec {
  const { task, flight, staging, inside, state } = run;
  return {
    image: image.id,
    command,
    user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
    mounts: [...staging.mounts, ...(inside?.mounts ?? [])],
    labels: labelsOf(flight),
    entrypoint: entrypointOf(run),
    env: inside ? { PYTHONUNBUFFERED: '1', ...task.env } : (task.env ?? undefined),
    workdir: task.workdir ?? undefined,
    memoryBytes: state.memoryBytes,
    cpus: task.cpus ?? undefined,
    gpus: task.gpus ?? undefined,
    shmBytes: task.shm_size ?? undefined,
    network: task.network ?? undefined,
  };
}

/** A Firetask's is a Python; undefined: the image's own. */
export function entrypointOf({ task, inside }: TaskRun): string[] | undefined {
  return task.entrypoint ?? (inside ? ['python3'] : undefined);
}

/** By these it is found when this worker is no more. */
export function labelsOf(flight: Flight) {
  return {
    [LABELS.launchpad]: flight.launchPad
      ? describeLaunchPad(flight.launchPad)
      : `offline, ${flight.launchDir}`,
    [LABELS.fwId]: String(flight.fwId),
    [LABELS.launchId]: String(flight.launchId),
    [LABELS.worker]: flight.fworker.name,
    [LABELS.host]: flight.hostName,
    [LABELS.guard]: flight.guard.path,
  };
}
