/** What is told of a task's run: with its launch, at both ends of its `>>` logs, and why it was stopped. Pure. */
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { Doc } from '../../core/launchpad/index.ts';
import type { DockerTaskParams } from '../firetasks/docker_params.ts';
import { shownRun } from './earlier.ts';
import { duration, stampOf } from './paths.ts';
import type { RunState, TaskRun } from './task_run.ts';

/** What this launch ran, and what it took: kept with the launch, whether it succeeded or not. */
export function provenance(task: DockerTaskParams, state: RunState, bytes: { in: number; out: number }): Doc {
  const { image, ended, elapsedSecs, memoryBytes, earlier } = state;
  return {
    image: task.image,
    image_id: image?.id ?? null,
    image_digest: image?.digest ?? null,
    exit_code: ended?.exitCode ?? null,
    elapsed_secs: elapsedSecs === null ? null : Number(elapsedSecs.toFixed(3)),
    peak_memory_bytes: ended?.peakMemoryBytes ?? null,
    memory_limit_bytes: memoryBytes ?? null,
    bytes_in: bytes.in,
    bytes_out: bytes.out,
    ...(earlier && {
      skipped_for: { fw_id: earlier.fw_id, launch_id: earlier.launch_id, at: earlier.at },
    }),
  };
}

export function prologue(task: DockerTaskParams, { startedAt, image }: RunState, hostName: string): string {
  const parameters = JSON.stringify({ ...task, ...(task.env && { env: masked(task.env) }) }, null, 2);
  return `${stampOf(startedAt)} DockerTask: ${task.name}, host: ${hostName}\n\n${parameters}\n\nDocker Image ID: ${image?.id ?? '---'}`;
}

/** Logs are read by many. */
function masked(env: Record<string, string>): Record<string, string> {
  const secret = /pass|secret|token|credential|key/i;
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, secret.test(name) ? '***' : value]),
  );
}

export function epilogue(
  task: DockerTaskParams,
  { elapsedSecs, earlier }: RunState,
  failure: unknown,
  at = new Date(),
): string {
  const how = failure ? 'FAILED' : earlier ? 'SKIPPED' : 'SUCCESSFUL';
  const why = failure
    ? ` ${messageOf(failure)}`
    : earlier
      ? `: ${shownRun(earlier)} did the same, and its outputs were taken over`
      : '';
  const elapsed = elapsedSecs === null ? '---' : duration(elapsedSecs);
  return `${stampOf(at)} ${how} TASK: ${task.name}, elapsed ${elapsed} of timeout parameter ${duration(task.timeout)}${why}`;
}

/** The reason when the task was stopped, whatever failed because of it; null when it was not. */
export function whyStopped({ budget, flight, task, state }: TaskRun): BorealisError | null {
  if (flight.signal.aborted) return new BorealisError(`The task was stopped${howStopped(state)}`);
  if (!budget.signal.aborted) return null;
  return new BorealisError(
    `Docker process timeout: its ${task.timeout} s were over while ${budget.spentOn}${howStopped(state)}. Give the task a longer \`timeout\` (seconds), or less to do`,
  );
}

function howStopped({ ended }: RunState): string {
  const by = ended?.stoppedBy;
  return by === 'SIGKILL'
    ? ': SIGTERM did not end it, SIGKILL did'
    : by === 'SIGTERM'
      ? ': SIGTERM ended it'
      : '';
}
