/** One run of a task's command or Firetask, in a container of its own. */
import { BorealisError, messageOf } from '../../core/errors.ts';
import { SECOND } from '../../core/wait.ts';
import { words } from '../firetasks/script.ts';
import { LoggedOutput } from '../lines.ts';
import type { Captures } from './capture.ts';
import { commandOf } from './command.ts';
import { Company } from './company.ts';
import { type Ended, runContainer, StartError } from './container.ts';
import { containerSpec, entrypointOf, labelsOf } from './container_spec.ts';
import { isNotFound } from './engine.ts';
import { LABELS, removeOthersOf } from './leftovers.ts';
import { findImage, needImage, type TaskRun } from './task_run.ts';
import { type Verdict, verdictOf } from './verdict.ts';

/** Between SIGTERM and SIGKILL, when the time is up. */
const STOP_GRACE_MS = 10 * SECOND;

/** All containers of this worker, whichever slot they are of. */
const company = new Company();

/** Waits until it may run beside the others, or alone, and runs to its end. The verdict is null for a success. */
export async function attempt(
  run: TaskRun,
  captures: Captures,
  alone: boolean,
): Promise<{ ended: Ended; verdict: Verdict | null }> {
  const { flight, budget, state } = run;
  // Waiting for others is not the task's own time.
  budget.pause();
  using _place = await company.enter(alone, flight.signal).finally(() => budget.go());
  const started = performance.now();
  state.ended = null;
  try {
    state.ended = await runInContainer(run, captures);
  } finally {
    state.elapsedSecs = (performance.now() - started) / 1000;
  }
  return { ended: state.ended, verdict: verdictOf(state.ended, state.memoryBytes) };
}

async function runInContainer(run: TaskRun, captures: Captures): Promise<Ended> {
  const { task, flight, engine, inside, signal } = run;
  const { log, guard } = flight;
  const labels = labelsOf(flight);
  const own = { launchpad: labels[LABELS.launchpad], fwId: flight.fwId, launchId: flight.launchId };
  await removeOthersOf(engine, own, { log, signal });
  guard.watchContainers(`${LABELS.guard}=${guard.path}`);
  const logged = new LoggedOutput(log);
  const start = async (command: string[]) => {
    log.debug(`Running: ${command.join(' ')}`);
    return await runContainer(engine, containerSpec(run, await needImage(run), command), {
      signal,
      graceMs: Math.min(STOP_GRACE_MS, flight.graceMs),
      hastened: guard.hastened,
      log,
      async onOutput(bytes) {
        await captures.write(bytes);
        logged.write(bytes);
      },
    });
  };
  const image = await needImage(run);
  const entrypoint = entrypointOf(run) ?? image.entrypoint;
  const command = inside?.command ?? commandOf(task.command ?? [], { ...image, entrypoint });
  try {
    return await start(command);
  } catch (thrown) {
    if (isNotFound(thrown)) {
      // Another worker of this Engine needed room, and removed the image before it was used here.
      log.warning(`The image is not there any more: ${messageOf(thrown)}`);
      await findImage(run);
      return await start(command);
    }
    // An image without a shell: the words go to the program itself, which is all that can be done with them.
    const isMissing = thrown instanceof StartError && thrown.code === 127;
    if (isMissing && inside)
      throw new BorealisError(
        `There is no program '${entrypoint[0]}' in the image ${task.image}, which a firetask runs in. Install Python there, or name it: \`entrypoint\``,
      );
    const shellIsMissing = isMissing && entrypoint.length === 0;
    if (!shellIsMissing || typeof task.command !== 'string') throw thrown;
    return await start(words(task.command));
  } finally {
    guard.watchContainers(null);
    logged.end();
  }
}
