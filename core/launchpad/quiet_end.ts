/**
 * The end of a Firework from which nothing follows: no child becomes READY, and the workflow goes on. It needs no lock, only
 * one atomic write to the workflow, which changes nothing that anybody writes under the lock but this one state.
 *
 * That nothing follows is seen in the answer to that write, by a few others that are open still. Of several that a child
 * waits for, and that end at the same time, the last one to write sees that the others have ended, and does not go this way.
 */
import type { Document } from 'mongodb';
import type { Claim, Place } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import type { State } from './model.ts';
import { LASTING } from './open_workflow.ts';
import { refreshFirework } from './refresh.ts';
import { isoTime, numberOf } from './values.ts';

/** `taken`: the Firework is not this launch's any more. `needs the lock`: something may follow. */
export type QuietEnd = 'done' | 'taken' | 'needs the lock';

/** More children than this are not glanced at one by one. */
const FEW = 20;

/**
 * How to end the Firework of a launch without the lock; null where it is known already that this will not do. To be called
 * when the launch has ended. The workflow is written before the Firework, so that what is added from then on knows that this
 * one has ended: a crash in between leaves the Firework RUNNING with a finished launch, as in `complete`.
 */
export function quietEnd(
  launchpad: LaunchPad,
  claim: Pick<Claim, 'fwId' | 'launchId'>,
  place: Place,
): (() => Promise<QuietEnd>) | null {
  if (place.alone) return () => end(launchpad, claim, () => endWorkflow(launchpad, claim.fwId, place));
  const glance = toGlanceAt(launchpad, place);
  if (glance.length === 0) return null;
  return () => end(launchpad, claim, () => endInWorkflow(launchpad, claim.fwId, place, glance));
}

async function end(
  launchpad: LaunchPad,
  { fwId, launchId }: Pick<Claim, 'fwId' | 'launchId'>,
  workflowKnows: () => Promise<boolean>,
): Promise<QuietEnd> {
  if (!(await workflowKnows())) return 'needs the lock';
  const own = await launchpad.fireworks.updateOne(
    { fw_id: fwId, state: 'RUNNING', launches: launchId },
    { $set: { state: 'COMPLETED', updated_on: isoTime() } },
  );
  if (own.matchedCount > 0) return 'done';
  // It was rerun a moment ago, and the workflow says what is not true; or it is being deleted.
  const there = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection: { _id: 1 } });
  if (there) await refreshFirework(launchpad, fwId);
  return 'taken';
}

/** Ends the workflow of a Firework that is the only one in it. False while somebody holds the lock, to add to it or to rerun. */
async function endWorkflow({ workflows }: LaunchPad, fwId: number, { workflowId }: Place): Promise<boolean> {
  const { matchedCount } = await workflows.updateOne(
    { _id: workflowId as never, nodes: { $size: 1 }, state: 'RUNNING', locked: { $exists: false } },
    { $set: { state: 'COMPLETED', [`fw_states.${fwId}`]: 'COMPLETED', updated_on: new Date() } },
  );
  return matchedCount > 0;
}

/** Ends a Firework in its workflow. False when something may follow, or somebody holds the lock. */
async function endInWorkflow(
  { workflows, stillOpen }: LaunchPad,
  fwId: number,
  { workflowId }: Place,
  glance: readonly number[],
): Promise<boolean> {
  const states = Object.fromEntries(glance.map((id) => [`fw_states.${id}`, 1]));
  const workflow = await workflows.findOneAndUpdate(
    {
      _id: workflowId as never,
      // Whoever reruns it has said so here.
      [`fw_states.${fwId}`]: 'RUNNING',
      state: { $in: [...LASTING] },
      locked: { $exists: false },
    },
    { $set: { [`fw_states.${fwId}`]: 'COMPLETED', updated_on: new Date() } },
    { projection: { [`links.${fwId}`]: 1, ...states }, returnDocument: 'after' },
  );
  if (!workflow) return false;
  const stateOf = (id: number) => (workflow as Document).fw_states?.[id] as State | undefined;
  const isOpen = (id: number) => id !== fwId && ![undefined, 'COMPLETED', 'FIZZLED'].includes(stateOf(id));
  // Some may have been added since the claim.
  const children = ((workflow.links?.[fwId] ?? []) as unknown[]).map(numberOf);
  if (children.length === 0) return stillOpen.leavesOf(workflowId).some(isOpen);
  return children.every(
    (child) => stateOf(child) === 'WAITING' && stillOpen.parentsOf(workflowId, child).some(isOpen),
  );
}

/** Whose states tell whether anything follows from the end of a Firework. None: not to be told so. */
function toGlanceAt({ stillOpen }: LaunchPad, { workflowId, children }: Place): readonly number[] {
  if (children.length > FEW) return [];
  if (children.length === 0) return stillOpen.leavesOf(workflowId);
  const parents = children.map((child) => stillOpen.parentsOf(workflowId, child));
  return parents.some((ids) => ids.length === 0) ? [] : [...new Set([...children, ...parents.flat()])];
}
