/** Finding what dead workers left (`LaunchPad.detect_lostruns`). */
import type { Document } from 'mongodb';
import { ending } from './complete.ts';
import type { LaunchPad } from './launchpad.ts';
import { refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { type Doc, isoTime, numberOf, TYPED, timeOf } from './values.ts';

export interface LostRunsOptions {
  /** A RUNNING launch whose heartbeat is older than this is lost. FireWorks: 4 hours. */
  expirationSecs?: number;
  /** Mark lost launches FIZZLED. */
  fizzle?: boolean;
  /** Mark them FIZZLED and run their Fireworks again. */
  rerun?: boolean;
  maxRuntimeSecs?: number;
  minRuntimeSecs?: number;
  /** Refresh Fireworks that are RUNNING while their launch has ended. */
  refresh?: boolean;
  /** Only Fireworks, or launches, that match. */
  query?: Document;
  launchQuery?: Document;
}

export interface LostRuns {
  launchIds: number[];
  fwIds: number[];
  /** RUNNING Fireworks whose launch has ended: a worker died between the two writes. */
  inconsistentFwIds: number[];
}

export const RUN_EXPIRATION_SECS = 4 * 3600;

/** Looks for lost runs and does with them what the options say. Safe to run by many at once, beside Python's. */
export async function detectLostRuns(launchpad: LaunchPad, o: LostRunsOptions = {}): Promise<LostRuns> {
  const { expirationSecs = RUN_EXPIRATION_SECS } = o;
  const cutoff = isoTime(new Date(Date.now() - expirationSecs * 1000));
  const stale = { $elemMatch: { state: 'RUNNING', updated_on: { $lte: cutoff } } };
  const query: Document = { ...o.launchQuery, state: 'RUNNING', state_history: stale };
  if (o.query) query.fw_id = { $in: await launchpad.fireworks.distinct('fw_id', o.query) };
  const launchIds: number[] = [];
  const candidates = new Set<number>();
  const projection = { launch_id: 1, fw_id: 1, state_history: 1 };
  for await (const launch of launchpad.launches.find(query, { projection })) {
    if (!runtimeFits(launch, o)) continue;
    launchIds.push(numberOf(launch.launch_id));
    candidates.add(numberOf(launch.fw_id));
  }
  const fwIds = await lostFireworks(launchpad, [...candidates], new Set(launchIds));
  if (o.fizzle || o.rerun) {
    for (const launchId of launchIds)
      await fizzle(launchpad, launchId, cutoff, o.rerun ? new Set(fwIds) : null);
  }
  const inconsistentFwIds = await inconsistent(launchpad, o.query);
  if (o.refresh) for (const fwId of inconsistentFwIds) await refreshFirework(launchpad, fwId);
  return { launchIds, fwIds, inconsistentFwIds };
}

function runtimeFits(launch: Document, o: LostRunsOptions): boolean {
  if (o.maxRuntimeSecs === undefined && o.minRuntimeSecs === undefined) return true;
  const entry = (launch.state_history as Doc[]).find((line) => line.state === 'RUNNING');
  const [from, to] = [timeOf(entry?.created_on), timeOf(entry?.updated_on)];
  const ran = from && to ? (to.getTime() - from.getTime()) / 1000 : 0;
  return (
    (o.maxRuntimeSecs === undefined || ran <= o.maxRuntimeSecs) &&
    (o.minRuntimeSecs === undefined || ran >= o.minRuntimeSecs)
  );
}

/** Of the Fireworks of lost launches those that nothing runs any more. */
async function lostFireworks(
  launchpad: LaunchPad,
  fwIds: number[],
  lost: ReadonlySet<number>,
): Promise<number[]> {
  if (fwIds.length === 0) return [];
  const result: number[] = [];
  const found = launchpad.fireworks.find(
    { fw_id: { $in: fwIds }, state: 'RUNNING' },
    { projection: { fw_id: 1, launches: 1 } },
  );
  for await (const firework of found) {
    const others = (firework.launches as number[]).map(numberOf).filter((id) => !lost.has(id));
    const alive = { launch_id: { $in: others }, state: { $nin: ['FIZZLED', 'ARCHIVED'] } };
    if (others.length > 0 && (await launchpad.launches.findOne(alive, { projection: { _id: 1 } }))) continue;
    result.push(numberOf(firework.fw_id));
  }
  return result;
}

/**
 * Ends one lost launch, unless its heartbeat came back or somebody else ended it: of several sweepers one alone does
 * this, so that a Firework is rerun once.
 */
async function fizzle(
  launchpad: LaunchPad,
  launchId: number,
  cutoff: string,
  rerunThese: ReadonlySet<number> | null,
): Promise<void> {
  const stillLost = {
    launch_id: launchId,
    state: 'RUNNING',
    state_history: { $elemMatch: { state: 'RUNNING', updated_on: { $lte: cutoff } } },
  };
  const launch = await launchpad.launches.findOne(stillLost, TYPED);
  if (!launch) return;
  const { matchedCount } = await launchpad.launches.updateOne(stillLost, { $set: ending(launch, 'FIZZLED') });
  if (matchedCount === 0) return;
  await launchpad.offlineRuns.updateMany({ launch_id: launchId }, { $set: { deprecated: true } });
  const fwId = numberOf(launch.fw_id);
  await refreshFirework(launchpad, fwId);
  if (rerunThese?.has(fwId)) await rerun(launchpad, fwId);
}

async function inconsistent(launchpad: LaunchPad, query?: Document): Promise<number[]> {
  const ids: number[] = [];
  const running = launchpad.fireworks.find(
    { ...query, state: 'RUNNING' },
    { projection: { fw_id: 1, launches: 1 } },
  );
  for await (const firework of running) {
    const launches = (firework.launches as number[]).map(numberOf);
    const active = { launch_id: { $in: launches }, state: { $in: ['RUNNING', 'RESERVED'] } };
    if (launches.length > 0 && !(await launchpad.launches.findOne(active, { projection: { _id: 1 } })))
      ids.push(numberOf(firework.fw_id));
  }
  return ids;
}

/**
 * Puts Fireworks back to READY that a worker reserved and never started: it died between two writes. Reservations of a
 * queue have a launch and are not touched. Returns their ids.
 */
export async function freeUnstarted(launchpad: LaunchPad, olderThanSecs: number): Promise<number[]> {
  const old = {
    state: 'RESERVED',
    launches: { $size: 0 },
    updated_on: { $lte: isoTime(new Date(Date.now() - olderThanSecs * 1000)) },
  };
  const ids = (await launchpad.fireworks.find(old, { projection: { fw_id: 1 } }).toArray()).map((doc) =>
    numberOf(doc.fw_id),
  );
  for (const fwId of ids) {
    const { matchedCount } = await launchpad.fireworks.updateOne(
      { ...old, fw_id: fwId },
      { $set: { state: 'WAITING', updated_on: isoTime() } },
    );
    if (matchedCount > 0) await refreshFirework(launchpad, fwId);
  }
  return ids;
}
