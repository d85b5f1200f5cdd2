/**
 * What need not be run again: outputs that could not be stored were kept on this worker for the Firework's next launch; with
 * `cache` those of an earlier run that did the same are taken over from storage.
 */
import { StoredByNewerRun } from '../../core/cloud/overwrite.ts';
import { BorealisError, messageOf } from '../../core/errors.ts';
import { type FWAction, fromJson, parseFWAction, toJson } from '../../core/launchpad/index.ts';
import { type Earlier, findEarlier, recordName, remember, shownRun, takeOver } from './earlier.ts';
import { cacheFingerprint, keptFingerprint, type RunsIn } from './fingerprint.ts';
import type { Manifest } from './kept_outputs.ts';
import { objectName } from './paths.ts';
import { whyStopped } from './report.ts';
import type { Stored } from './staging.ts';
import { needImage, type TaskRun } from './task_run.ts';

/** Takes the outputs of an earlier run here that could not be stored then; with them there is nothing left to run. */
export async function takeKept(run: TaskRun): Promise<Manifest | null> {
  const { task, flight, storage, staging, budget, signal } = run;
  if (!(await staging.hasKept())) return null;
  await budget.during('the image was being pulled', needImage(run));
  await budget.during('inputs were being looked for', staging.findInputs(storage, signal));
  const taken = await staging.takeKept(keptFingerprint(task, runsIn(run)));
  if (taken) flight.log.info('It ran here before, and its outputs were kept: they are stored now');
  return taken;
}

/** Outputs that could not be stored stay on this worker's disk. Returns the failure, which says where. */
export async function keepOutputs(
  run: TaskRun,
  why: unknown,
  action: Partial<FWAction> | null,
): Promise<unknown> {
  const { task, flight, staging } = run;
  const failure = whyStopped(run) ?? why;
  if (flight.signal.aborted || why instanceof StoredByNewerRun) return failure;
  const place = await staging.keepOutputs(keptFingerprint(task, runsIn(run)), action && toJson(action));
  const names = staging.outputs.map(({ sub }) => `gs://${staging.bucket}/${objectName(staging.prefix, sub)}`);
  return new BorealisError(
    `${messageOf(failure)}. The command succeeded; its outputs (${names.join(', ')}) are kept in ${place} on ${flight.hostName}. When this Firework is rerun there, they are stored without running it again: lpad rerun_fws -i ${flight.fwId}`,
  );
}

/**
 * Takes over what an earlier run left in storage, with the same image, parameters and inputs; null when there is none. A bucket
 * that cannot be asked is no reason not to run.
 */
export async function takeEarlier(run: TaskRun): Promise<Earlier | null> {
  const { flight, storage, staging, budget, signal } = run;
  await budget.during('the image was being pulled', needImage(run));
  await budget.during('inputs were being looked for', staging.findInputs(storage, signal));
  const taking = budget.during('an earlier run was being looked for', lookForEarlier(run));
  return await taking.catch((thrown) => {
    signal.throwIfAborted();
    if (thrown instanceof StoredByNewerRun) throw thrown;
    flight.log.warning(`Whether it ran before cannot be found out, so it runs: ${messageOf(thrown)}`);
    return null;
  });
}

async function lookForEarlier(run: TaskRun): Promise<Earlier | null> {
  const { flight, storage, staging, signal } = run;
  const earlier = await findEarlier(storage, staging.bucket, recordOf(run));
  if (!earlier) flight.log.info('No earlier run had the same image, parameters and inputs: it runs');
  else if (await takeOver(storage, staging, earlier, signal)) return earlier;
  else flight.log.info(`${shownRun(earlier)} did the same, but its outputs are not there any more: it runs`);
  return null;
}

/** Leaves a record of this run, for later ones. Without it they run, nothing worse. */
export async function rememberRun(
  run: TaskRun,
  stored: Stored,
  action: Partial<FWAction> | null,
): Promise<void> {
  const { flight, storage, staging, signal } = run;
  try {
    const name = recordOf(run);
    if (await staging.inputsAreTheSame(storage, signal))
      await remember(storage, staging, name, stored, action && toJson(action));
    else flight.log.info('Its inputs were replaced meanwhile: no later run will take its outputs over');
  } catch (thrown) {
    flight.log.warning(`No later run will take its outputs over: ${messageOf(thrown)}`);
  }
}

/** The FWAction of the run whose outputs were taken. */
export const actionBefore = ({ fwaction }: Earlier | Manifest) =>
  fwaction === null ? null : parseFWAction(fromJson(fwaction), 'The FWAction of the earlier run');

const recordOf = (run: TaskRun) =>
  recordName(cacheFingerprint(run.task, runsIn(run)), run.staging.inputFacts);

const runsIn = ({ state, inside }: TaskRun): RunsIn => ({
  imageId: state.image?.id,
  firetask: inside?.facts,
});
