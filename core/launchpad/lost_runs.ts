/** Finding what dead workers left (`LaunchPad.detect_lostruns`). */
import type { Document } from 'mongodb';
import { BorealisError, messageOf } from '../errors.ts';
import { INTERRUPTION, interruptionOf, interruptionsOf, lostAction, lostTooOften } from './interruptions.ts';
import { ending, unbornLaunch } from './launch_documents.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { failure } from './model.ts';
import { refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { representativeLaunch } from './states.ts';
import { type Doc, isoTime, numberOf, TYPED, timeOf } from './values.ts';

export interface LostRunsOptions {
  /** A RUNNING launch whose heartbeat is older than this is lost. FireWorks: 4 hours. */
  expirationSecs?: number;
  /** Mark lost launches FIZZLED. */
  fizzle?: boolean;
  /** Mark them FIZZLED and run their Fireworks again. */
  rerun?: boolean;
  /**
   * With `rerun`: the launches tell that they were lost, and a Firework that lost so many runs is not run again but FIZZLED
   * for that reason. Left out, it is as FireWorks has it: no reason, and no end of it.
   */
  maxLostRuns?: number;
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

/** A launch that ended this recently may still be on its way to its Firework. */
const SETTLE_SECS = 30;

/** How many Fireworks are looked up together. */
const CHUNK = 500;

/**
 * Looks for lost runs and does with them what the options say. Safe to run by many at once, beside Python's. What cannot be
 * mended is logged, and hinders nothing else.
 */
export async function detectLostRuns(launchpad: LaunchPad, o: LostRunsOptions = {}): Promise<LostRuns> {
  const { expirationSecs = RUN_EXPIRATION_SECS } = o;
  const cutoff = before(expirationSecs);
  const stale = { $elemMatch: { state: 'RUNNING', updated_on: { $lte: cutoff } } };
  const query: Document = { ...o.launchQuery, state: 'RUNNING', state_history: stale };
  if (o.query) query.fw_id = { $in: await launchpad.fireworks.distinct('fw_id', o.query) };
  const launchIds: number[] = [];
  const candidates = new Set<number>();
  const projection = { launch_id: 1, fw_id: 1, 'state_history.state': 1, ...HISTORY_TIMES };
  for await (const launch of launchpad.launches.find(query, { projection })) {
    if (!runtimeFits(launch, o)) continue;
    launchIds.push(numberOf(launch.launch_id));
    candidates.add(numberOf(launch.fw_id));
  }
  const fwIds = await lostFireworks(launchpad, [...candidates], new Set(launchIds));
  if (o.fizzle || o.rerun) {
    const again = o.rerun ? new Set(fwIds) : null;
    for (const launchId of launchIds)
      await attempt(launchpad, `Launch ${launchId}`, () => fizzle(launchpad, launchId, cutoff, again, o));
  }
  const settled = before(Math.min(Math.max(expirationSecs, 0), SETTLE_SECS));
  const inconsistentFwIds: number[] = [];
  for await (const { fwId, launchId, lost, unborn } of inconsistent(launchpad, settled, o.query)) {
    inconsistentFwIds.push(fwId);
    await attempt(launchpad, `Firework ${fwId}`, async () => {
      // Many sweep: by now another may have had it rerun, and it may be running.
      if ((lost && o.rerun) || (unborn && o.refresh)) {
        if (await neverBegins(launchpad, fwId, launchId)) await runAgain(launchpad, fwId, launchId, o);
      } else if (o.refresh) await bringEnd(launchpad, fwId);
    });
  }
  return { launchIds, fwIds, inconsistentFwIds };
}

/** One that cannot be mended must not keep the others from it. */
async function attempt({ log }: LaunchPad, what: string, mend: () => Promise<unknown>): Promise<void> {
  try {
    await mend();
  } catch (thrown) {
    if (isAway(thrown)) throw thrown;
    log.warning(`${what} cannot be mended: ${messageOf(thrown)}`);
  }
}

const HISTORY_TIMES = { 'state_history.created_on': 1, 'state_history.updated_on': 1 } as const;

const before = (secs: number) => isoTime(new Date(Date.now() - secs * 1000));

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
 * this, so that a Firework is rerun once. A crash after it leaves a RUNNING Firework whose launch is FIZZLED without an
 * action: the next sweep finds it inconsistent and reruns it.
 */
async function fizzle(
  launchpad: LaunchPad,
  launchId: number,
  cutoff: string,
  rerunThese: ReadonlySet<number> | null,
  o: LostRunsOptions,
): Promise<void> {
  const stillLost = {
    launch_id: launchId,
    state: 'RUNNING',
    state_history: { $elemMatch: { state: 'RUNNING', updated_on: { $lte: cutoff } } },
  };
  const { fireworks, launches, offlineRuns } = launchpad;
  const launch = await launches.findOne(stillLost, TYPED);
  if (!launch) return;
  const { $set } = ending(launch, 'FIZZLED');
  const reason = o.maxLostRuns === undefined ? {} : { action: lostAction(silenceOf(launch)) };
  const { matchedCount } = await launches.updateOne(stillLost, { $set: { ...$set, ...reason } });
  if (matchedCount === 0) return;
  await offlineRuns.updateMany({ launch_id: launchId }, { $set: { deprecated: true } });
  const sharing = await fireworks.find({ launches: launchId }, { projection: { fw_id: 1 } }).toArray();
  const own = numberOf(launch.fw_id);
  const again = rerunThese?.has(own) === true;
  for (const fwId of sharing.map(({ fw_id }) => numberOf(fw_id)))
    if (!again || fwId !== own) await refreshFirework(launchpad, fwId);
  if (again) await runAgain(launchpad, own, launchId, o);
}

/** Why a launch was judged lost. */
function silenceOf({ fworker, host, state_history }: Document): string {
  const heard = (state_history as Doc[]).findLast((entry) => entry.state === 'RUNNING')?.updated_on;
  return `the worker ${fworker?.name} on ${host} was last heard at ${heard}`;
}

/**
 * Reruns a Firework whose launch was lost or given back, unless it was lost too often: then that launch becomes its failure.
 * A crash before the Firework is refreshed leaves it RUNNING with an ended launch, for the next sweep.
 */
async function runAgain(
  launchpad: LaunchPad,
  fwId: number,
  launchId: number | undefined,
  { maxLostRuns }: LostRunsOptions,
): Promise<void> {
  const { launches, log } = launchpad;
  const { lost } = maxLostRuns === undefined ? { lost: 0 } : await interruptionsOf(launchpad, fwId);
  if (maxLostRuns === undefined || lost < maxLostRuns) {
    await rerun(launchpad, fwId, { holding: launchId });
    return;
  }
  const mine = { launch_id: launchId, state: 'FIZZLED' };
  const launch = await launches.findOne(mine, { projection: { fworker: 1, host: 1, state_history: 1 } });
  if (!launch) return;
  const why = `${lost} runs of this Firework were lost in a row (max_lost_runs): ${silenceOf(launch)}. Does it need more memory than its workers have? When that is mended: lpad rerun_fws -i ${fwId}`;
  await launches.updateOne(mine, { $set: { action: lostTooOften(why) } });
  log.warning(`Firework ${fwId} is FIZZLED: ${why}`);
  await refreshFirework(launchpad, fwId);
}

interface Inconsistent {
  fwId: number;
  /** The last of its launches, if it has any. */
  launchId: number | undefined;
  lost: boolean;
  /** None of its launches was ever written: there is no end to bring to it. */
  unborn: boolean;
}

/**
 * RUNNING Fireworks none of whose launches runs. `lost`: what speaks for the Firework was judged lost or given back, so
 * that it should run again; else its end only has to be brought to it.
 */
async function* inconsistent(
  launchpad: LaunchPad,
  settled: string,
  query?: Document,
): AsyncGenerator<Inconsistent> {
  const running = launchpad.fireworks.find(
    { ...query, state: 'RUNNING' },
    { projection: { fw_id: 1, launches: 1, updated_on: 1 } },
  );
  let chunk: Document[] = [];
  for await (const firework of running) {
    if (chunk.push(firework) < CHUNK) continue;
    yield* ended(launchpad, chunk, settled);
    chunk = [];
  }
  yield* ended(launchpad, chunk, settled);
}

interface Ended {
  launch_id: number;
  state: 'FIZZLED' | 'COMPLETED';
  time_end: string | null;
  lost: boolean;
}

async function* ended(
  { launches }: LaunchPad,
  fireworks: readonly Document[],
  settled: string,
): AsyncGenerator<Inconsistent> {
  if (fireworks.length === 0) return;
  const ids = fireworks.flatMap((firework) => (firework.launches as unknown[]).map(numberOf));
  const found = new Map<number, Ended>();
  // Of the actions only what tells a lost or given-back run from one that failed.
  const projection = {
    launch_id: 1,
    state: 1,
    time_end: 1,
    ...INTERRUPTION,
  };
  for await (const { launch_id, state, time_end, action } of launches.find(
    { launch_id: { $in: ids } },
    { projection },
  )) {
    const lost = interruptionOf({ state, action }) !== null;
    found.set(numberOf(launch_id), { launch_id: numberOf(launch_id), state, time_end, lost });
  }
  for (const firework of fireworks) {
    const own = (firework.launches as unknown[]).flatMap((id) => found.get(numberOf(id)) ?? []);
    const active = own.some(({ state }) => state !== 'FIZZLED' && state !== 'COMPLETED');
    const last =
      own
        .map(({ time_end }) => time_end ?? '')
        .sort()
        .at(-1) ?? String(firework.updated_on);
    if (active || last > settled) continue;
    const [launchId] = (firework.launches as unknown[]).slice(-1).map(numberOf);
    const lost = representativeLaunch(own)?.lost ?? true;
    yield { fwId: numberOf(firework.fw_id), launchId, lost, unborn: own.length === 0 };
  }
}

/**
 * Of a launch that was not written yet: writes it, as one that has ended, so that it never begins. False: it has begun, for the
 * worker that took the Firework when the server went away has come back (`claim` takes it up), and flies it.
 */
async function neverBegins(
  { launches }: LaunchPad,
  fwId: number,
  launchId: number | undefined,
): Promise<boolean> {
  if (launchId === undefined) return true;
  const launch = await launches.findOneAndUpdate(
    { launch_id: launchId },
    { $setOnInsert: unbornLaunch(launchId, fwId) },
    { upsert: true, returnDocument: 'after', projection: { state: 1 } },
  );
  return launch?.state !== 'RUNNING';
}

/**
 * Brings the end of its launch to a Firework. An action that its workflow cannot take makes it FIZZLED, as its worker would
 * have done, had it not died.
 */
async function bringEnd(launchpad: LaunchPad, fwId: number): Promise<void> {
  try {
    await refreshFirework(launchpad, fwId);
  } catch (thrown) {
    if (!(thrown instanceof BorealisError)) throw thrown;
    launchpad.log.warning(`The FWAction of Firework ${fwId} cannot be applied: ${thrown.message}`);
    await failInstead(launchpad, fwId, thrown.message);
    await refreshFirework(launchpad, fwId);
  }
}

/** Makes the launches that COMPLETED for a Firework FIZZLED, for this reason. A crash after it leaves an ended launch again. */
async function failInstead({ fireworks, launches }: LaunchPad, fwId: number, why: string): Promise<void> {
  const firework = await fireworks.findOne(
    { fw_id: fwId, state: 'RUNNING' },
    { projection: { launches: 1 } },
  );
  const completed = { launch_id: { $in: firework?.launches ?? [] }, state: 'COMPLETED' };
  const projection = { launch_id: 1, state_history: 1, time_start: 1, time_end: 1 };
  for await (const launch of launches.find(completed, { projection, ...TYPED })) {
    const { $set } = ending(
      { ...launch, state_history: launch.state_history.slice(0, -1) },
      'FIZZLED',
      timeOf(launch.time_end) ?? undefined,
    );
    await launches.updateOne(
      { launch_id: launch.launch_id, state: 'COMPLETED', time_end: launch.time_end },
      { $set: { ...$set, action: failure(null, why, null) } },
    );
  }
}

/**
 * Puts Fireworks back to READY that a worker reserved and never started: it died between two writes. Reservations of a
 * queue have a launch and are not touched. Returns their ids.
 */
export async function freeUnstarted(launchpad: LaunchPad, olderThanSecs: number): Promise<number[]> {
  const old = { state: 'RESERVED', launches: { $size: 0 }, updated_on: { $lte: before(olderThanSecs) } };
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
