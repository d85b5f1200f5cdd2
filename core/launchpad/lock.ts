/**
 * The lock of a workflow: FireWorks' `locked` field (`WFLock`). Python loads a workflow, works on it and writes it back
 * whole; whoever writes in between would be overwritten. So every change of a workflow here is made under the same lock.
 */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import { jitter, sleep } from '../wait.ts';
import type { LaunchPad } from './launchpad.ts';

export interface LockManners {
  /** A lock that nobody changed for this long is broken: its holder died. */
  expiresMs: number;
}

const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 500;

/**
 * Takes the lock of the workflow that has Firework `fwId`, waiting for whoever holds it, and returns the fields of
 * `projection`. `broken` is true when a dead holder's lock was taken over: the workflow may be half changed then.
 *
 * A crash while holding it leaves `locked: true`; the next one who waits breaks it after `expiresMs` and repairs.
 */
export async function takeLock(
  launchpad: LaunchPad,
  fwId: number,
  projection: Document,
): Promise<{ workflow: Document; broken: boolean }> {
  const { workflows, lock } = launchpad;
  const asked = { projection: { updated_on: 1, ...projection }, returnDocument: 'after' } as const;
  let seen: string | null = null;
  let since = Date.now();
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 1.6, LONGEST_WAIT_MS)) {
    const free = { nodes: fwId, locked: { $exists: false } };
    const workflow = await workflows.findOneAndUpdate(free, { $set: { locked: true } }, asked);
    if (workflow) return { workflow, broken: false };
    const held = await workflows.findOne({ nodes: fwId }, { projection: { updated_on: 1, locked: 1 } });
    if (!held) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
    const now = String(held.updated_on?.valueOf());
    if (now !== seen) {
      seen = now;
      since = Date.now();
    }
    if (Date.now() - since > lock.expiresMs) {
      launchpad.log.warning(
        `The lock of the workflow of Firework ${fwId} was held for ${lock.expiresMs / 1000} s: its holder is taken for dead`,
      );
      const taken = await workflows.findOneAndUpdate(
        { _id: held._id, updated_on: held.updated_on },
        { $set: { locked: true, updated_on: new Date() } },
        asked,
      );
      if (taken) return { workflow: taken, broken: true };
    }
    await sleep(jitter(wait, 0.5));
  }
}

/** Gives a lock back. Harmless when it is no longer there. */
export async function releaseLock(launchpad: LaunchPad, workflowId: unknown): Promise<void> {
  await launchpad.workflows.updateOne({ _id: workflowId as never }, { $unset: { locked: '' } });
}
