/** Taking a READY Firework: the one step in which two workers could meet. */
import type { Document } from 'mongodb';
import { begin, start } from './begin_run.ts';
import { type DuplicateFinder, shareLaunch } from './duplicates.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerQuery } from './model.ts';
import { type Doc, isoTime, numberOf, TYPED } from './values.ts';

/** A Firework that this worker runs, and the launch that says so. */
export interface Claim {
  fwId: number;
  launchId: number;
  name: string;
  /** Types kept. */
  spec: Doc;
  tasks: Doc[];
  startedAt: Date;
  launchDir: string;
  /** The checkpoint of the first Firetask is written already. */
  begun: boolean;
  /** Why it cannot run: its duplicate finder could not be asked. */
  refused?: unknown;
  /** Where it is in its workflow, as far as that was learnt on the way: a hint, which `complete` checks. */
  place?: Place;
  /** Set by `complete`: when the launch was first tried to be ended. */
  endedAt?: Date;
}

export interface Place {
  workflowId: unknown;
  children: number[];
  /** It is the only one of its workflow. */
  alone: boolean;
  /** Of its workflow one is held, or has fizzled: that decides its state, whatever else starts. */
  amiss: boolean;
}

export interface ClaimOptions {
  /** Where the rocket will run; told the launch's id, so that every launch can have a folder of its own. */
  launchDir: (launchId: number) => string;
  host?: string;
  ip?: string;
  /** Only this Firework. */
  fwId?: number;
  /** For duplicate finders that are not built in. */
  duplicates?: DuplicateFinder;
  /** The first Firetask begins at once: its checkpoint is written with the launch, which saves a ping. */
  begins?: boolean;
}

/**
 * Checks out the READY Firework of the highest `_priority` that fits the worker (`LaunchPad.checkout_fw`). Null: none.
 * Among equals the oldest goes first (FireWorks: in no order, unless SORT_FWS says FIFO or FILO).
 *
 * The first write, from READY, is atomic: it alone decides who runs it. A worker that has a launch id in hand makes it
 * RUNNING at once, and two round trips are all; one that has none makes it RESERVED, reserves ids, and makes it RUNNING, when
 * nobody has touched it since, in a third. What a crash leaves after each:
 *   RESERVED without a launch    nobody runs it; `freeUnstarted` in a lost-run sweep puts it back to READY;
 *   a launch id that is unused   harmless;
 *   RUNNING                      found by its heartbeat, as any lost run. The launch, and what else is written with it, go out
 *                                at once: when the server dies among them, a launch without its Firework, or a Firework
 *                                without its launch, is left. The same connection's next claim takes such a Firework up, for
 *                                its launch id is still in hand; else the sweep frees or refreshes it.
 */
export async function claim(launchpad: LaunchPad, fworker: FWorker, o: ClaimOptions): Promise<Claim | null> {
  return await checkOut(launchpad, fworker, o, 'RUNNING');
}

/** `LaunchPad.checkout_fw`, for a run now or (RESERVED) in a queue. */
export async function checkOut(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  as: 'RUNNING' | 'RESERVED',
): Promise<Claim | null> {
  const query: Document =
    o.fwId === undefined
      ? { ...fworkerQuery(fworker), state: 'READY' }
      : { fw_id: o.fwId, state: { $in: ['READY', 'RESERVED'] } };
  for (;;) {
    const launchId = as === 'RUNNING' && o.fwId === undefined ? launchpad.launchIds.spare : null;
    let firework = launchId === null ? null : await takeUp(launchpad, launchId);
    if (launchId !== null && launchId !== launchpad.launchIds.spare) continue;
    firework ??= await take(launchpad, query, launchId);
    if (!firework) return null;
    if (launchId !== null) {
      if (isNew(firework)) {
        const started = await start(launchpad, fworker, o, firework, launchId);
        if (started) return started;
        continue;
      }
      firework = await reserveInstead(launchpad, firework, launchId);
      if (!firework) continue;
    }
    let refused: unknown;
    try {
      if (await shareLaunch(launchpad, firework, o.duplicates)) continue;
    } catch (thrown) {
      if (isAway(thrown)) throw thrown;
      // It has its launch all the same, which tells why it failed.
      refused = thrown;
    }
    const begun = await begin(launchpad, fworker, o, firework, as);
    if (begun) return { ...begun, refused };
  }
}

const TAKEN = { projection: { fw_id: 1, name: 1, spec: 1, launches: 1, updated_on: 1 }, ...TYPED };

/**
 * The Firework that was taken with an id which is in hand still: the answer, or what came after it, was lost on the way. When
 * there is none the id is given up, for a sweep may have put it among the archived launches of a Firework already.
 */
async function takeUp({ fireworks, launchIds }: LaunchPad, launchId: number): Promise<Document | null> {
  if (!launchIds.inDoubt) return null;
  const named = await fireworks.findOne({ launches: launchId, state: 'RUNNING' }, TAKEN);
  // With a later launch it is another's: who offered it to him again left this one in its list.
  const mine = named !== null && numberOf(named.launches.at(-1)) === launchId ? named : null;
  if (!mine) launchIds.used(launchId);
  return mine;
}

/** The best READY Firework, which is RUNNING with `launchId` then, or RESERVED when there is no id. */
async function take(
  { fireworks, launchIds }: LaunchPad,
  query: Document,
  launchId: number | null,
): Promise<Document | null> {
  const updated_on = isoTime();
  const update =
    launchId === null
      ? { $set: { state: 'RESERVED', updated_on } }
      : { $set: { state: 'RUNNING', updated_on }, $push: { launches: launchId } };
  launchIds.inDoubt = launchId !== null;
  const found = await fireworks.findOneAndUpdate(query, update as Document, {
    ...TAKEN,
    sort: { 'spec._priority': -1, created_on: 1 },
    returnDocument: 'after',
  });
  if (!found) launchIds.inDoubt = false;
  return found;
}

/** True when it has no launch but the new one, and no duplicate can have run it: nothing more has to be looked at. */
const isNew = (firework: Document) =>
  firework.launches.length === 1 && !('_dupefinder' in (firework.spec as Doc));

/** Makes a Firework that was made RUNNING too hastily RESERVED. Null: somebody changed it meanwhile. */
async function reserveInstead(
  { fireworks, launchIds }: LaunchPad,
  { fw_id }: Document,
  launchId: number,
): Promise<Document | null> {
  const reserved = await fireworks.findOneAndUpdate(
    { fw_id, state: 'RUNNING', launches: launchId },
    { $set: { state: 'RESERVED', updated_on: isoTime() }, $pull: { launches: launchId } } as Document,
    { ...TAKEN, returnDocument: 'after' },
  );
  launchIds.inDoubt = false;
  return reserved;
}
