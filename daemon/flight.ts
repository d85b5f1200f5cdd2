/** One rocket's flight: from a claim to its results in the LaunchPad (`Rocket.run` in fireworks/core/rocket.py). */
import { BorealisError, messageOf } from '../core/errors.ts';
import {
  type Claim,
  complete,
  type Doc,
  endsAlone,
  failure,
  fwAction,
  giveUp,
  isAway,
  type LaunchPad,
  retract,
  setLaunchDir,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { type RetryPolicy, retry } from '../core/retry.ts';
import { MINUTE, SECOND, unlessAborted } from '../core/wait.ts';
import { Heartbeat } from './heartbeat.ts';
import { type Crew, type Result, runTasks, stacktrace } from './run_tasks.ts';

/** What a rocket needs of its worker. */
export interface Pad extends Crew {
  launchpad: LaunchPad;
  log: Logger;
  /** Aborts when rockets in flight must end, to be given back. */
  stopNow: AbortSignal;
  /** Aborts some time after that: now they are given back, whatever their tasks still do. */
  giveBack: AbortSignal;
  pingMs: number;
}

/** completed, fizzled: written so. givenUp: READY again for another. lost: it was taken from us; nothing was written. */
export type Landing = 'completed' | 'fizzled' | 'givenUp' | 'lost';

/** Results are worth waiting for: the LaunchPad may be away for a day. */
const KEEP_RESULTS: RetryPolicy = {
  retryable: isAway,
  firstDelayMs: SECOND,
  longestDelayMs: 30 * SECOND,
  deadlineMs: 24 * 60 * MINUTE,
};

/** When stopping, what is left of the grace time is for giving up; longer would be cut by SIGKILL. */
const GIVE_UP: RetryPolicy = {
  retryable: isAway,
  firstDelayMs: 300,
  longestDelayMs: 2 * SECOND,
  deadlineMs: 10 * SECOND,
};

/**
 * Flies one claimed Firework. Never throws for what a task does; throws when the LaunchPad cannot be written. `onGround` is
 * called when the tasks have ended and only results are left to write, of which nobody's next claim can depend.
 */
export async function fly(pad: Pad, claim: Claim, onGround?: () => void): Promise<Landing> {
  const log = pad.log.with({ fw_id: claim.fwId, launch_id: claim.launchId, firework: claim.name });
  const started = performance.now();
  log.info(`Running Firework ${claim.fwId} '${claim.name}' in ${claim.launchDir}`);
  // It beats until the results are written: a run whose results wait for the LaunchPad is not lost.
  await using heartbeat = new Heartbeat(pad.launchpad, claim, pad.pingMs, log);
  const rocket = {
    claim,
    launchPad: pad.launchpad.settings,
    log,
    signal: AbortSignal.any([pad.stopNow, heartbeat.lost]),
    checkpoint: (checkpoint: Doc) => heartbeat.checkpoint(checkpoint),
    async moveTo(dir: string) {
      await setLaunchDir(pad.launchpad, claim.launchId, dir);
      heartbeat.launchDir = dir;
    },
  };
  const result = await unlessAborted(pad.giveBack, runTasks(pad, rocket));
  if (!result) log.warning('The task does not end: its Firework is given back all the same');
  else await heartbeat.lastLook();
  const { action, state } = result ?? UNFINISHED;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (heartbeat.lost.aborted) {
    log.warning(
      `Firework ${claim.fwId} was taken from this worker (its heartbeat was judged too old): its results are dropped`,
    );
    return 'lost';
  }
  if (pad.stopNow.aborted && state === 'FIZZLED') {
    const why = messageOf(pad.stopNow.reason);
    const given = await retry(GIVE_UP, () => giveUp(pad.launchpad, claim, why)).catch(whenAway);
    if (given === null) return leftToSweep(log, claim);
    log.warning(
      given
        ? `Gave Firework ${claim.fwId} back after ${seconds} s: ${why}`
        : `Firework ${claim.fwId} was taken from this worker before it could give it back`,
    );
    return given ? 'givenUp' : 'lost';
  }
  const write = (end: Result) =>
    retry(KEEP_RESULTS, () => complete(pad.launchpad, claim, end.action, end.state), {
      signal: pad.giveBack,
      onRetry: (thrown, ms) =>
        log.warning(
          `The LaunchPad is away; the results wait ${(ms / 1000).toFixed(0)} s: ${messageOf(thrown)}`,
        ),
    });
  let landed: Result = { action, state };
  if (onGround && endsAlone(pad.launchpad, claim, action, state)) {
    onGround();
    // The next claim goes first: it is answered, and a rocket takes off, while these results are written.
    await new Promise(setImmediate);
  }
  const writing = write(landed).catch(async (thrown) => {
    // What the action asks for cannot be done to this workflow: as FireWorks, the Firework fails, and says why.
    if (!(thrown instanceof BorealisError) || state === 'FIZZLED') throw thrown;
    log.error(`The FWAction of Firework ${claim.fwId} cannot be applied: ${messageOf(thrown)}`);
    await retry(KEEP_RESULTS, () => retract(pad.launchpad, claim), { signal: pad.giveBack });
    landed = { action: failure(null, stacktrace(thrown), null), state: 'FIZZLED' };
    return await write(landed);
  });
  const written = await writing.catch((thrown) => {
    // Only a worker that must stop gives results up: there is no time left to wait.
    if (!pad.stopNow.aborted) throw thrown;
    return whenAway(thrown);
  });
  if (written === null) return leftToSweep(log, claim);
  if (!written) {
    log.warning(`Firework ${claim.fwId} was taken from this worker: its results are dropped`);
    return 'lost';
  }
  log.info(`Firework ${claim.fwId} '${claim.name}' is ${landed.state} after ${seconds} s`);
  return landed.state === 'COMPLETED' ? 'completed' : 'fizzled';
}

/** Null when the LaunchPad is away, and there is no time to wait for it. */
function whenAway(thrown: unknown): null {
  if (!isAway(thrown)) throw thrown;
  return null;
}

function leftToSweep(log: Logger, { fwId }: Claim): Landing {
  log.error(`The LaunchPad is away: Firework ${fwId} will be found lost, and rerun`);
  return 'lost';
}

const UNFINISHED: Result = { action: fwAction(), state: 'FIZZLED' };
