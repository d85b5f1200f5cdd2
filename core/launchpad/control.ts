/** What people do to Fireworks and workflows: pause, defuse, archive, delete, and the way back. */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { UNLOCK } from './lock.ts';
import type { State } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { type Doc, isoTime, numberOf } from './values.ts';

export { deleteWorkflow } from './delete.ts';

/** Changes the state of one Firework when it is in one of `from`, and refreshes. False when it was not. */
async function move(launchpad: LaunchPad, fwId: number, from: State[], to: State): Promise<boolean> {
  const { matchedCount } = await launchpad.fireworks.updateOne(
    { fw_id: fwId, state: { $in: from } },
    { $set: { state: to, updated_on: isoTime() } },
  );
  if (matchedCount > 0) await refreshFirework(launchpad, fwId);
  return matchedCount > 0;
}

/** Holds a Firework that has not started. False when it has. */
export const pause = (launchpad: LaunchPad, fwId: number) =>
  move(launchpad, fwId, ['WAITING', 'READY', 'RESERVED'], 'PAUSED');

export const resume = (launchpad: LaunchPad, fwId: number) => move(launchpad, fwId, ['PAUSED'], 'WAITING');

export const reignite = (launchpad: LaunchPad, fwId: number) => move(launchpad, fwId, ['DEFUSED'], 'WAITING');

/** Takes a Firework out of the game; one that ran is put back first, as FireWorks does. */
export async function defuse(launchpad: LaunchPad, fwId: number): Promise<boolean> {
  const allowed: State[] = ['DEFUSED', 'WAITING', 'READY', 'FIZZLED', 'PAUSED'];
  if (await move(launchpad, fwId, allowed, 'DEFUSED')) return true;
  await rerun(launchpad, fwId);
  return await move(launchpad, fwId, allowed, 'DEFUSED');
}

/** The fw_ids of the workflow that has `fwId`. Throws BorealisError when there is none. */
export async function nodesOf(launchpad: LaunchPad, fwId: number): Promise<number[]> {
  const workflow = await launchpad.workflows.findOne({ nodes: fwId }, { projection: { nodes: 1 } });
  if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
  return (workflow.nodes as unknown[]).map(numberOf);
}

async function statesIn(launchpad: LaunchPad, fwId: number): Promise<Map<number, State>> {
  const found = launchpad.fireworks.find(
    { fw_id: { $in: await nodesOf(launchpad, fwId) } },
    { projection: { fw_id: 1, state: 1 } },
  );
  const states = new Map<number, State>();
  for await (const document of found) states.set(numberOf(document.fw_id), document.state as State);
  return states;
}

/** Defuses every Firework of a workflow; those that ended are left when `all` is false (`defuse_wf`). */
export async function defuseWorkflow(launchpad: LaunchPad, fwId: number, all = true): Promise<void> {
  for (const [id, state] of await statesIn(launchpad, fwId)) {
    if (all || (state !== 'COMPLETED' && state !== 'FIZZLED')) await defuse(launchpad, id);
  }
}

export async function pauseWorkflow(launchpad: LaunchPad, fwId: number): Promise<void> {
  for (const [id, state] of await statesIn(launchpad, fwId)) {
    if (!['COMPLETED', 'FIZZLED', 'DEFUSED'].includes(state)) await pause(launchpad, id);
  }
}

export async function reigniteWorkflow(launchpad: LaunchPad, fwId: number): Promise<void> {
  for (const [id] of await statesIn(launchpad, fwId)) await reignite(launchpad, id);
}

export async function resumeWorkflow(launchpad: LaunchPad, fwId: number): Promise<void> {
  for (const [id] of await statesIn(launchpad, fwId)) await resume(launchpad, id);
}

/** Puts a workflow away: its launches into the archive, so that no duplicate is found in it, its Fireworks ARCHIVED. */
export async function archiveWorkflow(launchpad: LaunchPad, fwId: number): Promise<void> {
  const workflow = await launchpad.workflows.findOne({ nodes: fwId }, { projection: { state: 1 } });
  if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
  if (workflow.state === 'ARCHIVED') return;
  const ids = await nodesOf(launchpad, fwId);
  for (const id of ids) await rerun(launchpad, id);
  await OpenWorkflow.change(launchpad, fwId, async (open) => {
    await open.loadWhole();
    await open.loadNodes(ids);
    for (const id of ids) open.setState(id, 'ARCHIVED');
  });
}

/** Sets `_priority`: higher goes first. */
export async function setPriority(launchpad: LaunchPad, fwId: number, priority: number): Promise<void> {
  await launchpad.fireworks.updateOne({ fw_id: fwId }, { $set: { 'spec._priority': priority } });
}

/** Changes keys of the specs of Fireworks that do not run; returns the ids that could not be changed (`update_spec`). */
export async function updateSpecs(
  launchpad: LaunchPad,
  fwIds: number[],
  update: Doc,
  asMongo = false,
): Promise<number[]> {
  const change = asMongo
    ? update
    : { $set: Object.fromEntries(Object.entries(update).map(([key, value]) => [`spec.${key}`, value])) };
  const allowed = ['READY', 'WAITING', 'FIZZLED', 'DEFUSED', 'PAUSED'];
  await launchpad.fireworks.updateMany(
    { fw_id: { $in: fwIds }, state: { $in: allowed } },
    change as Document,
  );
  const rest = launchpad.fireworks.find(
    { fw_id: { $in: fwIds }, state: { $nin: allowed } },
    { projection: { fw_id: 1 } },
  );
  return (await rest.toArray()).map((document) => numberOf(document.fw_id));
}

/** Takes a lock away that somebody left, and repairs the workflow from its Fireworks. */
export async function unlock(launchpad: LaunchPad, fwId: number): Promise<void> {
  await nodesOf(launchpad, fwId);
  await launchpad.workflows.updateOne({ nodes: fwId }, { $unset: UNLOCK });
  await OpenWorkflow.change(launchpad, fwId, (workflow) => workflow.repair());
}
