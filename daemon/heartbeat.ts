import { messageOf } from '../core/errors.ts';
import {
  type Claim,
  type Doc,
  type LaunchPad,
  ping,
  type Tracker,
  track,
  trackersOf,
} from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { SECOND, sleep } from '../core/wait.ts';

/** A beat that was not heard is repeated soon: when the LaunchPad is back, it must not look as if this worker had died. */
export const REPEAT_MS = 10 * SECOND;

/** A machine that was asleep notices it within this time. */
const NOTICE_MS = 10 * SECOND;

/**
 * Sleeps for so long by the clock on the wall, which goes on while the machine is suspended, or by the one inside, which
 * nobody can set back: whichever says so first. False when `signal` cut it short.
 */
export async function sleepAwake(
  ms: number,
  signal: AbortSignal,
  { wall = Date.now, inside = () => performance.now(), noticeMs = NOTICE_MS } = {},
): Promise<boolean> {
  const began = { wall: wall(), inside: inside() };
  for (;;) {
    const left = ms - Math.max(wall() - began.wall, inside() - began.inside);
    if (left <= 0) return !signal.aborted;
    if (!(await sleep(Math.min(left, noticeMs), signal))) return false;
  }
}

/**
 * Tells the LaunchPad that a launch is alive, every `everyMs` and at each checkpoint, for as long as the rocket flies.
 * `lost` aborts when the launch turns out to be no longer ours: somebody judged it dead, and it may run elsewhere already.
 */
export class Heartbeat implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #lost = new AbortController();
  readonly #beating: Promise<void>;
  #trackers: readonly Tracker[];
  /** Where the files are that trackers look at. */
  launchDir: string;

  constructor(
    readonly launchpad: LaunchPad,
    readonly claim: Pick<Claim, 'launchId' | 'launchDir' | 'spec'>,
    readonly everyMs: number,
    readonly log: Logger,
  ) {
    this.#trackers = trackersOf(claim.spec._trackers);
    this.launchDir = claim.launchDir;
    this.#beating = this.#beat();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Records where the rocket is, so that a rerun can begin there. */
  async checkpoint(checkpoint: Doc): Promise<void> {
    await this.#ping(checkpoint);
  }

  /** Once more at the end, so that trackers tell how their files ended. Nothing to do without trackers. */
  async lastLook(): Promise<void> {
    if (this.#trackers.length > 0) await this.#ping();
  }

  async #beat(): Promise<void> {
    for (let wait = this.everyMs; await sleepAwake(wait, this.#stop.signal); )
      wait = (await this.#ping()) ? this.everyMs : Math.min(this.everyMs, REPEAT_MS);
  }

  /** False: the LaunchPad did not hear it. */
  async #ping(checkpoint?: Doc): Promise<boolean> {
    try {
      this.#trackers = await track(this.#trackers, this.launchDir).catch((thrown: unknown) => {
        this.log.warning(`Tracked files cannot be read: ${messageOf(thrown)}`);
        return this.#trackers;
      });
      const ours = await ping(this.launchpad, this.claim.launchId, checkpoint, this.#trackers);
      if (!ours) this.#lost.abort(new Error('the launch is no longer this worker’s'));
      return true;
    } catch (thrown) {
      // The LaunchPad is away. The rocket goes on: when it is back before the launch is judged lost, nothing has happened.
      this.log.warning(`Heartbeat not written: ${messageOf(thrown)}`);
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }
}
