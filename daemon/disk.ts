/** Whether this machine's disk has room for another launch. */
import { statfs } from 'node:fs/promises';
import type { Logger } from '../core/log.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import { shownSize } from './docker/memory.ts';

/** A disk is full when less is free; one of less than 10 GB when it is less than a hundredth. */
const LEAST_BYTES = 100e6;

const TELL_EVERY_MS = 10 * MINUTE;

/** Short rockets follow each other faster than a disk fills. */
const LOOK_EVERY_MS = SECOND;

/**
 * The disk of the launches' folder. On a full one every task fails in no time: a worker that went on there would take, and
 * FIZZLE, what others could run.
 */
export class LaunchDisk {
  #toldAt = Number.NEGATIVE_INFINITY;
  /** When it last had room. */
  #hadRoomAt = Number.NEGATIVE_INFINITY;

  /** `makeRoom` removes what is only kept for speed, and returns how many bytes that were. */
  constructor(
    readonly folder: string,
    readonly makeRoom: () => Promise<number>,
    readonly log: Logger,
  ) {}

  /** False, and a warning now and then, while it is full. Also true when it cannot be seen: a launch will say why. */
  async hasRoom(): Promise<boolean> {
    if (performance.now() - this.#hadRoomAt < LOOK_EVERY_MS) return true;
    if (!(await this.#look())) return false;
    this.#hadRoomAt = performance.now();
    return true;
  }

  /** What was seen holds no longer: a task has failed, and it may be the disk. */
  inDoubt(): void {
    this.#hadRoomAt = Number.NEGATIVE_INFINITY;
  }

  async #look(): Promise<boolean> {
    let free = await this.#missing();
    if (free === null) return true;
    const made = await this.makeRoom().catch(() => 0);
    if (made > 0) {
      this.log.warning(`The disk is full: ${shownSize(made)} of inputs kept for other tasks are removed`);
      free = await this.#missing();
      if (free === null) return true;
    }
    if (performance.now() - this.#toldAt >= TELL_EVERY_MS) {
      this.#toldAt = performance.now();
      this.log.warning(
        `The disk of ${this.folder} is full (${shownSize(free)} are free): no Firework is taken until there is room. Remove launches there that you need no more, or start workers with a larger disk (-o boot-disk-size=...)`,
      );
    }
    return false;
  }

  /** How many bytes are free when that is too little; null: it is enough. */
  async #missing(): Promise<number | null> {
    const disk = await statfs(this.folder).catch(() => null);
    if (!disk) return null;
    const free = disk.bavail * disk.bsize;
    return free < Math.min(LEAST_BYTES, (disk.blocks * disk.bsize) / 100) ? free : null;
  }
}
