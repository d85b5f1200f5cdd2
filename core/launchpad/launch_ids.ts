import type { LaunchPad } from './launchpad.ts';

/**
 * The ids of this connection's launches. A worker that flies rocket after rocket reserves more and more at a time, so that a
 * claim need not ask for one; with the id in hand it also needs a write less. Ids that are left when it stops are never used.
 */
export class LaunchIds {
  #spare: number[] = [];
  #batch = 1;
  /** The spare one may have been used: the answer has not come. */
  inDoubt = false;

  /** `mostAhead` 1: none is ever reserved before it is needed, as FireWorks does. */
  constructor(readonly mostAhead: number) {}

  /** One that is in hand; it stays in hand until it is `used`. Null: none. */
  get spare(): number | null {
    return this.#spare[0] ?? null;
  }

  used(id: number): void {
    this.inDoubt = false;
    this.#spare = this.#spare.filter((other) => other !== id);
  }

  /** The next one, reserved now when none is in hand. */
  async next(launchpad: LaunchPad): Promise<number> {
    const { spare } = this;
    if (spare !== null) {
      this.used(spare);
      return spare;
    }
    const first = await launchpad.newIds('next_launch_id', this.#batch);
    this.#spare = Array.from({ length: this.#batch - 1 }, (_, i) => first + 1 + i);
    this.#batch = Math.min(this.mostAhead, this.#batch * 2);
    return first;
  }
}
