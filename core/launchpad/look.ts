/** What a worker asks when it has nothing to do. */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerQuery } from './model.ts';
import { numberOf } from './values.ts';

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
  // What runs elsewhere need not be what this worker can take just now: its children may be.
  const { only: _, ...identity } = fworker;
  const active = launchpad.fireworks.find(
    { ...fworkerQuery(identity), state: { $in: ['RUNNING', 'RESERVED'] } } as Document,
    { projection: { fw_id: 1, _id: 0 }, batchSize: CHUNK },
  );
  let chunk: number[] = [];
  for await (const { fw_id } of active) {
    if (chunk.push(numberOf(fw_id)) < CHUNK) continue;
    if (await anyWaitsFor(launchpad, chunk)) return true;
    chunk = [];
  }
  return await anyWaitsFor(launchpad, chunk);
}

/** How many Fireworks are asked about together. */
const CHUNK = 500;

/** Whether a child of one of `fwIds` is WAITING. Of their workflows only the links of these are read. */
async function anyWaitsFor({ workflows, fireworks }: LaunchPad, fwIds: readonly number[]): Promise<boolean> {
  if (fwIds.length === 0) return false;
  const projection = { _id: 0, ...Object.fromEntries(fwIds.map((id) => [`links.${id}`, 1])) };
  let children: number[] = [];
  const anyWaits = async () => {
    const waiting = { fw_id: { $in: children }, state: 'WAITING' };
    return (await fireworks.findOne(waiting, { projection: { _id: 1 } })) !== null;
  };
  for await (const { links } of workflows.find({ nodes: { $in: fwIds } }, { projection })) {
    children = children.concat(...Object.values((links ?? {}) as Record<string, number[]>));
    if (children.length < MOST_IDS) continue;
    if (await anyWaits()) return true;
    children = [];
  }
  return children.length > 0 && (await anyWaits());
}

/** How many ids one query names, about. */
const MOST_IDS = 5000;
