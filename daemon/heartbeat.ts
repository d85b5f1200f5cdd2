import { messageOf } from '../core/errors.ts';
import { type Doc, type LaunchPad, ping } from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/wait.ts';

/**
 * Tells the LaunchPad that a launch is alive, every `everyMs` and at each checkpoint, for as long as the rocket flies.
 * `lost` aborts when the launch turns out to be no longer ours: somebody judged it dead, and it may run elsewhere already.
 */
export class Heartbeat {
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
    while (await sleep(this.everyMs, this.#stop.signal)) await this.#ping();
  }

  async #ping(checkpoint?: Doc): Promise<void> {
    try {
      if (await ping(this.launchpad, this.launchId, checkpoint)) return;
      this.#lost.abort(new Error('the launch is no longer this worker’s'));
    } catch (thrown) {
      // The LaunchPad is away. The rocket goes on: when it is back before the launch is judged lost, nothing has happened.
      this.log.warning(`Heartbeat not written: ${messageOf(thrown)}`);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }
}
