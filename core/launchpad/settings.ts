/**
 * The LaunchPad's address and manners: FireWorks' `my_launchpad.yaml`, with the two idle times that upstream's worker reads
 * from the same file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type DocumentOptions, type ParseOptions, parse, type SchemaOptions, YAMLParseError } from 'yaml';
import * as z from 'zod';
import { codeOf, messageOf, UsageError } from '../errors.ts';
import { type Doc, isDoc } from './values.ts';

const text = z.string();
const flag = z.boolean();
const seconds = z.number().nonnegative();
const indices = z.array(z.unknown());

/** Every key that the file may have, and what it must be. `null` stands for "not set", as in Python's files. */
const KEYS = {
  host: text,
  port: z.number().int().min(1).max(65535),
  name: text.min(1),
  username: text,
  password: text,
  authsource: text,
  uri_mode: flag,
  mongoclient_kwargs: z.custom<Doc>(isDoc, 'must be a dictionary'),
  logdir: text,
  strm_lvl: z.enum(['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG']),
  user_indices: indices,
  wf_user_indices: indices,
  // Written by FireWorks 1, still found in people's files.
  ssl: flag,
  ssl_ca_certs: text,
  ssl_certfile: text,
  ssl_keyfile: text,
  ssl_pem_passphrase: text,
  idle_for_rockets: seconds,
  idle_for_waiters: seconds,
} as const satisfies Record<string, z.ZodType>;

/** Never shown. A connection string has a password in it, and the driver's options may. */
const SECRET: readonly string[] = ['password', 'ssl_pem_passphrase', 'host', 'mongoclient_kwargs'];

export interface LaunchPadSettings {
  /** Host name, or the whole connection string when `uriMode`. */
  host: string;
  port: number;
  /** The database. */
  name: string;
  uriMode: boolean;
  username?: string;
  password?: string;
  authsource?: string;
  tls?: { caFile?: string; certFile?: string; keyFile?: string; passphrase?: string };
  /** pymongo's keyword arguments that the Node driver knows under the same name. */
  clientOptions: Doc;
  logdir?: string;
  strmLvl: string;
  userIndices: string[];
  wfUserIndices: string[];
}

/** The raw values of a LaunchPad file, checked. `source` is told in errors. */
export function checkLaunchPadKeys(raw: Doc, source: string): Doc {
  for (const [key, value] of Object.entries(raw)) {
    if (!Object.hasOwn(KEYS, key)) {
      throw new UsageError(`${source}: unknown key '${key}'. Known keys: ${Object.keys(KEYS).join(', ')}`);
    }
    if (value === null) continue;
    const parsed = KEYS[key as keyof typeof KEYS].safeParse(value);
    const shown = SECRET.includes(key) ? '***' : JSON.stringify(value);
    if (!parsed.success) throw new UsageError(`${source}: ${key}=${shown}: ${messageFor(parsed.error)}`);
  }
  return raw;
}

function messageFor(error: z.ZodError): string {
  const [issue] = error.issues;
  return (issue?.message ?? 'wrong').replace(/^Invalid input: /, '');
}

/** Settings from the values of a file (or VM metadata), with FireWorks' defaults: localhost:27017, `fireworks`. */
export function launchPadSettings(raw: Doc, source: string): LaunchPadSettings {
  const keys = checkLaunchPadKeys(raw, source) as Partial<Record<keyof typeof KEYS, unknown>>;
  const string = (key: keyof typeof KEYS) => (keys[key] ?? undefined) as string | undefined;
  const uriMode = keys.uri_mode === true;
  if (uriMode && !/^mongodb(\+srv)?:\/\//.test(string('host') ?? '')) {
    throw new UsageError(
      `${source}: with uri_mode: true, host must be a connection string (mongodb://... or mongodb+srv://...)`,
    );
  }
  const name = string('name') ?? (uriMode ? databaseIn(string('host') ?? '') : 'fireworks');
  if (!name)
    throw new UsageError(
      `${source}: with uri_mode: true, name the database, in the connection string or as 'name'`,
    );
  return {
    host: string('host') ?? 'localhost',
    port: (keys.port as number | null) ?? 27017,
    name,
    uriMode,
    username: string('username'),
    password: string('password'),
    authsource: string('authsource'),
    ...(keys.ssl === true && {
      tls: {
        caFile: string('ssl_ca_certs'),
        certFile: string('ssl_certfile'),
        keyFile: string('ssl_keyfile'),
        passphrase: string('ssl_pem_passphrase'),
      },
    }),
    clientOptions: (keys.mongoclient_kwargs ?? {}) as Doc,
    logdir: string('logdir'),
    strmLvl: string('strm_lvl') ?? 'INFO',
    userIndices: ((keys.user_indices ?? []) as unknown[]).map(String),
    wfUserIndices: ((keys.wf_user_indices ?? []) as unknown[]).map(String),
  };
}

/** The database that a connection string names; empty when it names none. */
export function databaseIn(uri: string): string {
  return /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]*)/.exec(uri)?.[1] ?? '';
}

/** Where a LaunchPad is, for messages: never with a password. */
export function describeLaunchPad(settings: LaunchPadSettings): string {
  // Up to the last @: a password that was not encoded may have one too, or uri_mode was forgotten.
  const host = settings.host.replace(/\/\/.*@/, '//***@').replace(/\?.*$/, '');
  return settings.uriMode ? host : `${host}:${settings.port}/${settings.name}`;
}

/** The values of a LaunchPad file. Throws UsageError when it is missing, not YAML, or has a bad key or value. */
export function readLaunchPadFile(path: string): Doc {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT')
      throw new UsageError(`There is no LaunchPad file ${path}. Name another with -l FILE`);
    throw new UsageError(`The LaunchPad file ${path} cannot be read: ${messageOf(thrown)}`);
  }
  const value = parseYaml(content, path);
  if (value === null) return {};
  if (!isDoc(value)) throw new UsageError(`${path}: a LaunchPad file is a list of 'key: value' lines`);
  return checkLaunchPadKeys(value, path);
}

/** YAML (1.1 unless `options` say more) or JSON. Throws UsageError with the line of what is wrong. */
export function parseYaml(
  content: string,
  path: string,
  options: ParseOptions & DocumentOptions & SchemaOptions = { version: '1.1' },
): unknown {
  const tab = content.split('\n').findIndex((line) => /^ *\t/.test(line));
  if (tab >= 0 && !content.trimStart().startsWith('{')) {
    throw new UsageError(`${path}, line ${tab + 1}: YAML is indented with spaces, and this line has a tab`);
  }
  try {
    return parse(content, {
      ...options,
      prettyErrors: true,
      logLevel: 'error',
      maxAliasCount: 1000,
    }) as unknown;
  } catch (thrown) {
    const [first] = messageOf(thrown).split('\n');
    if (thrown instanceof YAMLParseError) throw new UsageError(`${path} is not YAML: ${first}`);
    throw new UsageError(`${path}: ${first}`);
  }
}

/**
 * The LaunchPad file to use: `-l`, else my_launchpad.yaml here, else where FireWorks' own configuration points
 * (FW_CONFIG_FILE: its LAUNCHPAD_LOC, or CONFIG_FILE_DIR), else ~/.fireworks (fireworks/fw_config.py). Null: none.
 */
export function findLaunchPadFile(
  flagValue: string | undefined,
  env: Record<string, string | undefined> = process.env,
  cwd = process.cwd(),
): string | null {
  if (flagValue) return resolve(cwd, flagValue);
  const name = 'my_launchpad.yaml';
  const candidates = [join(cwd, name)];
  const config = env.FW_CONFIG_FILE;
  if (config && !existsSync(candidates[0] as string)) {
    // Never the defaults instead: that may be somebody else's database.
    if (!existsSync(config))
      throw new UsageError(
        `FW_CONFIG_FILE=${config}: there is no such file. When it is a sandbox's, start that again; else unset it, or name a LaunchPad file with -l`,
      );
    const values = parseYaml(readFileSync(config, 'utf8'), config);
    const at = (key: string) =>
      isDoc(values) && typeof values[key] === 'string' ? resolve(dirname(config), values[key]) : null;
    const [file, folder] = [at('LAUNCHPAD_LOC'), at('CONFIG_FILE_DIR')];
    if (file) candidates.push(file);
    if (folder) candidates.push(join(folder, name));
  }
  candidates.push(join(env.HOME ?? homedir(), '.fireworks', name));
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** Settings from the file that `findLaunchPadFile` finds; FireWorks' defaults when there is none. */
export function loadLaunchPadSettings(
  flagValue?: string,
  env = process.env,
  cwd?: string,
): LaunchPadSettings {
  const path = findLaunchPadFile(flagValue, env, cwd);
  return path ? launchPadSettings(readLaunchPadFile(path), path) : launchPadSettings({}, 'defaults');
}
