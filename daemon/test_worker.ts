/**
 * A worker for one test: a LaunchPad, a guard and a folder of its own, and rockets that fly when the test says so. What it
 * logs is kept. All of it goes when it is disposed of.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Storage } from '../core/cloud/storage.ts';
import {
  addWorkflows,
  type Claim,
  claim,
  type Doc,
  type LaunchPad,
  newWorkflow,
  plainDoc,
} from '../core/launchpad/index.ts';
import { type TestPad, testPad } from '../core/launchpad/test_pad.ts';
import { type LogLine, loggerTo } from '../core/log.ts';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';
import { openDepot } from './docker/depot.ts';
import { duplicateFinder } from './duplicate_finder.ts';
import { fly, type Landing, type Pad } from './flight.ts';
import { Guard } from './guard.ts';

export interface TestWorker extends AsyncDisposable {
  readonly pad: Pad;
  readonly launchpad: LaunchPad;
  /** Launches run in launcher_ID below it, or in itself when the test asked for `oneFolder`. */
  readonly folder: string;
  readonly said: LogLine[];
  /** Adds a workflow of one Firework with these Firetasks, and `children` that do nothing. */
  add(tasks: Doc[], spec?: Doc, children?: number): Promise<void>;
  /** Claims and flies what is READY; null: nothing is. `inOneFolder` for this rocket alone. */
  fly(inOneFolder?: boolean): Promise<Landing | null>;
  claim(): Promise<Claim>;
  /** Asks rockets in flight to be given back. */
  stop(why: string): void;
  firework(id: number): Promise<Doc>;
  /** The last launch of a Firework. */
  launch(fwId: number): Promise<Doc>;
  storedData(fwId: number): Promise<Doc>;
  /** A file of a launch. */
  file(name: string, launchId?: number): Promise<string>;
}

export async function testWorker(o: Partial<Pad> & { oneFolder?: boolean } = {}): Promise<TestWorker> {
  const { oneFolder = false, ...given } = o;
  const own: TestPad | null = given.launchpad ? null : await testPad();
  const launchpad = given.launchpad ?? (own as TestPad).launchpad;
  const folder = await mkdtemp(join(tmpdir(), 'worker-'));
  const guard = await Guard.start(folder);
  const stopping = new AbortController();
  const said: LogLine[] = [];
  const pad: Pad = {
    launchpad,
    fworker: { name: 'tester', category: '', query: {}, env: {} },
    hostName: hostname(),
    log: loggerTo([(line) => void said.push(line)]),
    stopNow: stopping.signal,
    giveBack: new AbortController().signal,
    guard,
    python: 'python3',
    pingMs: MINUTE,
    graceMs: SECOND,
    pruneImagesAtPercent: 0,
    env: process.env,
    storage: async () => new Storage({ metadataHost: '127.0.0.1:1' }),
    depot: () => openDepot(folder, { fetchCacheBytes: 0, storeRetryMs: MINUTE, log: pad.log }),
    ...given,
  };
  const launchDir = (id: number, inOne = oneFolder) => (inOne ? folder : join(folder, `launcher_${id}`));
  const take = (inOne = oneFolder) =>
    claim(launchpad, pad.fworker, {
      launchDir: (id) => launchDir(id, inOne),
      host: pad.hostName,
      duplicates: duplicateFinder(pad),
    });
  const lastLaunch = async (fwId: number): Promise<Doc> => {
    const found = await launchpad.launches.find({ fw_id: fwId }).sort({ launch_id: -1 }).limit(1).toArray();
    if (!found[0]) throw new Error(`Firework ${fwId} has no launch`);
    return plainDoc(found[0]);
  };
  return {
    pad,
    launchpad,
    folder,
    said,
    async add(tasks, spec = {}, children = 0) {
      const fws = [{ fw_id: 1, name: 'first', spec: { ...spec, _tasks: tasks } }];
      for (let id = 2; id < children + 2; id++)
        fws.push({ fw_id: id, name: `child ${id}`, spec: { _tasks: [] } });
      const links = children > 0 ? { 1: fws.slice(1).map(({ fw_id }) => fw_id) } : {};
      await addWorkflows(launchpad, [newWorkflow({ fws, links })]);
    },
    async fly(inOneFolder) {
      const taken = await take(inOneFolder);
      return taken && (await fly(pad, taken));
    },
    async claim() {
      const taken = await take();
      if (!taken) throw new Error('nothing is READY');
      return taken;
    },
    stop: (why) => stopping.abort(new Error(why)),
    async firework(id) {
      return plainDoc((await launchpad.fireworks.findOne({ fw_id: id })) as Doc);
    },
    launch: lastLaunch,
    async storedData(fwId) {
      return ((await lastLaunch(fwId)).action as Doc).stored_data as Doc;
    },
    file: (name, launchId = 1) => readFile(join(launchDir(launchId), name), 'utf8'),
    async [Symbol.asyncDispose]() {
      await guard[Symbol.asyncDispose]();
      await own?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks until the answer is there. Throws with what was waited for when that takes longer than `limitMs`. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  limitMs = 10 * SECOND,
): Promise<T> {
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(20)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited ${limitMs / SECOND} s in vain: ${what}`);
}

/** Whether a process runs; a zombie does not. */
export async function runs(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat !== '' && !/\) Z /.test(stat);
}
