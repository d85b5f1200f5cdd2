import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Storage } from '../core/cloud/storage.ts';
import { UsageError } from '../core/errors.ts';
import {
  type Doc,
  describeLaunchPad,
  type FWorker,
  isDoc,
  LaunchPad,
  parseYaml,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import type { Cloud } from './cloud.ts';
import type { Pad } from './flight.ts';
import { Guard } from './guard.ts';
import type { WorkerSettings } from './settings.ts';
import type { Stopping } from './stopping.ts';

/** Of the 25 s that a preempted VM has, what a task may take to end; the rest is for giving the Firework back. */
const TASK_GRACE_MS = 12 * SECOND;

/** Connects to the LaunchPad and gets everything ready that rockets need. Launches live below `launches/` here. */
export async function openPad(o: {
  name: string;
  settings: WorkerSettings;
  cloud: Cloud;
  stopping: Stopping;
  log: Logger;
}): Promise<Pad & AsyncDisposable & { where: string; launchDir: (launchId: number) => string }> {
  const { settings, cloud, log } = o;
  const folder = resolve('launches');
  const fworker = readFWorker(o.name);
  const launchpad = await LaunchPad.open(settings.launchpad, { log, appName: `fireworker ${o.name}` });
  await mkdir(folder, { recursive: true });
  const guard = await Guard.start(folder);
  let storage: Storage | null = null;
  return {
    launchpad,
    fworker,
    hostName: cloud.hostName,
    log,
    stopNow: o.stopping.now,
    guard,
    python: settings.python,
    pingMs: settings.pingMs,
    graceMs: TASK_GRACE_MS,
    env: process.env,
    where: describeLaunchPad(settings.launchpad),
    launchDir: (launchId) => join(folder, `launcher_${launchId}`),
    async storage() {
      storage ??= new Storage(cloud.endpoints, cloud.project ?? undefined, log);
      return storage;
    },
    async [Symbol.asyncDispose]() {
      await guard[Symbol.asyncDispose]();
      await launchpad.close();
    },
  };
}

/** The worker's identity: my_fworker.yaml here gives category, query and env; the VM its name. */
function readFWorker(name: string, path = 'my_fworker.yaml'): FWorker {
  const fworker: FWorker = { name, category: '', query: {}, env: {} };
  if (!existsSync(path)) return fworker;
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
    // Python writes the query as a JSON string.
    else if (key === 'query') fworker.query = (text ? JSON.parse(value) : value) as Doc;
    else if (key === 'env' && isDoc(value)) fworker.env = value;
    else throw new UsageError(`${path}: ${key}=${JSON.stringify(value)} has the wrong type`);
  }
  return fworker;
}
