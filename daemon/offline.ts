/**
 * A rocket without a LaunchPad, for machines that cannot reach it: `FW.json` of a folder says what to run, and
 * `FW_offline.json` beside it is the diary that `lpad recover_offline` brings in later (`rlaunch singleshot --offline` of
 * FireWorks). What prepares both is a queue that reserves: Python's `qlaunch -r`.
 *
 * Each page of the diary is written beside the old one and takes its place: a crash leaves a whole diary, of a run that began
 * and never ended, which `lpad detect_lostruns` finds after it was brought in.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import { BorealisError, codeOf, messageOf } from '../core/errors.ts';
import {
  type Doc,
  fromJson,
  isDoc,
  isoTime,
  newWorkflow,
  numberOf,
  toJson,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/wait.ts';
import { openDepot } from './docker/depot.ts';
import { Guard } from './guard.ts';
import { readFWorker } from './pad.ts';
import { type Crew, runTasks } from './run_tasks.ts';
import { workerSettings } from './settings.ts';
import type { Stopping } from './stopping.ts';

const FIREWORK = 'FW.json';
const DIARY = 'FW_offline.json';
const PING = 'FW_ping.json';

/** Runs the Firework of this folder, under `name`, as this machine's settings say. With `fwId` it must be that one. */
export async function runOffline(o: {
  /** Of the command line. */
  name: string | undefined;
  fwId: number | undefined;
  folder: string;
  stopping: Stopping;
  log: Logger;
}): Promise<void> {
  const { log, stopping } = o;
  const { fworker, python, pingMs, pruneImagesAtPercent, storeRetryMs } = workerSettings({
    instance: null,
    file: null,
    env: process.env,
  });
  // Not in the launch folder: that is the task's.
  await using guard = await Guard.start(tmpdir(), stopping.hastened);
  const crew: Crew = {
    fworker: readFWorker({ ...fworker, ...(o.name !== undefined && { name: o.name }) }, hostname()),
    hostName: hostname(),
    guard,
    python,
    graceMs: stopping.times.graceMs,
    pruneImagesAtPercent,
    env: process.env,
    storage: async () => new Storage(readEndpoints(process.env), { log }),
    // Beside the launch folder. Nobody comes to fetch the same again.
    depot: () => openDepot(dirname(resolve(o.folder)), { fetchCacheBytes: 0, storeRetryMs, log }),
  };
  await flyOffline(crew, { folder: o.folder, fwId: o.fwId, pingMs, signal: stopping.now, log });
}

export async function flyOffline(
  crew: Crew,
  o: { folder: string; fwId?: number; pingMs: number; signal: AbortSignal; log: Logger },
): Promise<'COMPLETED' | 'FIZZLED'> {
  const { folder, signal } = o;
  const { fireworks } = newWorkflow(await readDict(folder, FIREWORK));
  const [firework] = fireworks;
  if (!firework || fireworks.length > 1)
    throw new BorealisError(`${FIREWORK} in ${folder} must be one Firework`);
  const { fwId, name, spec } = firework;
  if (o.fwId !== undefined && o.fwId !== fwId)
    throw new BorealisError(`${FIREWORK} in ${folder} is Firework ${fwId}, not ${o.fwId}`);
  // What a run before left of its end is not this one's.
  const { fwaction: _, state: __, completed_on: ___, ...begun } = await readDict(folder, DIARY);
  const diary: Doc = { ...begun, started_on: isoTime() };
  const write = (page: Doc) => replaceFile(join(folder, DIARY), toJson(Object.assign(diary, page)));
  await write({});
  const launchId = numberOf(diary.launch_id ?? 0);
  const log = o.log.with({ fw_id: fwId, launch_id: launchId, firework: name });
  log.info(`Running Firework ${fwId} '${name}' offline in ${folder}`);
  const ended = new AbortController();
  const beating = beat(folder, o.pingMs, ended.signal, log);
  const { action, state } = await runTasks(crew, {
    claim: {
      fwId,
      launchId,
      name,
      spec,
      tasks: spec._tasks as Doc[],
      launchDir: folder,
      begun: false,
    },
    launchPad: null,
    log,
    signal,
    checkpoint: (checkpoint) => write({ checkpoint }),
  });
  ended.abort();
  await beating;
  await write({ fwaction: { ...action }, state, completed_on: isoTime() });
  log.info(
    `Firework ${fwId} '${name}' is ${state}; bring it in where the LaunchPad is: lpad recover_offline`,
  );
  return state;
}

/** A sign of life now and then, and one at the end. */
async function beat(folder: string, everyMs: number, ended: AbortSignal, log: Logger): Promise<void> {
  for (let more = true; more; ) {
    more = await sleep(everyMs, ended);
    await replaceFile(join(folder, PING), toJson({ ping_time: isoTime() })).catch((thrown: unknown) =>
      log.warning(`Heartbeat not written: ${messageOf(thrown)}`),
    );
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const part = `${path}.part`;
  await writeFile(part, text);
  await rename(part, path);
}

async function readDict(folder: string, name: string): Promise<Doc> {
  const path = join(folder, name);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = codeOf(cause) === 'ENOENT' ? 'is not there' : messageOf(cause);
    throw new BorealisError(
      `${path}: ${why}. An offline rocket runs in a folder that a queue has prepared (qlaunch -r)`,
      { cause },
    );
  });
  let value: unknown;
  try {
    value = fromJson(text);
  } catch (cause) {
    throw new BorealisError(`${path} is ${messageOf(cause)}`, { cause });
  }
  if (!isDoc(value)) throw new BorealisError(`${path} is no dictionary`);
  return value;
}
