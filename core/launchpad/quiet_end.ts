/**
 * The end of a Firework from which nothing follows: no child becomes READY, and the workflow goes on. It needs no lock, only
 * one atomic write to the workflow, which changes nothing that anybody writes under the lock but this one state.
 *
 * That nothing follows is a condition of that write: of a few others one is open still. Of several that a child waits for, and
 * that end at the same time, the last one to write finds that the others have ended, and does not go this way.
 */
import type { Document } from 'mongodb';
import { type ChainedWrite, writeChained } from './bulk_write.ts';
import type { Claim, Place } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import { LASTING } from './open_workflow.ts';
import { refreshFirework } from './refresh.ts';
import { othersAwaited, othersThan } from './surroundings.ts';
import { isoTime } from './values.ts';

/** `taken`: the Firework is not this launch's any more. `needs the lock`: something may follow. */
export type QuietEnd = 'done' | 'taken' | 'needs the lock';

/** More children than this are not glanced at one by one. */
const FEW = 20;

/** How the Firework of a launch ends without the lock: two writes, of which the second follows only if the first was done. */
export interface QuietWrites {
  workflow: ChainedWrite & { when: Document };
  firework: ChainedWrite;
}

/**
 * How to end the Firework of a launch without the lock; null where it is known already that this will not do. To be done
 * when the launch has ended. The workflow is written before the Firework, so that what is added from then on knows that this
 * one has ended: a crash in between leaves the Firework RUNNING with a finished launch, as in `complete`.
 */
export function quietEnd(
  launchpad: LaunchPad,
  { fwId, launchId }: Pick<Claim, 'fwId' | 'launchId'>,
  place: Place,
): QuietWrites | null {
  const when = place.alone ? isAlone(fwId) : nothingFollows(launchpad, fwId, place);
  if (!when) return null;
  const ended = { [`fw_states.${fwId}`]: 'COMPLETED', updated_on: new Date() };
  return {
    workflow: {
      to: launchpad.workflows,
      filter: { _id: place.workflowId },
      when: { $and: [UNLOCKED, ...when] },
      set: place.alone ? { ...ended, state: 'COMPLETED' } : ended,
    },
    firework: {
      to: launchpad.fireworks,
      filter: { fw_id: fwId, state: 'RUNNING', launches: launchId },
      set: { state: 'COMPLETED', updated_on: isoTime() },
    },
  };
}

/** The two writes, when the launch has ended: in one round trip, where the server can, else one by one. */
export async function writeQuietly(
  launchpad: LaunchPad,
  fwId: number,
  quiet: QuietWrites,
): Promise<QuietEnd> {
  const { workflow, firework } = quiet;
  const found = await writeChained(launchpad, [workflow, firework]);
  if (found !== null) {
    const [known = 0, own = 0] = found;
    if (known === 0) return 'needs the lock';
    return own > 0 ? 'done' : await taken(launchpad, fwId);
  }
  const known = await workflow.to.updateOne(
    { ...workflow.filter, $expr: workflow.when },
    { $set: workflow.set },
  );
  if (known.matchedCount === 0) return 'needs the lock';
  const own = await firework.to.updateOne(firework.filter, { $set: firework.set });
  return own.matchedCount > 0 ? 'done' : await taken(launchpad, fwId);
}

/** Whether it has been learnt already whom to glance at, as far as that can be of use. */
export function knowsAround({ stillOpen }: LaunchPad, { workflowId, children, alone }: Place): boolean {
  if (alone || children.length > FEW) return true;
  if (children.length === 0) return stillOpen.leavesOf(workflowId).length > 0;
  return children.every((child) => stillOpen.parentsOf(workflowId, child).length > 0);
}

/** Learns of whom it may depend whether anything follows from the end of a Firework. */
export async function lookAround(
  launchpad: LaunchPad,
  fwId: number,
  { workflowId, children, alone }: Place,
): Promise<void> {
  if (alone || children.length > FEW) return;
  if (children.length > 0) await othersAwaited(launchpad, workflowId, fwId, children);
  else await othersThan(launchpad, workflowId, [fwId]);
}

/** The workflow says that a Firework has ended which is not this launch's any more: the workflow is made right. */
export async function taken(launchpad: LaunchPad, fwId: number): Promise<'taken'> {
  // It was rerun a moment ago, and the workflow says what is not true; or it is being deleted.
  const there = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection: { _id: 1 } });
  if (there) await refreshFirework(launchpad, fwId);
  return 'taken';
}

/** Nobody holds the lock, to add to the workflow or to rerun. */
const UNLOCKED = { $eq: [{ $type: '$locked' }, 'missing'] };

/** The workflow has this Firework and no other. */
const isAlone = (fwId: number): Document[] => [{ $eq: ['$nodes', [fwId]] }, { $eq: ['$state', 'RUNNING'] }];

/** What must hold of a workflow so that nothing follows from the end of a Firework. Null: it cannot be told so. */
function nothingFollows(
  { stillOpen }: LaunchPad,
  fwId: number,
  { workflowId, children }: Place,
): Document[] | null {
  if (children.length > FEW) return null;
  const others = (ids: readonly number[]) => ids.filter((id) => id !== fwId);
  const waiting = children.map((child) => ({
    waits: [{ $eq: [`$fw_states.${child}`, 'WAITING'] }],
    open: others(stillOpen.parentsOf(workflowId, child)),
  }));
  const needed =
    children.length > 0 ? waiting : [{ waits: [], open: others(stillOpen.leavesOf(workflowId)) }];
  if (needed.some(({ open }) => open.length === 0)) return null;
  return [
    // Whoever reruns it has said so here.
    { $eq: [`$fw_states.${fwId}`, 'RUNNING'] },
    { $in: ['$state', [...LASTING]] },
    // Some may have been added since the claim.
    { $eq: [{ $ifNull: [`$links.${fwId}`, []] }, children] },
    ...needed.flatMap(({ waits, open }) => [...waits, oneIsOpen(open)]),
  ];
}

/**
 * One of them goes on, or may. The last one is asked first, and mostly alone: to find one of thousands of states the server goes
 * through those before it.
 */
function oneIsOpen(fwIds: readonly number[]): Document {
  const amongst = (ids: readonly number[]): Document => ({
    $not: [{ $setIsSubset: [ids.map((id) => `$fw_states.${id}`), ['COMPLETED', 'FIZZLED', null]] }],
  });
  if (fwIds.length === 1) return amongst(fwIds);
  return { $or: [amongst(fwIds.slice(-1)), amongst(fwIds.slice(0, -1))] };
}
