/**
 * Offline runs: launches on machines that cannot reach the LaunchPad. `rlaunch singleshot --offline` runs the Firework of
 * FW.json and keeps a diary in FW_offline.json beside it; whoever sees both folder and LaunchPad brings the diary in
 * (`LaunchPad.add_offline_run`, `recover_offline`, `forget_offline`).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Double } from 'bson';
import type { Document } from 'mongodb';
import { BorealisError, codeOf, messageOf } from '../errors.ts';
import { complete, retract } from './complete.ts';
import { fromJson } from './json.ts';
import { ending } from './launch_documents.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { type FWAction, failure, parseFWAction } from './model.ts';
import { refreshFirework } from './refresh.ts';
import { track, trackersDoc, trackersOf } from './trackers.ts';
import { type Doc, isDoc, isoTime, numberOf, TYPED, timeOf } from './values.ts';

export interface OfflineRun {
  launchId: number;
  fwId: number;
}

/** Notes that a launch runs offline. */
export async function addOfflineRun(
  { offlineRuns }: LaunchPad,
  { launchId, fwId }: OfflineRun,
  name: string,
): Promise<void> {
  const now = isoTime();
  await offlineRuns.insertOne({
    fw_id: fwId,
    launch_id: launchId,
    name,
    created_on: now,
    updated_on: now,
    deprecated: false,
    completed: false,
  });
}

/** Stops asking after the offline runs that match. Returns how many there were. */
export async function forgetOffline(
  { offlineRuns }: LaunchPad,
  query: { launch_id: number } | { fw_id: number },
): Promise<number> {
  return (await offlineRuns.updateMany(query, { $set: { deprecated: true } })).matchedCount;
}

const CHUNK = 500;

/** The offline runs that are neither in nor forgotten; with `worker` only those of the worker of that name. */
export async function* openOfflineRuns(launchpad: LaunchPad, worker?: string): AsyncGenerator<OfflineRun> {
  const open = { completed: false, deprecated: false };
  const projection = { launch_id: 1, fw_id: 1, _id: 0 };
  let chunk: OfflineRun[] = [];
  for await (const run of launchpad.offlineRuns.find(open, { projection })) {
    chunk.push({ launchId: numberOf(run.launch_id), fwId: numberOf(run.fw_id) });
    if (chunk.length < CHUNK) continue;
    yield* ofWorker(launchpad, chunk, worker);
    chunk = [];
  }
  yield* ofWorker(launchpad, chunk, worker);
}

async function* ofWorker(
  { launches }: LaunchPad,
  runs: readonly OfflineRun[],
  worker: string | undefined,
): AsyncGenerator<OfflineRun> {
  if (worker === undefined || runs.length === 0) return yield* runs;
  const query = { launch_id: { $in: runs.map(({ launchId }) => launchId) }, 'fworker.name': worker };
  const own = new Set<number>();
  for await (const { launch_id } of launches.find(query, { projection: { launch_id: 1, _id: 0 } }))
    own.add(numberOf(launch_id));
  yield* runs.filter(({ launchId }) => own.has(launchId));
}

/** What an offline run wrote of itself. */
interface Diary {
  startedAt: Date | null;
  checkpoint: Doc | null;
  end: { at: Date; state: 'COMPLETED' | 'FIZZLED'; action: FWAction } | null;
  /** Its last sign of life. */
  pingedAt: Date | null;
}

/**
 * Brings the diary of an offline launch into the LaunchPad: that it started, how far it is, how it ended. Returns what
 * went wrong, or null. A diary that is missing or bad makes the launch FIZZLED, unless `ignoreErrors`.
 *
 * Every step can be done again: after a crash the run is still open, and the next recovery writes the same once more.
 */
export async function recoverOffline(
  launchpad: LaunchPad,
  run: OfflineRun,
  o: { ignoreErrors?: boolean } = {},
): Promise<string | null> {
  const close = (set: Doc) => launchpad.offlineRuns.updateMany({ launch_id: run.launchId }, { $set: set });
  const launch = await launchpad.launches.findOne({ launch_id: run.launchId }, TYPED);
  if (!launch) {
    await close({ deprecated: true });
    return `launch ${run.launchId} is gone`;
  }
  let problem: string | null;
  let ended: boolean;
  try {
    const diary = await readDiary(String(launch.launch_dir));
    if (diary.startedAt) await begin(launchpad, run, launch, diary);
    ended = diary.end !== null;
    problem = ended ? await end(launchpad, run, diary) : null;
  } catch (thrown) {
    if (isAway(thrown)) throw thrown;
    problem = messageOf(thrown);
    ended = o.ignoreErrors !== true;
    if (ended) await fizzle(launchpad, run, problem);
  }
  await close({ updated_on: isoTime(), ...(ended && { completed: true }) });
  return problem;
}

/** Throws BorealisError when there is no diary or it makes no sense. */
async function readDiary(folder: string): Promise<Diary> {
  const diary = await readDict(join(folder, 'FW_offline.json'));
  if (!diary) throw new BorealisError(`There is no FW_offline.json in ${folder} on this machine`);
  const pinged = await readDict(join(folder, 'FW_ping.json'));
  const { fwaction, state } = diary;
  let end: Diary['end'] = null;
  if (fwaction !== undefined) {
    if (state !== 'COMPLETED' && state !== 'FIZZLED')
      throw new BorealisError(`FW_offline.json in ${folder}: state: must be COMPLETED or FIZZLED`);
    const action = parseFWAction(fwaction, `FW_offline.json in ${folder}: fwaction`);
    end = { at: timeOf(diary.completed_on) ?? new Date(), state, action };
  }
  return {
    startedAt: timeOf(diary.started_on) ?? end?.at ?? null,
    checkpoint: isDoc(diary.checkpoint) ? diary.checkpoint : null,
    end,
    pingedAt: timeOf(pinged?.ping_time),
  };
}

/** A JSON dictionary, also when somebody compressed the folder. Null: it is not there. */
async function readDict(path: string): Promise<Doc | null> {
  const read = (name: string) =>
    readFile(name).catch((thrown: unknown) => {
      if (codeOf(thrown) === 'ENOENT') return null;
      throw new BorealisError(`${name} cannot be read: ${messageOf(thrown)}`);
    });
  const bytes =
    (await read(path)) ?? (await read(`${path}.gz`).then((zipped) => zipped && gunzipSync(zipped)));
  if (!bytes) return null;
  try {
    const value = fromJson(bytes.toString('utf8'));
    if (isDoc(value)) return value;
  } catch (thrown) {
    throw new BorealisError(`${path} is ${messageOf(thrown)}`);
  }
  throw new BorealisError(`${path} is no dictionary`);
}

/** Makes the launch RUNNING, since when it ran, and tells its Fireworks. */
async function begin(
  launchpad: LaunchPad,
  { launchId }: OfflineRun,
  launch: Document,
  diary: Pick<Diary, 'startedAt' | 'checkpoint' | 'pingedAt'>,
): Promise<void> {
  const { startedAt, checkpoint, pingedAt } = diary;
  const started = isoTime(startedAt ?? new Date());
  const history = (launch.state_history as Doc[]).filter(({ state }) => state !== 'RUNNING');
  const running = {
    state: 'RUNNING',
    created_on: started,
    updated_on: isoTime(pingedAt ?? new Date()),
    ...(checkpoint && { checkpoint }),
  };
  const reserved = timeOf(history.find(({ state }) => state === 'RESERVED')?.created_on);
  const trackers = await track(trackersOf(launch.trackers), String(launch.launch_dir));
  const set: Doc = {
    state: 'RUNNING',
    state_history: [...history, running],
    time_start: started,
    trackers: trackersDoc(trackers),
    ...(reserved && {
      reservedtime_secs: new Double(Math.max(1e-6, (Date.parse(started) - reserved.getTime()) / 1000)),
    }),
  };
  const open = { launch_id: launchId, state: { $in: ['RESERVED', 'RUNNING'] } };
  const { matchedCount } = await launchpad.launches.updateOne(open, { $set: set });
  if (matchedCount > 0) await refreshHolders(launchpad, launchId);
}

/** Ends the launch as the diary says. Returns why its results are not wanted, or null. */
async function end(launchpad: LaunchPad, run: OfflineRun, diary: Diary): Promise<string | null> {
  if (!diary.end) return null;
  const { at, state, action } = diary.end;
  const claim = { ...run, startedAt: diary.startedAt ?? at, endedAt: at };
  try {
    if (await complete(launchpad, claim, action, state)) return null;
  } catch (thrown) {
    // An action that its workflow cannot take: the launch may yet end as FIZZLED. The server that is away is another matter.
    if (!isAway(thrown)) await retract(launchpad, claim);
    throw thrown;
  }
  // It was ended by somebody else, or its Firework was rerun meanwhile.
  await refreshHolders(launchpad, run.launchId);
  return `launch ${run.launchId} was ended, or its Firework rerun, before its results came in: they are not used`;
}

async function fizzle(launchpad: LaunchPad, run: OfflineRun, why: string): Promise<void> {
  const open = { launch_id: run.launchId, state: { $in: ['RESERVED', 'RUNNING'] } };
  const launch = await launchpad.launches.findOne(open, TYPED);
  if (launch) {
    const { $set } = ending(launch, 'FIZZLED');
    await launchpad.launches.updateOne(open, { $set: { ...$set, action: failure(null, why, null) } });
  }
  await refreshHolders(launchpad, run.launchId);
}

async function refreshHolders(launchpad: LaunchPad, launchId: number): Promise<void> {
  const holders = launchpad.fireworks.find({ launches: launchId }, { projection: { fw_id: 1, _id: 0 } });
  for await (const { fw_id } of holders) await refreshFirework(launchpad, numberOf(fw_id));
}
