import { messageOf } from '../core/errors.ts';
import { type Doc, type LaunchPad, ping } from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { SECOND, sleep } from '../core/wait.ts';

/** A beat that was not heard is repeated soon: when the LaunchPad is back, it must not look as if this worker had died. */
const REPEAT_MS = 10 * SECOND;

/**
 * Tells the LaunchPad that a launch is alive, every `everyMs` and at each checkpoint, for as long as the rocket flies.
 * `lost` aborts when the launch turns out to be no longer ours: somebody judged it dead, and it may run elsewhere already.
 */
export class Heartbeat implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #lost = new AbortController();
  readonly #beating: Promise<void>;

  constructor(
    readonly launchpad: LaunchPad,
    readonly launchId: number,
    readonly everyMs: number,
    readonly log: Logger,
  ) {
    this.#beating = this.#beat();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Records where the rocket is, so that a rerun can begin there. */
  async checkpoint(checkpoint: Doc): Promise<void> {
    await this.#ping(checkpoint);
  }

  async #beat(): Promise<void> {
    for (let wait = this.everyMs; await sleep(wait, this.#stop.signal); )
      wait = (await this.#ping()) ? this.everyMs : Math.min(this.everyMs, REPEAT_MS);
  }

  /** False: the LaunchPad did not hear it. */
  async #ping(checkpoint?: Doc): Promise<boolean> {
    try {
      const ours = await ping(this.launchpad, this.launchId, checkpoint);
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
