/**
 * Containers of workers that are no more. A worker that is killed outright leaves its container running, unless the program
 * docker was there for the guard to remove it (guard.ts). It is found here: when a worker of the same name starts, and before
 * the same Firework's container starts, for the same task must not run twice at once.
 */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Logger } from '../../core/log.ts';
import { removeContainer } from './container.ts';
import type { Engine } from './engine.ts';

export const LABELS = {
  launchpad: 'borealis.launchpad',
  fwId: 'borealis.fw_id',
  launchId: 'borealis.launch_id',
  worker: 'borealis.worker',
  host: 'borealis.host',
  /** The pipe of the worker's guard: there as long as the worker lives. */
  guard: 'borealis.guard',
} as const;

const listed = z.array(
  z.looseObject({
    Id: z.string(),
    Labels: z
      .record(z.string(), z.string())
      .nullish()
      .transform((labels) => labels ?? {}),
  }),
);

/** Removes the containers that carry all of `labels`, and for which `dead` is true. Returns how many. */
async function removeAll(
  engine: Engine,
  labels: Record<string, string>,
  o: { log: Logger; signal?: AbortSignal; dead?: (labels: Record<string, string>) => boolean },
): Promise<number> {
  const filters = JSON.stringify({ label: Object.entries(labels).map(([key, value]) => `${key}=${value}`) });
  const path = `/containers/json?all=true&filters=${encodeURIComponent(filters)}`;
  let count = 0;
  for (const { Id, Labels } of listed.parse(await engine.request('GET', path, { signal: o.signal }))) {
    if (o.dead && !o.dead(Labels)) continue;
    const what = Labels[LABELS.fwId] ? ` of Firework ${Labels[LABELS.fwId]}` : '';
    o.log.warning(`Removing container ${Id.slice(0, 12)}${what}, which a dead worker left`);
    await removeContainer(engine, Id);
    count++;
  }
  return count;
}

/** What earlier lives of this worker left: its name, on this machine, and the guard's pipe is gone. */
export const removeLeftovers = (
  engine: Engine,
  own: { launchpad: string; worker: string; host: string },
  o: { log: Logger; signal?: AbortSignal },
): Promise<number> =>
  removeAll(
    engine,
    { [LABELS.launchpad]: own.launchpad, [LABELS.worker]: own.worker, [LABELS.host]: own.host },
    { ...o, dead: (labels) => !existsSync(labels[LABELS.guard] ?? '') },
  );

/** What runs for this Firework on this Engine: whose worker that was has lost it. */
export const removeOthersOf = (
  engine: Engine,
  own: { launchpad: string; fwId: number },
  o: { log: Logger; signal?: AbortSignal },
): Promise<number> =>
  removeAll(engine, { [LABELS.launchpad]: own.launchpad, [LABELS.fwId]: String(own.fwId) }, o);
