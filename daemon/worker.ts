/** The worker's loop: wait for work or a wish to stop; claim; fly. */
import { messageOf } from '../core/errors.ts';
import {
  type Claim,
  claim,
  detectLostRuns,
  freeUnstarted,
  futureRunExists,
  isAway,
} from '../core/launchpad/index.ts';
import { jitter, MINUTE, SECOND, sleep } from '../core/wait.ts';
import { fly, type Landing, type Pad } from './flight.ts';
import { beforeClaim, type WorkerState, whenIdle } from './moves.ts';
import type { Stopping } from './stopping.ts';
import { Suspects } from './suspects.ts';

export interface WorkerOptions {
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  lostRunMs: number;
  once: boolean;
  /** The folder of a launch. */
  launchDir: (launchId: number) => string;
}

/** Why a worker stopped, and what became of its rockets. */
export interface Worked {
  why: string;
  landings: Record<Landing, number>;
}

/** How long an answer about future work is good for: what ran then may end, but to know it at once is not worth asking. */
const FUTURE_HOLDS_MS = 30 * SECOND;

/** Flies rockets until there is a reason to stop, and returns it with what became of the rockets. */
export async function work(pad: Pad, stopping: Stopping, o: WorkerOptions): Promise<Worked> {
  const landings: Record<Landing, number> = { completed: 0, fizzled: 0, givenUp: 0, lost: 0 };
  const sweeping = sweepLostRuns(pad, stopping.noMore, o.lostRunMs);
  let idleSince = Date.now();
  let futureWork: boolean | null = null;
  let askedAt = 0;
  const state = (): WorkerState => ({
    stop: stopping.reason,
    quitWhenIdle: stopping.quitWhenIdle,
    idleMs: Date.now() - idleSince,
    futureWork,
    idleForRocketsMs: o.idleForRocketsMs,
    idleForWaitersMs: o.idleForWaitersMs,
    once: o.once,
    flown: Object.values(landings).reduce((sum, n) => sum + n, 0),
  });
  try {
    for (;;) {
      const before = beforeClaim(state());
      if (before.move === 'stop') return { why: before.why, landings };
      const claimed = await claimNext(pad, stopping.noMore, o);
      if (claimed) {
        landings[await fly(pad, claimed)]++;
        idleSince = Date.now();
        futureWork = null;
        continue;
      }
      const next = whenIdle(state());
      if (next.move === 'stop') return { why: next.why, landings };
      if (next.move === 'askFuture') {
        futureWork = await ask(pad, () => futureRunExists(pad.launchpad, pad.fworker));
        askedAt = Date.now();
      }
      if (next.move === 'sleep') {
        await sleep(next.ms, stopping.changed());
        if (Date.now() - askedAt > FUTURE_HOLDS_MS) futureWork = null;
      }
    }
  } finally {
    stopping.endSweep.abort();
    await sweeping;
  }
}

/** The next Firework; null when there is none, or when the LaunchPad is away: then a worker idles as if nothing were READY. */
async function claimNext(pad: Pad, noMore: AbortSignal, o: WorkerOptions): Promise<Claim | null> {
  try {
    return await claim(pad.launchpad, pad.fworker, {
      launchDir: o.launchDir,
      host: pad.hostName,
      begins: true,
    });
  } catch (thrown) {
    if (!isAway(thrown)) throw thrown;
    pad.log.warning(`The LaunchPad is away: ${messageOf(thrown)}`);
    await sleep(jitter(5 * SECOND), noMore);
    return null;
  }
}

async function ask(pad: Pad, question: () => Promise<boolean>): Promise<boolean> {
  try {
    return await question();
  } catch (thrown) {
    if (!isAway(thrown)) throw thrown;
    pad.log.warning(`The LaunchPad is away: ${messageOf(thrown)}`);
    return true;
  }
}

/**
 * Looks for what dead workers left, now and then, and has it rerun. Every worker does, at random times, so that it happens
 * as long as one lives; finding the same at once is harmless, for ending a lost launch is one atomic write.
 */
async function sweepLostRuns(pad: Pad, noMore: AbortSignal, lostRunMs: number): Promise<void> {
  if (lostRunMs === 0) return;
  const everyMs = Math.min(10 * MINUTE, Math.max(SECOND, lostRunMs / 4));
  const expirationSecs = lostRunMs / 1000;
  const suspects = new Suspects(pad.pingMs);
  while (await sleep(jitter(everyMs, 0.5), noMore)) {
    try {
      const seen = await detectLostRuns(pad.launchpad, { expirationSecs });
      const launchIds = suspects.after(seen.launchIds, Date.now());
      if (launchIds.length + seen.inconsistentFwIds.length > 0) await mend(pad, expirationSecs, launchIds);
      const freed = await freeUnstarted(pad.launchpad, expirationSecs);
      if (freed.length > 0)
        pad.log.warning(`Freed Fireworks that a worker took and never began: ${freed.join(', ')}`);
    } catch (thrown) {
      suspects.forget();
      pad.log.warning(`Looking for lost runs failed: ${messageOf(thrown)}`);
    }
  }
}

/** Reruns the Fireworks of these lost launches, and mends those whose launch has ended and who do not know it. */
async function mend(pad: Pad, expirationSecs: number, launchIds: readonly number[]): Promise<void> {
  const { fwIds, inconsistentFwIds, ...lost } = await detectLostRuns(pad.launchpad, {
    expirationSecs,
    launchQuery: { launch_id: { $in: launchIds } },
    rerun: true,
    refresh: true,
  });
  if (lost.launchIds.length > 0)
    pad.log.warning(
      `Reran Fireworks whose worker died: ${fwIds.join(', ') || 'none'} (lost launches ${lost.launchIds.join(', ')})`,
    );
  if (inconsistentFwIds.length > 0)
    pad.log.warning(`Mended Fireworks that a worker left half-way: ${inconsistentFwIds.join(', ')}`);
}
