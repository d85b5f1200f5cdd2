/**
 * A worker's settings, in one table: from the VM's metadata attributes, else the LaunchPad file, else the default. What
 * --help and docs/fleets.md say is made from it.
 */
import * as z from 'zod';
import type { Instance } from '../core/cloud/metadata.ts';
import { UsageError } from '../core/errors.ts';
import {
  type Doc,
  databaseIn,
  type FWorker,
  isDoc,
  type LaunchPadSettings,
  launchPadSettings,
  parseYaml,
  plainDoc,
} from '../core/launchpad/index.ts';

interface Setting {
  schema: z.ZodType;
  default: unknown;
  unit?: 's' | '%' | 'GB';
  secret?: boolean;
  /** The key of the LaunchPad file, where it is another. Null: only metadata has it. */
  fileKey?: string | null;
  about: string;
}

const text = z.string();
/** Attributes are text: what is no number is told, and never becomes 0. */
const number = z.union(
  [
    z.number(),
    z
      .string()
      .trim()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number),
  ],
  'must be a number',
);
const seconds = number.pipe(z.number('must be a number of seconds').nonnegative('must not be negative'));
const interval = number.pipe(z.number().positive('must be more than 0'));
const count = number.pipe(z.number().int('must be a whole number').min(1, 'must be at least 1'));
const port = number.pipe(
  z
    .number()
    .int('must be a whole number')
    .min(1, 'must be from 1 to 65535')
    .max(65535, 'must be from 1 to 65535'),
);
const yesOrNo = z.union(
  [z.boolean(), z.stringbool({ truthy: ['true'], falsy: ['false'] })],
  'must be true or false',
);

/** A value that is no single word is written in YAML, or in JSON, which is YAML too. */
const yaml = z.unknown().transform((value, context) => {
  try {
    return typeof value === 'string' ? parseYaml(value, 'it') : value;
  } catch {
    context.addIssue({ code: 'custom', message: 'must be YAML' });
    return z.NEVER;
  }
});
const dictionary = (what: string) =>
  yaml.pipe(z.custom<Doc>(isDoc, `must be ${what}`)).transform((value) => plainDoc(value));

/** Attributes are always text, and an empty one is as good as none (upstream's rule). */
export const SETTINGS = {
  host: {
    schema: text,
    default: 'localhost',
    about: "MongoDB's host name, or with uri_mode its connection string",
  },
  uri_mode: {
    schema: yesOrNo,
    default: false,
    about: 'true when host is a connection string (mongodb://... or mongodb+srv://...)',
  },
  port: { schema: port, default: 27017, about: "MongoDB's port" },
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
  logdir: {
    schema: text,
    default: undefined,
    about: 'a folder for fireworker.log: INFO and more, whatever the console shows',
  },
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
  fworker_name: {
    schema: text,
    default: undefined,
    fileKey: null,
    about: "this worker's name, when it is not the VM's (--name comes first)",
  },
  fworker_category: {
    schema: yaml.pipe(z.union([z.string(), z.array(z.string())], 'must be a word, or a list as [gpu, big]')),
    default: undefined,
    fileKey: null,
    about: 'take only Fireworks of this _category, or of one of a list; `__none__`: only those without',
  },
  fworker_query: {
    schema: dictionary('a MongoDB query, as {"spec.kind": "big"}'),
    default: undefined,
    fileKey: null,
    about: 'take only Fireworks that this MongoDB query finds',
  },
  fworker_env: {
    schema: dictionary('a dictionary, as {tool: /opt/tool}'),
    default: undefined,
    fileKey: null,
    about: 'what Firetasks find in their spec as _fw_env',
  },
  slots: {
    schema: z.union([z.literal('auto'), count], 'must be a whole number of at least 1, or auto'),
    default: 1,
    fileKey: null,
    about: 'how many rockets fly at a time; auto: as many as there are cores (--slots comes first)',
  },
  max_preemptions: {
    schema: count,
    default: 3,
    fileKey: null,
    about: 'what was preempted so often is left to workers on VMs that are not spot',
  },
  preempted_wait_secs: {
    schema: seconds,
    default: 600,
    unit: 's',
    fileKey: null,
    about: 'but when none of those has taken it for so long, any worker does',
  },
  ping_time_secs: {
    schema: interval,
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
  max_lost_runs: {
    schema: count,
    default: 5,
    fileKey: null,
    about: 'a Firework that lost so many runs in a row is FIZZLED, not rerun',
  },
  prune_images_at: {
    schema: number.pipe(z.number().max(100, 'must be from 0 to 100')),
    default: 85,
    unit: '%',
    fileKey: null,
    about:
      "images that this worker pulled go, the longest unused first, when the Docker Engine's disk is this full; 0: never",
  },
  fetch_cache: {
    schema: number,
    default: 10,
    unit: 'GB',
    fileKey: null,
    about: 'large inputs of DockerTasks stay on the disk for the next task, up to so much; 0: none',
  },
  store_retry_secs: {
    schema: seconds,
    default: 1800,
    unit: 's',
    fileKey: null,
    about: 'outputs of DockerTasks that cannot be stored are tried again for so long, then kept on the disk',
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
  /** What is set of this worker's identity; my_fworker.yaml has the rest. */
  fworker: Partial<FWorker>;
  idleForRocketsMs: number;
  idleForWaitersMs: number;
  quit: 'soon' | 'when-idle' | '';
  python: string;
  pingMs: number;
  slots: number | 'auto';
  maxPreemptions: number;
  preemptedWaitMs: number;
  /** 0: this worker does not look for lost runs. */
  lostRunMs: number;
  maxLostRuns: number;
  /** 0: images stay. */
  pruneImagesAtPercent: number;
  /** 0: inputs do not stay. */
  fetchCacheBytes: number;
  storeRetryMs: number;
  strmLvl: string;
  logdir?: string;
}

/** Keys that a test or an operator may set for one worker by environment: FIREWORKER_PING_TIME_SECS=5. */
const FROM_ENV: readonly Key[] = [
  'python',
  'fworker_name',
  'fworker_category',
  'fworker_query',
  'fworker_env',
  'slots',
  'max_preemptions',
  'preempted_wait_secs',
  'ping_time_secs',
  'lost_run_secs',
  'max_lost_runs',
  'prune_images_at',
  'fetch_cache',
  'store_retry_secs',
  'error_delete_delay',
];

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
  for (const name of Object.keys(SETTINGS) as Key[]) {
    const { value, source } = settingOf(name, sources);
    values[name] = value;
    origin[name] = source;
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
  // A connection string may name the database itself; what names it expressly comes first.
  const named = uri_mode === true && origin.db === 'default' && databaseIn(String(host)) !== '';
  const launchpad = launchPadSettings(
    {
      ...file,
      host,
      uri_mode,
      port,
      name: named ? null : db,
      username: username ?? null,
      password: password ?? null,
      authsource: authsource ?? null,
    },
    'settings',
  );
  const { fworker_name, fworker_category, fworker_query, fworker_env } = values;
  const identity = { name: fworker_name, category: fworker_category, query: fworker_query, env: fworker_env };
  return {
    launchpad,
    fworker: Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== undefined)),
    idleForRocketsMs: rockets * 1000,
    idleForWaitersMs: Math.max(waiters, rockets) * 1000,
    quit: values.quit as WorkerSettings['quit'],
    python: values.python as string,
    pingMs: (values.ping_time_secs as number) * 1000,
    slots: values.slots as number | 'auto',
    maxPreemptions: values.max_preemptions as number,
    preemptedWaitMs: (values.preempted_wait_secs as number) * 1000,
    lostRunMs: (values.lost_run_secs as number) * 1000,
    maxLostRuns: values.max_lost_runs as number,
    pruneImagesAtPercent: values.prune_images_at as number,
    fetchCacheBytes: (values.fetch_cache as number) * 1e9,
    storeRetryMs: (values.store_retry_secs as number) * 1000,
    strmLvl: values.strm_lvl as string,
    logdir: values.logdir as string | undefined,
  };
}

/** How long a VM waits after an error: also when it is another setting that is wrong. */
export function errorDeleteDelayMs(sources: Sources): number {
  return (settingOf('error_delete_delay', sources).value as number) * 1000;
}

function settingOf(name: Key, sources: Sources): { value: unknown; source: string } {
  const setting: Setting = SETTINGS[name];
  const found = look(name, setting, sources);
  if (!found) return { value: setting.default, source: 'default' };
  const parsed = setting.schema.safeParse(found.value);
  if (parsed.success) return { value: parsed.data, source: found.source };
  const shown = setting.secret ? '***' : String(found.value);
  const wrong = parsed.error.issues[0]?.message.replace(/^Invalid (input|option): /, '');
  throw new UsageError(`${name}=${shown} (${found.source}): ${wrong}`);
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
