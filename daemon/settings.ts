/**
 * A worker's settings, in one table: from the VM's metadata attributes, else the LaunchPad file, else the default. What
 * --help and docs/settings.md say is made from it.
 */
import { z } from 'zod';
import type { Instance } from '../core/cloud/metadata.ts';
import { UsageError } from '../core/errors.ts';
import { type Doc, type LaunchPadSettings, launchPadSettings } from '../core/launchpad/index.ts';

interface Setting {
  schema: z.ZodType;
  default: unknown;
  unit?: 's';
  secret?: boolean;
  /** The key of the LaunchPad file, where it is another. Null: only metadata has it. */
  fileKey?: string | null;
  about: string;
}

const seconds = z.coerce.number().finite().nonnegative();
const text = z.string();

/** Attributes are always text, and an empty one is as good as none (upstream's rule). */
export const SETTINGS = {
  host: {
    schema: text,
    default: 'localhost',
    about: "MongoDB's host name, or with uri_mode its connection string",
  },
  uri_mode: {
    schema: z
      .union([z.boolean(), z.enum(['true', 'false', 'True', 'False'])])
      .transform((v) => v === true || v === 'true' || v === 'True'),
    default: false,
    about: 'true when host is a connection string (mongodb://... or mongodb+srv://...)',
  },
  port: { schema: z.coerce.number().int().min(1).max(65535), default: 27017, about: "MongoDB's port" },
  db: {
    schema: text,
    default: 'fireworks',
    fileKey: 'name',
    about: 'the database: one for each team or workflow',
  },
  username: { schema: text, default: undefined, about: 'database user, where MongoDB asks for one' },
  password: { schema: text, default: undefined, secret: true, about: "the database user's password" },
  authsource: {
    schema: text,
    default: undefined,
    about: 'the database that knows the user, when it is not db',
  },
  idle_for_rockets: {
    schema: seconds,
    default: 900,
    unit: 's',
    about: 'stop after idling this long while nothing is READY',
  },
  idle_for_waiters: {
    schema: seconds,
    default: 3600,
    unit: 's',
    about: 'the same while something waits for a Firework that runs; at least idle_for_rockets',
  },
  strm_lvl: {
    schema: z.enum(['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG']),
    default: 'INFO',
    about: 'how much the console shows',
  },
  logdir: { schema: text, default: undefined, about: 'a folder for a copy of the console log' },
  quit: {
    schema: z.enum(['soon', 'when-idle', '']),
    default: '',
    fileKey: null,
    about: "'soon': stop after the rocket in flight; 'when-idle': stop when nothing is READY",
  },
  python: {
    schema: text,
    default: 'python3',
    fileKey: null,
    about: 'the Python that runs PyTask and Firetasks written in Python',
  },
  ping_time_secs: {
    schema: seconds,
    default: 3600,
    unit: 's',
    fileKey: null,
    about: "how often a rocket's heartbeat is written",
  },
  lost_run_secs: {
    schema: seconds,
    default: 14400,
    unit: 's',
    fileKey: null,
    about: 'a heartbeat older than this means that the worker died: its Firework is rerun; 0: do not look',
  },
  error_delete_delay: {
    schema: seconds,
    default: 900,
    unit: 's',
    fileKey: null,
    about: 'after an unexpected error wait this long before the VM deletes itself, so that somebody can look',
  },
} as const satisfies Record<string, Setting>;

type Key = keyof typeof SETTINGS;

export interface WorkerSettings {
  launchpad: LaunchPadSettings;
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  quit: 'soon' | 'when-idle' | '';
  python: string;
  pingMs: number;
  /** 0: this worker does not look for lost runs. */
  lostRunMs: number;
  errorDeleteDelayMs: number;
  strmLvl: string;
  logdir?: string;
}

/** Keys that a test or an operator may set for one worker by environment: FIREWORKER_PING_TIME_SECS=5. */
const FROM_ENV: readonly Key[] = ['python', 'ping_time_secs', 'lost_run_secs', 'error_delete_delay'];

export interface Sources {
  instance: Instance | null;
  /** The LaunchPad file's values, checked, and its name; null when there is none. */
  file: { values: Doc; path: string } | null;
  env?: Readonly<Record<string, string | undefined>>;
}

/** Reads all settings. Throws UsageError with key, value, source and what is accepted. */
export function workerSettings(sources: Sources): WorkerSettings {
  const values = {} as Record<Key, unknown>;
  const origin = {} as Record<Key, string>;
  for (const [name, setting] of Object.entries(SETTINGS) as [Key, Setting][]) {
    const found = look(name, setting, sources);
    if (!found) {
      values[name] = setting.default;
      origin[name] = 'default';
      continue;
    }
    const parsed = setting.schema.safeParse(found.value);
    if (!parsed.success) {
      const shown = setting.secret ? '***' : String(found.value);
      throw new UsageError(
        `${name}=${shown} (${found.source}): ${parsed.error.issues[0]?.message.replace(/^Invalid (input|option): /, '')}`,
      );
    }
    values[name] = parsed.data;
    origin[name] = found.source;
  }
  const rockets = values.idle_for_rockets as number;
  const waiters = values.idle_for_waiters as number;
  if (waiters < rockets && origin.idle_for_waiters !== 'default') {
    throw new UsageError(
      `idle_for_waiters=${waiters} (${origin.idle_for_waiters}): must be at least idle_for_rockets (${rockets})`,
    );
  }
  const { db, host, uri_mode, port, username, password, authsource } = values;
  const file = Object.fromEntries(
    Object.entries(sources.file?.values ?? {}).filter(([key]) => !key.startsWith('idle_for')),
  );
  const launchpad = launchPadSettings(
    {
      ...file,
      host,
      uri_mode,
      port,
      name: db,
      username: username ?? null,
      password: password ?? null,
      authsource: authsource ?? null,
    },
    'settings',
  );
  return {
    launchpad,
    idleForRocketsMs: rockets * 1000,
    idleForWaitersMs: Math.max(waiters, rockets) * 1000,
    quit: values.quit as WorkerSettings['quit'],
    python: values.python as string,
    pingMs: (values.ping_time_secs as number) * 1000,
    lostRunMs: (values.lost_run_secs as number) * 1000,
    errorDeleteDelayMs: (values.error_delete_delay as number) * 1000,
    strmLvl: values.strm_lvl as string,
    logdir: values.logdir as string | undefined,
  };
}

function look(
  name: Key,
  setting: Setting,
  { instance, file, env = {} }: Sources,
): { value: unknown; source: string } | null {
  const attribute = instance?.attributes[name];
  if (attribute !== undefined && attribute !== '') return { value: attribute, source: 'VM metadata' };
  const variable = `FIREWORKER_${name.toUpperCase()}`;
  if (FROM_ENV.includes(name) && env[variable]) return { value: env[variable], source: variable };
  const key = setting.fileKey === undefined ? name : setting.fileKey;
  const value = key === null ? undefined : file?.values[key];
  return value === undefined || value === null ? null : { value, source: file?.path ?? '' };
}

/** The settings as `--help` lists them. */
export function settingsHelp(): string {
  const width = Math.max(...Object.keys(SETTINGS).map((name) => name.length));
  return (Object.entries(SETTINGS) as [string, Setting][])
    .map(([name, { about, default: value, unit = '' }]) => {
      const shown = value === undefined || value === '' ? '' : ` (default ${value}${unit && ` ${unit}`})`;
      return `  ${name.padEnd(width)}  ${about}${shown}`;
    })
    .join('\n');
}
