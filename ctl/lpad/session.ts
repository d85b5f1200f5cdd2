/** What a `lpad` command works with: the LaunchPad that its flags name, its log, and a way to ask before it destroys. */
import { appendFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BorealisError } from '../../core/errors.ts';
import {
  describeLaunchPad,
  findLaunchPadFile,
  type LaunchPad,
  type LaunchPadSettings,
  launchPadSettings,
  readLaunchPadFile,
} from '../../core/launchpad/index.ts';
import { loggerTo } from '../../core/log.ts';
import { note, printLine } from '../output.ts';
import { ask } from '../prompt.ts';
import type { Args } from './arguments.ts';

/** FireWorks' `PW_CHECK_NUM`: more than this many entries are not changed without being asked. */
export const ASK_ABOVE = 10;

const LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type Level = (typeof LEVELS)[number];

export class Session implements AsyncDisposable {
  readonly output: 'json' | 'yaml';
  /** `--json`: data instead of sentences. */
  readonly json: boolean;
  readonly #global: Args;
  #settings: LaunchPadSettings | undefined;
  #file: string | null = null;
  #launchpad: LaunchPad | undefined;

  constructor(
    global: Args,
    readonly env: Record<string, string | undefined> = process.env,
    readonly cwd: string = process.cwd(),
  ) {
    this.#global = global;
    this.json = global.on('json');
    this.output = this.json ? 'json' : ((global.text('output') ?? 'json') as 'json' | 'yaml');
  }

  /** The LaunchPad's settings: `-l`, else my_launchpad.yaml in the folder of `-c`, else as FireWorks looks for it. */
  get settings(): LaunchPadSettings {
    if (!this.#settings) {
      const flag = this.#global.text('launchpad_file') ?? this.inConfigDir('my_launchpad.yaml');
      this.#file = findLaunchPadFile(flag, this.env, this.cwd);
      this.#settings = this.#file
        ? launchPadSettings(readLaunchPadFile(this.#file), this.#file)
        : launchPadSettings({}, 'defaults');
    }
    return this.#settings;
  }

  /** A settings file in the folder of `-c`, when it is there. */
  inConfigDir(name: string): string | undefined {
    const path = resolve(this.cwd, this.#global.text('config_dir') ?? '.', name);
    return existsSync(path) ? path : undefined;
  }

  /** The LaunchPad, connected at the first call. Throws BorealisError when it does not answer or refuses. */
  async launchpad(): Promise<LaunchPad> {
    if (this.#launchpad) return this.#launchpad;
    const { settings } = this;
    const { LaunchPad } = await import('../../core/launchpad/launchpad.ts');
    // Without a file it is localhost, which answers at once or not at all.
    const serverSelectionTimeoutMs = this.#file ? 10_000 : 1_500;
    try {
      const log = loggerTo([({ severity, message }) => this.log(severity, message)]);
      this.#launchpad = await LaunchPad.open(settings, { serverSelectionTimeoutMs, appName: 'lpad', log });
    } catch (thrown) {
      if (this.#file || !(thrown instanceof BorealisError)) throw thrown;
      const advice = 'No LaunchPad file was found either: name one with -l FILE, or make one: lpad init';
      throw new BorealisError(`${thrown.message} ${advice}`, { cause: thrown });
    }
    return this.#launchpad;
  }

  /** A line as FireWorks logs it: to stdout, unless `-s`, `--loglvl` or the file's strm_lvl silence it. */
  log(level: Level, message: string): void {
    const line = logLine(new Date(), level, message);
    const folder = this.#global.text('logdir') ?? this.#settings?.logdir;
    if (folder) {
      appendFileSync(join(folder, 'launchpad-debug.log'), `${line}\n`);
      if (level === 'ERROR' || level === 'CRITICAL')
        appendFileSync(join(folder, 'launchpad-error.log'), `${line}\n`);
    }
    const least = this.#global.on('silencer')
      ? 'CRITICAL'
      : (this.#global.text('loglvl') ?? this.#settings?.strmLvl ?? 'INFO');
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least as Level)) return;
    if (this.json) note(line);
    else printLine(line);
  }

  /**
   * Makes sure that somebody wants `count` entries changed: nothing is asked for few, `--yes` or today's date as `--password`
   * say yes, otherwise the terminal is asked. `what` is `delete 40 workflows`. Throws BorealisError when the answer is no.
   */
  async confirm(count: number, what: string, args: Args, always = false): Promise<void> {
    if (count === 0 || (count <= ASK_ABOVE && !always)) return;
    if (consents(args)) return;
    const where = describeLaunchPad(this.settings);
    const answer = await ask(`Are you sure? This will ${what} of ${where}. (Y/N) `).catch(() => '');
    if (/^y/i.test(answer.trim())) return;
    throw new BorealisError(
      `Nothing was changed. To ${what}, answer Y, or say so with --yes or today's date: --password ${today()}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#launchpad?.close();
  }
}

/** Whether the flags say yes. FireWorks' safeguard: the password is the date of today, here; BorealisError for any other. */
export function consents(args: Args, date: string = today()): boolean {
  const password = args.text('password');
  if (password === undefined) return args.on('yes');
  if (password === date) return true;
  throw new BorealisError(`--password ${password} is not today's date (${date}): nothing was changed`);
}

/** 2026-01-31, local time. */
export function today(now: Date = new Date()): string {
  return [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
}

const two = (n: number) => String(n).padStart(2, '0');

/** `2026-01-31 12:00:00,123 INFO message`: Python's logging, local time. */
export function logLine(at: Date, level: Level, message: string): string {
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  return `${today(at)} ${clock},${String(at.getMilliseconds()).padStart(3, '0')} ${level} ${message}`;
}
