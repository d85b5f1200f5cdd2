/**
 * Looks now and then for what dead workers left, and has it rerun. All workers do, at random times, so that it happens as
 * long as one lives; but one of them at a time, whoever holds the lease for it in the LaunchPad.
 */
import { messageOf } from '../core/errors.ts';
import {
  detectLostRuns,
  freeUnstarted,
  type LaunchPad,
  releaseLease,
  takeLease,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { jitter, MINUTE, SECOND, sleep } from '../core/wait.ts';
import { Suspects } from './suspects.ts';

export interface SweepOptions {
  /** A heartbeat older than this means that the worker died. 0: this worker does not look. */
  lostRunMs: number;
  /** A Firework that lost so many runs is not run again. */
  maxLostRuns: number;
  /** How often heartbeats are written. */
  pingMs: number;
}

const LEASE = 'lost_runs';

/** Sweeps until `signal` aborts. */
export async function sweepLostRuns(
  { launchpad, log }: { launchpad: LaunchPad; log: Logger },
  signal: AbortSignal,
  o: SweepOptions,
): Promise<void> {
  if (o.lostRunMs === 0) return;
  const everyMs = Math.min(10 * MINUTE, Math.max(SECOND, o.lostRunMs / 4));
  // Its holder comes again before it ends; 5 s for a look that takes long.
  const leaseMs = 2 * everyMs + 5 * SECOND;
  const suspects = new Suspects(o.pingMs);
  let holds = false;
  let waitMs = everyMs;
  while (await sleep(jitter(waitMs, 0.5), signal)) {
    try {
      holds = await takeLease(launchpad, LEASE, leaseMs);
      if (holds) await sweep(launchpad, log, suspects, o);
      else suspects.forget();
    } catch (thrown) {
      suspects.forget();
      log.warning(`Looking for lost runs failed: ${messageOf(thrown)}`);
    }
    // Whoever is suspect is looked at again soon: at the second look it is lost, or was heard.
    waitMs = suspects.any ? Math.min(everyMs, 2 * suspects.settleMs) : everyMs;
  }
  if (holds) await releaseLease(launchpad, LEASE).catch(() => log.debug('The lease for lost runs runs out'));
}

async function sweep(launchpad: LaunchPad, log: Logger, suspects: Suspects, o: SweepOptions): Promise<void> {
  const expirationSecs = o.lostRunMs / 1000;
  const seen = await detectLostRuns(launchpad, { expirationSecs });
  const launchIds = suspects.after(seen.launchIds, performance.now());
  if (launchIds.length + seen.inconsistentFwIds.length > 0) await mend(launchpad, log, launchIds, o);
  const freed = await freeUnstarted(launchpad, expirationSecs);
  if (freed.length > 0)
    log.warning(`Freed Fireworks that a worker took and never began: ${freed.join(', ')}`);
}

/** Reruns the Fireworks of these lost launches, and mends those whose launch has ended and who do not know it. */
async function mend(
  launchpad: LaunchPad,
  log: Logger,
  launchIds: readonly number[],
  { lostRunMs, maxLostRuns }: SweepOptions,
): Promise<void> {
  const { fwIds, inconsistentFwIds, ...lost } = await detectLostRuns(launchpad, {
    expirationSecs: lostRunMs / 1000,
    launchQuery: { launch_id: { $in: launchIds } },
    rerun: true,
    refresh: true,
    maxLostRuns,
  });
  if (lost.launchIds.length > 0)
    log.warning(
      `Reran Fireworks whose worker died: ${fwIds.join(', ') || 'none'} (lost launches ${lost.launchIds.join(', ')})`,
    );
  if (inconsistentFwIds.length > 0)
    log.warning(`Mended Fireworks that a worker left half-way: ${inconsistentFwIds.join(', ')}`);
}
