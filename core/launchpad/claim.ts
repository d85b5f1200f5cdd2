/** Taking a READY Firework: the one step in which two workers could meet. */
import { hostname, networkInterfaces } from 'node:os';
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerDoc, fworkerQuery } from './model.ts';
import { refreshFirework } from './refresh.ts';
import { type Doc, isoTime, numberOf, plain, TYPED } from './values.ts';

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
}

export interface ClaimOptions {
  /** Where the rocket will run; told the launch's id, so that every launch can have a folder of its own. */
  launchDir: (launchId: number) => string;
  host?: string;
  ip?: string;
  /** Only this Firework. */
  fwId?: number;
}

/**
 * Checks out the READY Firework of the highest `_priority` that fits the worker (`LaunchPad.checkout_fw`). Null: none.
 *
 * The first write, READY to RESERVED, is atomic: it alone decides who runs it. What a crash leaves after each step:
 *   RESERVED without a launch    nobody runs it; `unreserved` in a lost-run sweep puts it back to READY;
 *   a launch no Firework names   harmless;
 *   RUNNING                      found by its heartbeat, as any lost run.
 */
export async function claim(launchpad: LaunchPad, fworker: FWorker, o: ClaimOptions): Promise<Claim | null> {
  const { fireworks, launches } = launchpad;
  const query =
    o.fwId === undefined
      ? { ...fworkerQuery(fworker), state: 'READY' }
      : { fw_id: o.fwId, state: { $in: ['READY', 'RESERVED'] } };
  const firework = await fireworks.findOneAndUpdate(
    query as Document,
    { $set: { state: 'RESERVED', updated_on: isoTime() } },
    {
      sort: { 'spec._priority': -1, created_on: 1 },
      returnDocument: 'after',
      projection: { _id: 0 },
      ...TYPED,
    },
  );
  if (!firework) return null;
  const fwId = numberOf(firework.fw_id);
  if ((firework.launches as unknown[]).length > 0)
    return await claimReserved(launchpad, fworker, o, firework);
  const launchId = await launchpad.newIds('next_launch_id');
  const startedAt = new Date();
  const launchDir = o.launchDir(launchId);
  await launches.insertOne(
    launchDocument({ fworker, fwId, launchId, launchDir, startedAt, o, spec: firework.spec as Doc }),
  );
  await start(launchpad, fwId, [launchId]);
  return claimOf(firework, launchId, startedAt, launchDir);
}

/** A Firework with launches already: one of them may be a reservation in a queue, which becomes this launch. */
async function claimReserved(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
  firework: Document,
): Promise<Claim> {
  const { launches } = launchpad;
  const fwId = numberOf(firework.fw_id);
  const ids = (firework.launches as unknown[]).map(numberOf);
  const reserved = await launches.findOne({ launch_id: { $in: ids }, state: 'RESERVED' }, TYPED);
  const launchId = reserved ? numberOf(reserved.launch_id) : await launchpad.newIds('next_launch_id');
  const startedAt = new Date();
  const launchDir = o.launchDir(launchId);
  const document = launchDocument({
    fworker,
    fwId,
    launchId,
    launchDir,
    startedAt,
    o,
    spec: firework.spec as Doc,
  });
  if (reserved)
    document.state_history = [...(reserved.state_history as unknown[]), ...document.state_history];
  await launches.replaceOne({ launch_id: launchId }, document, { upsert: true });
  await start(launchpad, fwId, reserved ? ids : [...ids, launchId]);
  return claimOf(firework, launchId, startedAt, launchDir);
}

function claimOf(firework: Document, launchId: number, startedAt: Date, launchDir: string): Claim {
  const spec = firework.spec as Doc;
  const tasks = (Array.isArray(spec._tasks) ? spec._tasks : [spec._tasks]) as Doc[];
  return {
    fwId: numberOf(firework.fw_id),
    launchId,
    name: String(firework.name),
    spec,
    tasks,
    startedAt,
    launchDir,
  };
}

function launchDocument(l: {
  fworker: FWorker;
  fwId: number;
  launchId: number;
  launchDir: string;
  startedAt: Date;
  o: ClaimOptions;
  spec: Doc;
}): Document {
  const at = isoTime(l.startedAt);
  return {
    fworker: fworkerDoc(l.fworker),
    fw_id: l.fwId,
    launch_dir: l.launchDir,
    host: l.o.host ?? hostname(),
    ip: l.o.ip ?? ownAddress(),
    trackers: l.spec._trackers ?? [],
    action: null,
    state: 'RUNNING',
    state_history: [{ state: 'RUNNING', created_on: at, updated_on: at }],
    launch_id: l.launchId,
    time_start: at,
    time_end: null,
    runtime_secs: null,
  };
}

/** This machine's address, as FireWorks' `get_my_ip`: the first that other machines can reach. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find((address) => address.family === 'IPv4' && !address.internal)?.address ?? '127.0.0.1';
}

async function start(launchpad: LaunchPad, fwId: number, launches: number[]): Promise<void> {
  const { fireworks, workflows } = launchpad;
  await fireworks.updateOne({ fw_id: fwId }, { $set: { state: 'RUNNING', launches, updated_on: isoTime() } });
  // One atomic write that changes nothing that Python writes under its lock but this Firework's own state. While the lock
  // is held the writer may put back a copy that it read before: then the state is set under the lock like any other.
  const workflow = await workflows.findOneAndUpdate(
    { nodes: fwId, locked: { $exists: false } },
    { $set: { [`fw_states.${fwId}`]: 'RUNNING', updated_on: new Date() } },
    { projection: { state: 1 } },
  );
  if (!workflow) return await refreshFirework(launchpad, fwId);
  if (workflow.state === 'READY' || workflow.state === 'RESERVED') {
    const stillSo = { _id: workflow._id, state: workflow.state };
    await workflows.updateOne(stillSo, { $set: { state: 'RUNNING' } });
  } else if (workflow.state !== 'RUNNING') await refreshFirework(launchpad, fwId);
}

/** True when a Firework that fits the worker is READY (`LaunchPad.run_exists`). */
export async function runExists(launchpad: LaunchPad, fworker: FWorker): Promise<boolean> {
  const query = { ...fworkerQuery(fworker), state: 'READY' } as Document;
  return (await launchpad.fireworks.findOne(query, { projection: { _id: 1 } })) !== null;
}

/**
 * True when work can still come: something is READY, or something RUNNING or RESERVED has a child that WAITs for it
 * (`LaunchPad.future_run_exists`).
 */
export async function futureRunExists(launchpad: LaunchPad, fworker: FWorker): Promise<boolean> {
  if (await runExists(launchpad, fworker)) return true;
  const active = launchpad.fireworks.find(
    { state: { $in: ['RUNNING', 'RESERVED'] } },
    { projection: { fw_id: 1 } },
  );
  for await (const { fw_id } of active) {
    const workflow = await launchpad.workflows.findOne(
      { nodes: fw_id },
      { projection: { [`links.${fw_id}`]: 1 } },
    );
    const children = (workflow?.links?.[fw_id] ?? []) as number[];
    if (children.length === 0) continue;
    const waiting = { fw_id: { $in: children }, state: 'WAITING' };
    if (await launchpad.fireworks.findOne(waiting, { projection: { _id: 1 } })) return true;
  }
  return false;
}

/** A heartbeat (`LaunchPad.ping_launch`), with the checkpoint of the Firetask that starts. False: the launch is no longer ours. */
export async function ping(launchpad: LaunchPad, launchId: number, checkpoint?: Doc): Promise<boolean> {
  const set: Document = { 'state_history.$.updated_on': isoTime() };
  if (checkpoint) set['state_history.$.checkpoint'] = checkpoint;
  const mine = { launch_id: launchId, state: 'RUNNING', state_history: { $elemMatch: { state: 'RUNNING' } } };
  const { matchedCount } = await launchpad.launches.updateOne(mine, { $set: set });
  return matchedCount === 1;
}

/** Records another folder for a launch (`LaunchPad.change_launch_dir`). */
export async function setLaunchDir(launchpad: LaunchPad, launchId: number, dir: string): Promise<void> {
  const { matchedCount } = await launchpad.launches.updateOne(
    { launch_id: launchId },
    { $set: { launch_dir: dir } },
  );
  if (matchedCount === 0) throw new BorealisError(`There is no launch ${launchId}`);
}

/** The spec as Firetasks see it: JavaScript's own numbers. */
export function plainSpec(spec: Doc): Doc {
  return plain(spec) as Doc;
}
