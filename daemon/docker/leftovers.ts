/**
 * Containers of workers that are no more. A worker that is killed outright leaves its container running, unless the program
 * docker was there for the guard to remove it (guard.ts). It is found here: when a worker of the same name starts, and before
 * the same Firework's container starts, for the same task must not run twice at once.
 */
import { existsSync } from 'node:fs';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { SECOND } from '../../core/wait.ts';
import { removeContainer } from './container.ts';
import { Engine, type Env, engineAddress } from './engine.ts';

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

/** A worker that starts does not wait long for an Engine that it may never need. */
const CLEAR_WITHIN_MS = 20 * SECOND;

/** The same when a worker starts. Where there is no Engine, nothing can be left; what else goes wrong the first task will tell. */
export async function clearLeftovers(
  env: Env,
  own: { launchpad: string; worker: string; host: string },
  log: Logger,
): Promise<void> {
  try {
    const { socketPath } = engineAddress(env.DOCKER_HOST, env);
    if (socketPath && !existsSync(socketPath)) return;
    const signal = AbortSignal.timeout(CLEAR_WITHIN_MS);
    await using engine = await Engine.open(env, signal);
    await removeLeftovers(engine, own, { log, signal });
  } catch (thrown) {
    log.debug(`What an earlier life of this worker may have left was not looked for: ${messageOf(thrown)}`);
  }
}

/** What runs for this Firework on this Engine: whose worker that was has lost it. Of this launch it may be a background task's. */
export const removeOthersOf = (
  engine: Engine,
  own: { launchpad: string; fwId: number; launchId: number },
  o: { log: Logger; signal?: AbortSignal },
): Promise<number> =>
  removeAll(
    engine,
    { [LABELS.launchpad]: own.launchpad, [LABELS.fwId]: String(own.fwId) },
    { ...o, dead: (labels) => labels[LABELS.launchId] !== String(own.launchId) },
  );
