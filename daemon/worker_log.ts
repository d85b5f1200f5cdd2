import type { CloudLog } from '../core/cloud/logging.ts';
import { messageOf } from '../core/errors.ts';
import { type Logger, loggerTo, type Severity, type Sink } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import type { Cloud } from './cloud.ts';
import { consoleSink, fileSink, isJournal } from './console_log.ts';
import { SlowStream } from './slow_stream.ts';

/** What a worker says, and where it goes: to the console, to Cloud Logging, and where `logdir` names a folder to a file there. */
export class WorkerLog {
  readonly log: Logger;
  readonly #console: SlowStream;
  readonly #sinks: Sink[];
  readonly #cloud: CloudLog | null;
  readonly #json: boolean;

  constructor(o: { worker: string; json: boolean; cloud: Cloud | null; stdout?: SlowStream }) {
    this.#console = o.stdout ?? new SlowStream(process.stdout);
    this.#json = o.json;
    const tell = (severity: Severity, message: string) => {
      const [console] = this.#sinks;
      console?.({ at: new Date(), severity, message, labels: { worker: o.worker } });
    };
    this.#cloud = o.cloud?.log(o.worker, tell) ?? null;
    this.#sinks = [this.#consoleOf('INFO'), ...(this.#cloud ? [this.#cloud.sink] : [])];
    this.log = loggerTo(this.#sinks, { worker: o.worker });
  }

  /** Takes the settings, once they are read. Throws UsageError when `logdir` cannot be written. */
  obey({ strmLvl, logdir }: { strmLvl: string; logdir?: string }): void {
    this.#sinks[0] = this.#consoleOf(strmLvl);
    if (logdir) this.#sinks.push(fileSink(logdir, strmLvl));
  }

  /** Sends what waits, for at most so long: whatever waits when the process exits is lost. */
  async flush(deadlineMs: number): Promise<void> {
    const end = performance.now() + deadlineMs;
    await this.#cloud?.flush(deadlineMs);
    await this.#console.drained(Math.max(100, end - performance.now()));
  }

  /** Has what nobody expected and nobody caught told here, before this process dies of it with `exitCode`. */
  tellDeath(exitCode: number): void {
    const die = async (thrown: unknown) => {
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      this.log.error(`Died of a fault of its own: ${messageOf(thrown)}`, { stack });
      await this.flush(SECOND);
      process.exit(exitCode);
    };
    for (const event of ['uncaughtException', 'unhandledRejection'])
      process.on(event, (thrown) => void die(thrown));
  }

  #consoleOf(level: string): Sink {
    return consoleSink({ level, json: this.#json, to: this.#console, journal: isJournal(process.env) });
  }
}
