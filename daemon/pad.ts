import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Storage } from '../core/cloud/storage.ts';
import { UsageError } from '../core/errors.ts';
import {
  type Doc,
  describeLaunchPad,
  type FWorker,
  fromJson,
  isDoc,
  LaunchPad,
  parseYaml,
  plainDoc,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import type { Cloud } from './cloud.ts';
import { LaunchDisk } from './disk.ts';
import { type Depot, openDepot } from './docker/depot.ts';
import { clearLeftovers } from './docker/leftovers.ts';
import type { Pad } from './flight.ts';
import { type Env, fwConfig, fwConfigFile } from './fw_config.ts';
import { Guard } from './guard.ts';
import type { WorkerSettings } from './settings.ts';
import type { Stopping } from './stopping.ts';

/** Connects to the LaunchPad and gets everything ready that rockets need. Launches live below `launches/` here. */
export async function openPad(o: {
  /** Of the command line: it comes before what a file says. */
  name: string | undefined;
  settings: WorkerSettings;
  cloud: Cloud;
  stopping: Stopping;
  log: Logger;
}): Promise<
  Pad & AsyncDisposable & { where: string; launchDir: (launchId: number) => string; disk: LaunchDisk }
> {
  const { settings, cloud, log } = o;
  const folder = resolve('launches');
  const named = o.name === undefined ? {} : { name: o.name };
  const fworker = readFWorker({ ...settings.fworker, ...named }, cloud.hostName);
  const launchpad = await LaunchPad.open(settings.launchpad, {
    log,
    appName: `fireworker ${fworker.name}`,
    launchIdsAhead: 16,
  });
  await mkdir(folder, { recursive: true });
  const guard = await Guard.start(folder, o.stopping.hastened);
  const where = describeLaunchPad(settings.launchpad);
  const own = { launchpad: where, worker: fworker.name, host: cloud.hostName };
  const clearing = clearLeftovers(process.env, own, log);
  let storage: Storage | null = null;
  let depot: Promise<Depot> | null = null;
  const openedDepot = () => (depot ??= openDepot(resolve('.'), { ...settings, log }));
  return {
    launchpad,
    fworker,
    hostName: cloud.hostName,
    log,
    stopNow: o.stopping.now,
    giveBack: o.stopping.giveBack,
    guard,
    python: settings.python,
    pingMs: settings.pingMs,
    graceMs: o.stopping.times.graceMs,
    pruneImagesAtPercent: settings.pruneImagesAtPercent,
    env: process.env,
    where,
    launchDir: (launchId) => join(folder, `launcher_${launchId}`),
    async storage() {
      storage ??= new Storage(cloud.endpoints, { log });
      return storage;
    },
    depot: openedDepot,
    disk: new LaunchDisk(folder, async () => (await (await openedDepot()).cache?.clear()) ?? 0, log),
    async [Symbol.asyncDispose]() {
      await clearing;
      await guard[Symbol.asyncDispose]();
      await launchpad.close();
    },
  };
}

/** The worker's identity: what is given, else what its file says, else the name `fallback` and no more. */
export function readFWorker(
  given: Partial<FWorker>,
  fallback: string,
  path = findFWorkerFile(process.env),
): FWorker {
  return { name: fallback, category: '', query: {}, env: {}, ...(path && fworkerIn(path)), ...given };
}

/** my_fworker.yaml here, else where FW_config.yaml says (FWORKER_LOC, CONFIG_FILE_DIR), else in ~/.fireworks. Null: there is none. */
export function findFWorkerFile(env: Env, cwd = process.cwd()): string | null {
  const name = 'my_fworker.yaml';
  const { FWORKER_LOC: file, CONFIG_FILE_DIR: folder } = fwConfig(env, cwd);
  const from = dirname(fwConfigFile(env, cwd) ?? cwd);
  const places = [
    join(cwd, name),
    typeof file === 'string' ? resolve(from, file) : null,
    typeof folder === 'string' ? resolve(from, folder, name) : null,
    join(env.HOME ?? homedir(), '.fireworks', name),
  ];
  return places.find((path) => path !== null && existsSync(path)) ?? null;
}

function fworkerIn(path: string): Partial<FWorker> {
  const fworker: Partial<FWorker> = {};
  const values = parseYaml(readFileSync(path, 'utf8'), path) ?? {};
  if (!isDoc(values)) throw new UsageError(`${path}: a worker's file is a list of 'key: value' lines`);
  for (const [key, value] of Object.entries(values)) {
    if (!['name', 'category', 'query', 'env'].includes(key))
      throw new UsageError(`${path}: unknown key '${key}'. Known keys: name, category, query, env`);
    if (value === null) continue;
    const text = typeof value === 'string';
    if (key === 'name' && text) fworker.name = value;
    else if (key === 'category' && (text || Array.isArray(value)))
      fworker.category = text ? value : value.map(String);
    else if (key === 'query') fworker.query = queryIn(value, path);
    else if (key === 'env' && isDoc(value)) fworker.env = value;
    else throw new UsageError(`${path}: ${key}=${JSON.stringify(value)} has the wrong type`);
  }
  return fworker;
}

/** Python writes the query as a JSON string. */
function queryIn(value: unknown, path: string): Doc {
  try {
    const query = typeof value === 'string' ? fromJson(value) : value;
    if (isDoc(query)) return plainDoc(query);
  } catch {
    // Told below.
  }
  throw new UsageError(
    `${path}: query=${JSON.stringify(value)}: must be a MongoDB query, as {"spec.kind": "big"}`,
  );
}
