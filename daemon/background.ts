/**
 * Background tasks: Firetasks that run beside those of their Firework, again and again (`_background_tasks`, `BackgroundTask`
 * in fireworks/features/background_task.py). What they give back counts for nothing.
 */
import * as z from 'zod';
import { messageOf } from '../core/errors.ts';
import { type Doc, isDoc, plainDoc } from '../core/launchpad/index.ts';
import type { Logger } from '../core/log.ts';
import { SECOND, sleep } from '../core/wait.ts';
import { FiretaskError } from './firetasks/firetask.ts';

const one = z.looseObject({
  tasks: z.preprocess((value) => (isDoc(value) ? [value] : value), z.array(z.looseObject({}))),
  /** 0: for as long as the Firework runs. */
  num_launches: z.number().int().default(0),
  /** Seconds between two rounds. */
  sleep_time: z.number().default(60),
  /** Once more when all Firetasks have ended well. */
  run_on_finish: z.boolean().default(false),
});
const all = z.preprocess((value) => (isDoc(value) ? [value] : value), z.array(one));

interface BackgroundTask {
  /** Types kept. */
  tasks: Doc[];
  launches: number;
  sleepMs: number;
  runOnFinish: boolean;
}

/** Runs one Firetask; throws when it fails, and when the signal ends it. */
export type RunTask = (task: Doc, signal: AbortSignal) => Promise<void>;

export class Background {
  readonly #tasks: BackgroundTask[];
  readonly #enough = new AbortController();
  readonly #cut = new AbortController();
  readonly #end: AbortSignal;
  readonly #running: Promise<void>[];

  /** Starts the background tasks of a spec. Throws FiretaskError when they make no sense. */
  constructor(
    value: unknown,
    readonly run: RunTask,
    readonly log: Logger,
    /** Ends what runs, at once. */
    readonly signal: AbortSignal,
  ) {
    this.#end = AbortSignal.any([signal, this.#cut.signal]);
    this.#tasks = value === undefined || value === null ? [] : backgroundTasks(value);
    this.#running = this.#tasks.map((task) => this.#repeat(task));
  }

  /** A failure ends the background task, and nothing else. */
  async #repeat({ tasks, launches, sleepMs }: BackgroundTask): Promise<void> {
    try {
      for (let round = 1; !this.#enough.signal.aborted; round++) {
        for (const task of tasks) await this.run(task, this.#end);
        if (round === launches || !(await sleep(sleepMs, this.#enough.signal))) return;
      }
    } catch (thrown) {
      if (!this.#end.aborted) this.log.error(`A background task failed: ${messageOf(thrown)}`);
    }
  }

  /** No further round begins; one that has begun may take `graceMs` to end. */
  async stop(graceMs: number): Promise<void> {
    this.#enough.abort();
    const cutting = setTimeout(() => this.#cut.abort(), graceMs);
    await Promise.all(this.#running);
    clearTimeout(cutting);
  }

  /** What is to run once more at the end. A failure is the Firework's. */
  async finish(): Promise<void> {
    for (const { tasks, runOnFinish } of this.#tasks)
      if (runOnFinish) for (const task of tasks) await this.run(task, this.signal);
  }
}

function backgroundTasks(value: unknown): BackgroundTask[] {
  const given = Array.isArray(value) ? value : [value];
  const parsed = all.safeParse(given.map((item) => (isDoc(item) ? plainDoc(item) : item)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FiretaskError('ValueError', `_background_tasks.${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data.map(({ num_launches, sleep_time, run_on_finish }, i) => {
    const { tasks } = given[i] as { tasks: Doc | Doc[] };
    return {
      tasks: Array.isArray(tasks) ? tasks : [tasks],
      launches: num_launches,
      sleepMs: sleep_time * SECOND,
      runOnFinish: run_on_finish,
    };
  });
}
