/** Running a Firework again (`LaunchPad.rerun_fw`, `Workflow.rerun_fw`). */
import { BorealisError } from '../errors.ts';
import { ending } from './launch_documents.ts';
import type { LaunchPad } from './launchpad.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { refresh } from './refresh.ts';
import { type Doc, isDoc, numberOf, TYPED } from './values.ts';

export interface RerunOptions {
  /** Rerun those too that share its launches. True when left out. */
  withDuplicates?: boolean;
  /** Begin at the Firetask that did not end: of the last launch, or of the one named. */
  recover?: 'last' | number;
  /** Where the recovered run finds its files: in the old folder, copied from there, or (null) nowhere. */
  recoverMode?: 'prev_dir' | 'cp' | null;
  /**
   * Only while this is one of its launches: for those who found a run lost, when somebody else may have found it too, and it
   * runs again.
   */
  holding?: number;
}

/**
 * Archives the launches of `fwId` and of everything below it that has started or could, and makes them WAITING or READY
 * again. ARCHIVED and DEFUSED Fireworks are left alone. Fireworks that share its launches are rerun too. Returns the ids of
 * those that were asked for or shared. Throws BorealisError when there is no such Firework, or nothing to recover from.
 *
 * A launch that was RUNNING is ended as FIZZLED, so that its worker learns by its next heartbeat that it is not wanted any
 * more. (Python leaves it RUNNING until it is found lost.) A crash before that leaves a RUNNING launch that no Firework
 * names: its results are refused, and a lost-run sweep ends it.
 */
export async function rerun(launchpad: LaunchPad, fwId: number, o: RerunOptions = {}): Promise<number[]> {
  const { withDuplicates = true } = o;
  const projection = { state: 1, launches: 1, 'spec._dupefinder': 1 };
  const firework = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection });
  if (!firework) throw new BorealisError(`There is no Firework with fw_id ${fwId}`);
  const launches = (firework.launches as unknown[]).map(numberOf);
  const sharing: number[] = [];
  if (withDuplicates && firework.spec?._dupefinder && launches.length > 0) {
    const same = { launches: { $in: launches }, fw_id: { $ne: fwId } };
    for await (const other of launchpad.fireworks.find(same, { projection: { fw_id: 1 } }))
      sharing.push(numberOf(other.fw_id));
  }
  await setRecovery(launchpad, fwId, launches, o);
  const rerunIds: number[] = [];
  const skip = ['ARCHIVED', 'DEFUSED', ...(o.recover === undefined ? ['WAITING'] : [])];
  if (!skip.includes(firework.state)) {
    const archived = await rerunUnderLock(launchpad, fwId, o.holding);
    if (!archived) return rerunIds;
    await endRunning(launchpad, archived);
    rerunIds.push(fwId);
  }
  for (const other of sharing)
    rerunIds.push(...(await rerun(launchpad, other, { ...o, withDuplicates: false })));
  return rerunIds;
}

/** The launches that were archived; null when `holding` is not among those of the Firework any more. */
async function rerunUnderLock(
  launchpad: LaunchPad,
  fwId: number,
  holding: number | undefined,
): Promise<number[] | null> {
  const workflow = await OpenWorkflow.open(launchpad, fwId);
  try {
    await workflow.loadNodes([fwId]);
    if (holding !== undefined && !workflow.node(fwId).launches.includes(holding)) {
      await workflow.abandon();
      return null;
    }
    const archived = await rerunIn(workflow, fwId);
    await workflow.commit(fwId);
    return archived;
  } catch (thrown) {
    await workflow.abandon();
    throw thrown;
  }
}

/** Writes where the next run begins into the spec, or takes away where the last one did. */
async function setRecovery(
  { fireworks, launches }: LaunchPad,
  fwId: number,
  own: readonly number[],
  o: RerunOptions,
): Promise<void> {
  if (o.recover === undefined) {
    // A person's wish, not a sweeper's: preemptions are counted anew.
    const forgotten = o.holding === undefined && { preemptions: '' as const };
    await fireworks.updateOne({ fw_id: fwId }, { $unset: { 'spec._recovery': '', ...forgotten } });
    return;
  }
  const launchId = o.recover === 'last' ? own.at(-1) : o.recover;
  if (launchId === undefined) throw new BorealisError(`Firework ${fwId} has no launch to recover from`);
  if (!own.includes(launchId)) throw new BorealisError(`Launch ${launchId} is not one of Firework ${fwId}`);
  const projection = { launch_dir: 1, state_history: 1 };
  const launch = await launches.findOne({ launch_id: launchId }, { projection, ...TYPED });
  const checkpoint = (launch?.state_history as Doc[] | undefined)?.at(-1)?.checkpoint;
  if (!isDoc(checkpoint))
    throw new BorealisError(`Launch ${launchId} left nothing to recover from: none of its Firetasks began`);
  const { recoverMode = null } = o;
  const recovery = {
    ...checkpoint,
    _prev_dir: launch?.launch_dir,
    _launch_id: launchId,
    _mode: recoverMode,
  };
  const set: Doc = { 'spec._recovery': recovery };
  if (recoverMode === 'prev_dir') set['spec._launch_dir'] = launch?.launch_dir;
  await fireworks.updateOne({ fw_id: fwId }, { $set: set, $unset: { preemptions: '' } });
}

/**
 * Reruns one Firework of an open workflow, then its children that are not WAITING, parents first. Returns the launches
 * that were archived.
 */
export async function rerunIn(workflow: OpenWorkflow, fwId: number): Promise<number[]> {
  await workflow.loadNodes([fwId]);
  const node = workflow.node(fwId);
  const archived = node.launches;
  if (archived.length > 0) {
    node.archivedLaunches = [...new Set([...node.archivedLaunches, ...archived])];
    node.launches = [];
    node.changed.add('launches');
  }
  if (node.state === 'FIZZLED') {
    await workflow.loadSpecs([fwId]);
    if (node.spec && '_exception_details' in node.spec) {
      delete node.spec._exception_details;
      node.changed.add('spec');
    }
  }
  workflow.setState(fwId, 'WAITING');
  await refresh(workflow, fwId);
  const children = workflow.children(fwId);
  if (children.length === 0) return archived;
  await Promise.all([workflow.loadNodes(children), workflow.loadAround(children)]);
  const below: number[] = [];
  for (const child of children)
    if (workflow.node(child).state !== 'WAITING') below.push(...(await rerunIn(workflow, child)));
  return [...archived, ...below];
}

async function endRunning({ launches }: LaunchPad, launchIds: readonly number[]): Promise<void> {
  if (launchIds.length === 0) return;
  const running = { launch_id: { $in: [...launchIds] }, state: 'RUNNING' };
  const projection = { launch_id: 1, state_history: 1, time_start: 1 };
  for await (const launch of launches.find(running, { projection, ...TYPED }))
    await launches.updateOne({ launch_id: launch.launch_id, state: 'RUNNING' }, ending(launch, 'FIZZLED'));
}
