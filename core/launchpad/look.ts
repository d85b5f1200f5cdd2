/** What a worker asks when it has nothing to do. */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import { type FWorker, fworkerQuery } from './model.ts';

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
    { ...fworkerQuery(fworker), state: { $in: ['RUNNING', 'RESERVED'] } } as Document,
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
