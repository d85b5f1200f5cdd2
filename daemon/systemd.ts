/**
 * What systemd is told of this worker (`Type=notify`): that it is ready, what it does, that its event loop turns, and that it
 * ends. https://www.freedesktop.org/software/systemd/man/sd_notify.html
 */
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import type { DatagramSender } from './datagrams.ts';

/** How old a status may be. */
const STATUS_EVERY_MS = 5 * SECOND;

/**
 * starting  until the LaunchPad is found.
 * ready     it pulls, or lets land what flies.
 * failed    an error ended its work; its VM waits, so that somebody can look. No STOPPING=1: `systemctl stop` would think
 *           that it is stopping already, and not tell it.
 * stopping  it ends, now.
 */
type State = 'starting' | 'ready' | 'failed' | 'stopping';

/** Variables of this process alone. The last one is of systemd/fireworker.service, and has done its work when the first line here runs. */
const TO_THIS_PROCESS = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'BUN_GC_TIMER_DISABLE'];

/** A failed worker that has waited still has to delete its VM. */
const LAST_STEPS_MS = 5 * MINUTE;

export class Systemd implements Disposable {
  #state: State = 'starting';
  #why = '';
  readonly #beat: ReturnType<typeof setInterval>;

  private constructor(
    readonly sender: DatagramSender,
    /** What a worker that is ready does. */
    readonly status: () => string,
    everyMs: number,
  ) {
    this.#beat = setInterval(() => this.#tell(), everyMs).unref();
    this.#tell();
  }

  /**
   * Null where no systemd asked to be told (NOTIFY_SOCKET). What it, or the unit, said to this process is taken out of `env`: it is
   * none of the tasks' business, and theirs are not this process.
   */
  static async open(o: {
    status: () => string;
    log: Logger;
    env?: Record<string, string | undefined>;
  }): Promise<Systemd | null> {
    const env = o.env ?? process.env;
    const { NOTIFY_SOCKET: path, WATCHDOG_USEC, WATCHDOG_PID } = env;
    for (const key of TO_THIS_PROCESS) delete env[key];
    if (!path) return null;
    try {
      // Loaded where it is needed only.
      const { DatagramSender } = await import('./datagrams.ts');
      const watched = !WATCHDOG_PID || Number(WATCHDOG_PID) === process.pid;
      const watchdogMs = watched ? Number(WATCHDOG_USEC ?? 0) / 1000 : 0;
      // Twice in the time that systemd gives, so that one that is late is no reason to be killed.
      const everyMs = watchdogMs > 0 ? Math.min(STATUS_EVERY_MS, watchdogMs / 2) : STATUS_EVERY_MS;
      return new Systemd(new DatagramSender(path), o.status, everyMs);
    } catch (thrown) {
      o.log.warning(`systemd cannot be told how this worker is: ${messageOf(thrown)}`);
      return null;
    }
  }

  ready(): void {
    this.#state = 'ready';
    this.#tell();
  }

  /** Whatever it is at, a start as well, it now takes this long. */
  failed(why: string, waitsMs: number): void {
    this.#state = 'failed';
    this.#why = why;
    this.#tell(`EXTEND_TIMEOUT_USEC=${(waitsMs + LAST_STEPS_MS) * 1000}`);
  }

  stopping(): void {
    this.#state = 'stopping';
    this.#tell();
  }

  /** Always all that is so: what was lost, because systemd was busy, comes with the next one. */
  #tell(...more: string[]): void {
    const all: Record<State, { status: string; state: string[] }> = {
      starting: { status: 'starting', state: [] },
      ready: { status: this.status(), state: ['READY=1'] },
      failed: { status: `stopped by an error: ${this.#why}`, state: [] },
      stopping: { status: 'ending', state: ['STOPPING=1'] },
    };
    const { status, state } = all[this.#state];
    // A name or a message may have line ends, and one line must not become two.
    const line = `STATUS=${status.replaceAll(/\p{Cc}+/gu, ' ')}`;
    this.sender.send([...state, line, 'WATCHDOG=1', ...more].join('\n'));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    this.sender[Symbol.dispose]();
  }
}
