/** A task's container is run until it is done: again when it fails (`retries`), with more memory when it lacked it (`retry_on_oom`). */
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { BorealisError } from '../../core/errors.ts';
import { SECOND, sleep } from '../../core/wait.ts';
import { attempt } from './attempt.ts';
import type { Captures } from './capture.ts';
import { memoryOf, shownSize } from './memory.ts';
import { stampOf } from './paths.ts';
import type { TaskRun } from './task_run.ts';

/** Between two runs of a command that fails. */
const FIRST_PAUSE_MS = SECOND;
const LONGEST_PAUSE_MS = 30 * SECOND;

/** Runs the command, again when it fails and the task says so. Throws what is wrong about its last end. */
export async function runUntilDone(run: TaskRun, captures: Captures): Promise<void> {
  const { task, flight, inside, signal } = run;
  let retries = task.retries;
  let retriesOnOom = task.retry_on_oom;
  let pause = FIRST_PAUSE_MS;
  for (let alone = false; ; ) {
    const { ended, verdict } = await attempt(run, captures, alone);
    if (ended.stoppedBy) signal.throwIfAborted();
    if (!verdict) return;
    const raised = verdict.outOfMemory ? null : await inside?.raised();
    const failure = raised ?? new BorealisError(verdict.message);
    if (verdict.outOfMemory && retriesOnOom > 0) {
      retriesOnOom--;
      alone = true;
      await raiseMemory(run, verdict.message);
    } else if (!verdict.outOfMemory && retries > 0) {
      retries--;
      flight.log.warning(
        `${failure.message}: running it again in ${pause / SECOND} s (\`retries\`: ${retries} more)`,
      );
      await sleep(pause, signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    } else throw failure;
    signal.throwIfAborted();
    await captures.again(`${stampOf(new Date())} ${failure.message}: run again`);
    await emptyOutputs(run);
  }
}

/** Twice the memory for the next run, as far as the VM has it. Throws when it had all that there is. */
async function raiseMemory({ flight, engine, signal, state }: TaskRun, why: string): Promise<void> {
  const most = await memoryOf(engine, signal);
  const had = state.memoryBytes;
  if (had && had >= most) throw new BorealisError(why);
  // Without a limit it had to share all that there is.
  if (had) state.memoryBytes = Math.min(2 * had, most);
  const now = state.memoryBytes ? shownSize(state.memoryBytes) : "all of the VM's";
  flight.log.warning(`${why}. Running it again (\`retry_on_oom\`), alone, with ${now} of memory`);
}

/** What a run that failed left must not be taken for the next one's. */
async function emptyOutputs({ inside, staging }: TaskRun): Promise<void> {
  await inside?.forget();
  for (const { local, tree, capture } of staging.outputs) {
    if (capture) continue;
    if (!tree) await truncate(local);
    else
      for (const name of await readdir(local)) await rm(join(local, name), { recursive: true, force: true });
  }
}
