/** FireWorks' own settings for whoever runs tasks, FW_config.yaml (fireworks/fw_config.py). */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Doc, isDoc, parseYaml } from '../core/launchpad/index.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** The file that is meant: FW_CONFIG_FILE, else where the worker was started, else ~/.fireworks. Undefined: there is none. */
export function fwConfigFile(env: Env, cwd = process.cwd()): string | undefined {
  if (env.FW_CONFIG_FILE) return env.FW_CONFIG_FILE;
  const folders = [resolve(cwd), join(env.HOME ?? homedir(), '.fireworks')];
  return folders.map((folder) => join(folder, 'FW_config.yaml')).find((file) => existsSync(file));
}

/** What it says; nothing when there is none. */
export function fwConfig(env: Env, cwd?: string): Doc {
  const file = fwConfigFile(env, cwd);
  if (!file || !existsSync(file)) return {};
  const values = parseYaml(readFileSync(file, 'utf8'), file);
  return isDoc(values) ? values : {};
}
