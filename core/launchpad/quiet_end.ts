/**
 * The end of a Firework from which nothing follows: no child becomes READY, and the workflow goes on. It needs no lock, only
 * one atomic write to the workflow, which changes nothing that anybody writes under the lock but this one state.
 *
 * That nothing follows is a condition of that write: of a few others one is open still. Of several that a child waits for, and
 * that end at the same time, the last one to write finds that the others have ended, and does not go this way.
 */
import type { Document } from 'mongodb';
import type { Claim, Place } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import { LASTING } from './open_workflow.ts';
import { refreshFirework } from './refresh.ts';
import { isoTime } from './values.ts';

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
  const open = stillOpenBeside(launchpad, claim.fwId, place);
  return open && (() => end(launchpad, claim, () => endInWorkflow(launchpad, claim.fwId, place, open)));
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
  { workflows }: LaunchPad,
  fwId: number,
  { workflowId, children }: Place,
  open: readonly Document[],
): Promise<boolean> {
  const { matchedCount } = await workflows.updateOne(
    {
      _id: workflowId as never,
      // Whoever reruns it has said so here.
      [`fw_states.${fwId}`]: 'RUNNING',
      state: { $in: [...LASTING] },
      locked: { $exists: false },
      // Some may have been added since the claim.
      [`links.${fwId}`]: children.length > 0 ? children : { $in: [[], null] },
      $and: [...open],
    },
    { $set: { [`fw_states.${fwId}`]: 'COMPLETED', updated_on: new Date() } },
  );
  return matchedCount > 0;
}

/** What must hold of a workflow's `fw_states` so that nothing follows from the end of a Firework. Null: it cannot be told so. */
function stillOpenBeside(
  { stillOpen }: LaunchPad,
  fwId: number,
  { workflowId, children }: Place,
): Document[] | null {
  if (children.length > FEW) return null;
  const oneOf = (ids: readonly number[]) =>
    ids.filter((id) => id !== fwId).map((id) => ({ [`fw_states.${id}`]: OPEN }));
  const waiting = children.map((child) => ({
    [`fw_states.${child}`]: 'WAITING',
    $or: oneOf(stillOpen.parentsOf(workflowId, child)),
  }));
  const open = children.length > 0 ? waiting : [{ $or: oneOf(stillOpen.leavesOf(workflowId)) }];
  return open.every(({ $or }) => $or.length > 0) ? open : null;
}

/** The state of a Firework that goes on, or may. */
const OPEN = { $exists: true, $nin: ['COMPLETED', 'FIZZLED'] };
