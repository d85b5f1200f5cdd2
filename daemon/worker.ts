/** The worker's loop: wait for work or a wish to stop; claim; fly. What to do next is decided in life.ts. */
import { messageOf } from '../core/errors.ts';
import {
  type Claim,
  claim,
  futureRunExists,
  isAway,
  runExists,
  seldomPreempted,
} from '../core/launchpad/index.ts';
import { jitter, SECOND, sleep } from '../core/wait.ts';
import type { Aloft } from './aloft.ts';
import type { LaunchDisk } from './disk.ts';
import { duplicateFinder } from './duplicate_finder.ts';
import { fly, type Landing, type Pad } from './flight.ts';
import { after, type Facts, type Happening, type Life, nextMove, type Question } from './life.ts';
import { everFitting, fitting, type Need, needOf, type Room, unfitting } from './room.ts';
import type { Stopping } from './stopping.ts';
import { type SweepOptions, sweepLostRuns } from './sweep.ts';

export interface WorkerOptions extends SweepOptions {
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  once: boolean;
  /** So many rockets take off, and no more. */
  nlaunches?: number;
  room: Room;
  /** This VM can be preempted: it leaves what was preempted so often to others, for so long. Null: it cannot. */
  onSpot: { maxPreemptions: number; waitMs: number } | null;
  /** The folder of a launch. */
  launchDir: (launchId: number) => string;
  /** While it has no room, nothing more takes off. */
  disk?: LaunchDisk;
  /** Kept for whoever asks what flies. */
  aloft?: Aloft;
}

/** Why a worker stopped, and what became of its rockets. */
export interface Worked {
  why: string;
  landings: Record<Landing, number>;
}

/** How long an answer is good for: what it was about may change, but to know it at once is not worth asking. */
const HOLDS_MS = { heldBack: 2 * SECOND, futureWork: 30 * SECOND };

/** How long a worker idles before it gives back memory: what it drops then, compiled code above all, the next rocket needs again. */
const TIDY_AFTER_MS = 30 * SECOND;

/** Flies rockets until there is a reason to stop, and returns it with what became of the rockets. */
export async function work(pad: Pad, stopping: Stopping, o: WorkerOptions): Promise<Worked> {
  const ended = new AbortController();
  const sweeping = sweepLostRuns(pad, AbortSignal.any([stopping.noMore, ended.signal]), o);
  try {
    return await new Loop(pad, stopping, o).run();
  } finally {
    ended.abort();
    await sweeping;
  }
}

/** All its times are of the clock inside, which nobody can set back. */
class Loop {
  readonly landings: Record<Landing, number> = { completed: 0, fizzled: 0, givenUp: 0, lost: 0 };
  #life: Life = { state: 'starting' };
  #taken = 0;
  readonly #startedAt = performance.now();
  #idleSince = performance.now();
  #lookedInVain = false;
  /** How long it has idled when it gives back memory next. */
  #tidyAtMs = TIDY_AFTER_MS;
  /** When each question was last asked, and what the answer was. */
  readonly #answers = new Map<Question, { at: number; yes: boolean }>();
  /** What flies, by launch. */
  readonly #flying = new Map<number, Need>();
  readonly #flights = new Set<Promise<void>>();
  readonly #toldUnfitting = new Set<number>();
  #failure: { thrown: unknown } | null = null;
  /** Rings when a rocket has landed. */
  #bell = new AbortController();

  constructor(
    readonly pad: Pad,
    readonly stopping: Stopping,
    readonly o: WorkerOptions,
  ) {}

  async run(): Promise<Worked> {
    const { stopping } = this;
    if (!stopping.reason) this.#happened({ event: 'ready' });
    for (;;) {
      if (stopping.reason) this.#happened({ event: 'stop', stop: stopping.reason });
      const move = nextMove(this.#life, this.#facts());
      if (move.move === 'end') {
        await Promise.all(this.#flights);
        if (this.#failure) throw this.#failure.thrown;
        return { why: move.why, landings: this.landings };
      }
      if (move.move === 'stop') stopping.ask(move.why, 'when they land');
      if (move.move === 'claim') await this.#claim();
      if (move.move === 'ask') await this.#ask(move.about);
      if (move.move === 'wait') await this.#wait(move.ms);
    }
  }

  #happened(happening: Happening): void {
    this.#life = after(this.#life, happening);
  }

  #facts(): Facts {
    const { o, stopping } = this;
    const idleMs = performance.now() - this.#idleSince;
    const answer = (question: keyof typeof HOLDS_MS) => {
      const last = this.#answers.get(question);
      return last && performance.now() - last.at <= HOLDS_MS[question] ? last.yes : null;
    };
    const { at } = this.#answers.get('unfitting') ?? { at: Number.NEGATIVE_INFINITY };
    return {
      slots: o.room.slots,
      taken: this.#taken,
      once: o.once,
      lookedInVain: this.#lookedInVain,
      upMs: performance.now() - this.#startedAt,
      idleMs,
      idleForRocketsMs: o.idleForRocketsMs,
      idleForWaitersMs: o.idleForWaitersMs,
      quitWhenIdle: stopping.quitWhenIdle,
      heldBack: o.onSpot ? answer('heldBack') : false,
      futureWork: answer('futureWork'),
      sinceUnfittingMs: performance.now() - at,
    };
  }

  async #claim(): Promise<void> {
    const { pad, o } = this;
    if (o.disk && !(await o.disk.hasRoom())) {
      this.#lookedInVain = true;
      return;
    }
    const room = fitting(o.room, [...this.#flying.values()]);
    const only = o.onSpot
      ? { $and: [room, seldomPreempted(o.onSpot.maxPreemptions, o.onSpot.waitMs)] }
      : room;
    const claimed = await this.#unlessAway(() =>
      claim(
        pad.launchpad,
        { ...pad.fworker, only },
        {
          launchDir: o.launchDir,
          host: pad.hostName,
          begins: true,
          duplicates: duplicateFinder(pad),
        },
      ),
    );
    if (claimed) this.#takeOff(claimed);
    else this.#lookedInVain = true;
  }

  #takeOff(claimed: Claim): void {
    const { launchId, spec } = claimed;
    this.#taken++;
    this.#flying.set(launchId, needOf(spec, this.o.room));
    this.o.aloft?.tookOff(claimed);
    this.#happened({ event: 'tookOff' });
    if (this.#taken === this.o.nlaunches)
      this.stopping.ask(`so many rockets were asked for (--nlaunches ${this.#taken})`, 'when they land');
    const freeSlot = () => {
      if (this.#flying.delete(launchId)) this.#happened({ event: 'landed' });
      this.#somethingMoved();
      this.#bell.abort();
    };
    // The next claim goes out with the results of this rocket. Not before those of the one before have arrived: a worker whose
    // LaunchPad is slow, or away, must not gather results without end.
    const onGround = () => {
      if (this.#flights.size <= this.o.room.slots) freeSlot();
    };
    const flight = fly(this.pad, claimed, onGround)
      .then((landing) => {
        this.landings[landing]++;
        if (landing === 'fizzled') this.o.disk?.inDoubt();
      })
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
        // What it was, main.ts says.
        this.stopping.ask('an unexpected error', 'when they land');
      })
      .finally(() => {
        this.#flights.delete(flight);
        this.o.aloft?.landed(launchId);
        freeSlot();
      });
    this.#flights.add(flight);
    this.#somethingMoved();
  }

  /** What was known of work that is left is old: another look is worth it. */
  #somethingMoved(): void {
    this.#idleSince = performance.now();
    this.#lookedInVain = false;
    this.#tidyAtMs = TIDY_AFTER_MS;
    this.#answers.delete('heldBack');
    this.#answers.delete('futureWork');
  }

  async #wait(ms: number): Promise<void> {
    if (this.#flights.size === 0) this.#tidyUp();
    this.#bell = new AbortController();
    const woken = AbortSignal.any([this.#bell.signal, this.stopping.changed()]);
    // Timers take no more than 24 days.
    const whole = await sleep(Math.min(ms, 2 ** 31 - 1), woken);
    if (whole) this.#lookedInVain = false;
  }

  /**
   * An idle worker holds no more memory than it needs; left alone, Bun keeps what it once had, and code that flew, where
   * memory is plenty. Measured: 80 MB at the start and 100 after 2,000 rockets; with this 76 and 82.
   */
  #tidyUp(): void {
    const idleMs = performance.now() - this.#idleSince;
    if (idleMs < this.#tidyAtMs) return;
    // The first time leaves some: soon once more, and then less and less often.
    this.#tidyAtMs = idleMs + Math.max(2 * SECOND, idleMs - TIDY_AFTER_MS);
    Bun.shrink();
  }

  async #ask(about: Question): Promise<void> {
    const { pad, o } = this;
    // What never fits here is no work for this worker, and no reason to stay.
    const fworker = { ...pad.fworker, only: everFitting(o.room) };
    const questions: Record<Question, () => Promise<boolean>> = {
      heldBack: () => runExists(pad.launchpad, fworker),
      futureWork: () => futureRunExists(pad.launchpad, fworker),
      unfitting: () => this.#tellUnfitting(),
    };
    // While nobody answers, work may be there.
    const yes = (await this.#unlessAway(questions[about])) ?? true;
    this.#answers.set(about, { at: performance.now(), yes });
  }

  /** Says what is READY and larger than this machine, each once: it may be that no worker ever takes it. */
  async #tellUnfitting(): Promise<boolean> {
    const { pad, o } = this;
    const found = await unfitting(pad.launchpad, pad.fworker, o.room);
    for (const { fwId, asks } of found) {
      if (this.#toldUnfitting.has(fwId)) continue;
      this.#toldUnfitting.add(fwId);
      pad.log.warning(
        `Firework ${fwId} is READY and asks for ${asks}; this machine has ${o.room.cpus} CPUs, ${o.room.memory} GiB and never takes it. Start a larger VM, or correct its spec: lpad update_fws -i ${fwId}`,
      );
    }
    return found.length > 0;
  }

  /** Null also when the LaunchPad is away: then a worker idles as if nothing were READY. */
  async #unlessAway<T>(question: () => Promise<T>): Promise<T | null> {
    try {
      return await question();
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown;
      this.pad.log.warning(`The LaunchPad is away: ${messageOf(thrown)}`);
      await sleep(jitter(5 * SECOND), this.stopping.noMore);
      return null;
    }
  }
}
