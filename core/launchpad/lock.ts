/**
 * The lock of a workflow: FireWorks' `locked` field (`WFLock`). Python loads a workflow, works on it and writes it back
 * whole; whoever writes in between would be overwritten. So every change of a workflow here is made under the same lock.
 * `locked_by` and `locked_on`, ours alone, say which take of which connection holds it, and when that was last true: Python
 * neither needs nor minds them.
 */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import { jitter, SECOND, sleep } from '../wait.ts';
import type { LaunchPad } from './launchpad.ts';

export interface LockManners {
  /** One of ours that has not been renewed for this long is broken: its holder died. */
  expiresMs: number;
  /** The same for a lock without `locked_by`. Python holds it while it works on a workflow as a whole, and never renews it. */
  pythonExpiresMs: number;
  /** What can be written when nobody holds the lock waits for that so long, before it waits for the lock itself. */
  patienceMs: number;
  /** A Firework may be READY for so long before the workflow that names it is there. */
  namedWithinMs: number;
  /** After this long a sweep may have judged a RUNNING Firework, or its launch, to be left by somebody who died in a claim. */
  sweptAfterMs: number;
}

export const LOCK_MANNERS: LockManners = {
  expiresMs: 15 * SECOND,
  // FireWorks' own: WFLOCK_EXPIRATION_SECS.
  pythonExpiresMs: 300 * SECOND,
  patienceMs: 3 * SECOND,
  // Python takes some 10 s to add a workflow of 10,000 Fireworks.
  namedWithinMs: 60 * SECOND,
  sweptAfterMs: 2 * SECOND,
};

/** What a connection knows of the locks that it took. */
export interface OwnLocks {
  /** Before the slash of every `locked_by` of this connection. */
  name: string;
  /** Those that are held, or are being taken, just now. */
  live: Set<string>;
  taken: number;
}

/**
 * How long to wait for somebody else's turn to end. No longer the more often it was in vain: who has waited for long must not
 * come after those who have just come. Measured with 30 workers that all want it at once and hold it for 25 ms each: with
 * waits that grew to 500 ms the last one had it after 5 s, with these after 1 s.
 */
const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 100;
/** While it does not change hands, its holder works on something large, or is dead. */
const QUIET_WAIT_MS = 500;
/** How often to look who holds it, as a part of the time after which he is taken for dead. */
const LOOK_PART = 1 / 15;

export interface Lock {
  workflow: Document;
  lockedBy: string;
  /** True when it was taken over from a holder that died: the workflow may be half changed. */
  broken: boolean;
}

/**
 * Takes the lock of the workflow that has Firework `fwId`, waiting for whoever holds it, and returns the fields of
 * `projection`.
 *
 * A crash while holding it leaves `locked: true`; the next one who waits breaks it after `expiresMs` and repairs. When only
 * the server was away, and this connection finds its own lock that it could not give back, it takes it over at once.
 */
export async function takeLock(
  launchpad: LaunchPad,
  fwId: number,
  projection: Document,
  workflowId?: unknown,
): Promise<Lock> {
  return await named(launchpad, (lockedBy) => take(launchpad, fwId, projection, lockedBy, workflowId));
}

/** The same for whoever does not wait: null when somebody holds it, or there is no such workflow. */
export async function takeLockIfFree(
  launchpad: LaunchPad,
  workflowId: unknown,
  projection: Document,
): Promise<Lock | null> {
  return await named(launchpad, async (lockedBy) => {
    const workflow = await takeFree(launchpad, { _id: workflowId }, projection, lockedBy);
    return workflow && { workflow, lockedBy, broken: false };
  });
}

/** Under a name of its own, which is forgotten unless the lock was taken with it. */
async function named<T>(launchpad: LaunchPad, taking: (lockedBy: string) => Promise<T>): Promise<T> {
  const { locks } = launchpad;
  const lockedBy = `${locks.name}/${++locks.taken}`;
  locks.live.add(lockedBy);
  try {
    const taken = await taking(lockedBy);
    if (taken === null) locks.live.delete(lockedBy);
    return taken;
  } catch (thrown) {
    locks.live.delete(lockedBy);
    throw thrown;
  }
}

const markedBy = (lockedBy: string) => ({
  $set: { locked: true, locked_by: lockedBy, locked_on: new Date() },
});

const takeFree = async (
  { workflows }: LaunchPad,
  which: Document,
  projection: Document,
  lockedBy: string,
): Promise<Document | null> =>
  await workflows.findOneAndUpdate({ ...which, locked: { $exists: false } }, markedBy(lockedBy), {
    projection,
    returnDocument: 'after',
  });

async function take(
  launchpad: LaunchPad,
  fwId: number,
  projection: Document,
  lockedBy: string,
  workflowId: unknown,
): Promise<Lock> {
  const { workflows, lock, locks } = launchpad;
  // By its own id, where it is known, a workflow of thousands is found without looking through its list.
  const which = workflowId === undefined ? { nodes: fwId } : { _id: workflowId as never };
  let seen: string | null = null;
  // By the clock inside, which nobody can set back.
  let since = performance.now();
  let looked = Number.NEGATIVE_INFINITY;
  let longest = LONGEST_WAIT_MS;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, longest)) {
    const workflow = await takeFree(launchpad, which, projection, lockedBy);
    if (workflow) return { workflow, lockedBy, broken: false };
    if (performance.now() < looked + lock.expiresMs * LOOK_PART) {
      await sleep(jitter(wait, 0.5));
      continue;
    }
    looked = performance.now();
    const held = await workflows.findOne(which, {
      projection: { updated_on: 1, locked: 1, locked_by: 1, locked_on: 1 },
    });
    if (!held) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
    const now = [held.updated_on, held.locked_on]
      .map((at) => at?.valueOf())
      .concat(held.locked_by)
      .join(' ');
    longest = now === seen ? QUIET_WAIT_MS : LONGEST_WAIT_MS;
    if (now !== seen) {
      seen = now;
      since = performance.now();
    }
    const holder = String(held.locked_by ?? '');
    const leftByMe = holder.startsWith(`${locks.name}/`) && !locks.live.has(holder);
    const expiresMs = holder ? lock.expiresMs : lock.pythonExpiresMs;
    const expired = performance.now() - since > expiresMs;
    if (held.locked && (leftByMe || expired)) {
      if (expired)
        launchpad.log.warning(
          `The lock of the workflow of Firework ${fwId} was not renewed for ${expiresMs / 1000} s: its holder is taken for dead`,
        );
      const same = {
        _id: held._id,
        updated_on: held.updated_on,
        locked_by: held.locked_by ?? { $exists: false },
        locked_on: held.locked_on ?? { $exists: false },
      };
      const taken = await workflows.findOneAndUpdate(same, markedBy(lockedBy), {
        projection,
        returnDocument: 'after',
      });
      if (taken) return { workflow: taken, lockedBy, broken: true };
    }
    await sleep(jitter(wait, 0.5));
  }
}

/**
 * Makes a write that does not need the lock of a workflow, but must not be made while another holds it, as soon as nobody does.
 * Null: refused though nobody held it, or held for too long; then whoever writes has to take the lock himself.
 *
 * To take it at once would be dear: while he holds it he is in the way of others like him, who take it in their turn, and soon
 * nobody gets by without it. Measured with 30 workers in one workflow: 14 tries for the lock a rocket, and twice the time.
 */
export async function whenFree<T>(
  { workflows, lock }: LaunchPad,
  which: Document,
  write: () => Promise<T | null>,
): Promise<T | null> {
  const end = performance.now() + lock.patienceMs;
  let refused = 0;
  for (let wait = FIRST_WAIT_MS; performance.now() < end; ) {
    const found = await workflows.findOne(which, { projection: { locked: 1 } });
    if (!found) return null;
    if (found.locked === undefined) {
      const written = await write();
      if (written !== null) return written;
      // Somebody may have taken it just before.
      if (++refused === 2) return null;
    } else {
      refused = 0;
      await sleep(jitter(wait, 0.5));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }
  return null;
}

/** The update that gives a lock back. */
export const UNLOCK = { locked: '', locked_by: '', locked_on: '' } as const;

/** Says that the lock's holder lives still: for changes that take long. Ends with the signal, or when the lock is gone. */
export async function renewLock(
  launchpad: LaunchPad,
  workflowId: unknown,
  lockedBy: string,
  signal: AbortSignal,
): Promise<void> {
  const mine = { _id: workflowId as never, locked_by: lockedBy };
  for (let held = true; held && (await sleep(launchpad.lock.expiresMs / 4, signal)); ) {
    const renewed = await launchpad.workflows
      .updateOne(mine, { $set: { locked_on: new Date() } })
      // The server is away: so it is for those who wait.
      .catch(() => ({ matchedCount: 1 }));
    held = renewed.matchedCount > 0;
  }
}

/** Gives a lock back without any other change. Harmless when it is no longer ours. */
export async function releaseLock(
  launchpad: LaunchPad,
  workflowId: unknown,
  lockedBy: string,
): Promise<void> {
  launchpad.locks.live.delete(lockedBy);
  const mine = { _id: workflowId as never, locked_by: lockedBy };
  await launchpad.workflows.updateOne(mine, { $unset: UNLOCK });
}
