/** Where a sandbox is, and how somebody who did not start it finds its way around. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BorealisError } from '../../core/errors.ts';
import { runningSandbox, type SandboxRecord } from '../../sandbox/sandbox.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The flag of every sandbox command. */
export const dirFlag = {
  type: 'string',
  valueHint: 'D',
  description: 'folder of the sandbox ($BOREALIS_SANDBOX, or ~/.borealis/sandbox)',
} as const;

/** The folder: `--dir`, else BOREALIS_SANDBOX, else ~/.borealis/sandbox. */
export function sandboxDir(flag: string | undefined, env: Env = process.env): string {
  return resolve(flag ?? env.BOREALIS_SANDBOX ?? join(env.HOME ?? homedir(), '.borealis', 'sandbox'));
}

/** The sandbox that runs in `dir`. Throws BorealisError when none does. */
export async function mustRun(dir: string): Promise<SandboxRecord> {
  const record = await runningSandbox(dir);
  if (record) return record;
  throw new BorealisError(`No sandbox runs in ${dir}. Start one: borealisctl sandbox up --detach`);
}

/** The variables that `D/env` exports. */
export async function sandboxEnv(dir: string): Promise<Record<string, string>> {
  const text = await readFile(join(dir, 'env'), 'utf8').catch(() => {
    throw new BorealisError(
      `There is no ${join(dir, 'env')}. Start the sandbox again: borealisctl sandbox up`,
    );
  });
  return parseEnv(text);
}

/** `export NAME=value` lines, the value bare or in single quotes. */
export function parseEnv(text: string): Record<string, string> {
  const lines = [...text.matchAll(/^export (\w+)=(.*)$/gm)];
  return Object.fromEntries(lines.map(([, name, value]) => [name, unquote(value ?? '')]));
}

function unquote(value: string): string {
  return value.startsWith("'") ? value.slice(1, -1).replaceAll(`'\\''`, "'") : value;
}

/** True in a binary made by `bun build --compile`, whose files are inside it. */
export const isCompiled = (): boolean => Bun.main.startsWith('/$bunfs/') || Bun.main.includes('~BUN');

const root = resolve(import.meta.dir, '..', '..');

/** A program of the sources, which like a binary obeys no .env and no bunfig.toml of the folder that it is started in. */
const fromSources = (main: string): string[] => [
  process.execPath,
  '--no-env-file',
  '--config=/dev/null',
  join(root, main),
];

/** How this very program is called again. */
export function ownProgram(): string[] {
  return isCompiled() ? [process.execPath] : fromSources('ctl/main.ts');
}

/**
 * What a VM boots: BOREALIS_FIREWORKER, else the fireworker beside this program, else the sources when this program runs
 * from them. Throws BorealisError when there is none.
 */
export function fireworkerProgram(env: Env = process.env): string[] {
  const named = env.BOREALIS_FIREWORKER;
  if (named) {
    if (existsSync(named)) return [resolve(named)];
    throw new BorealisError(`BOREALIS_FIREWORKER=${named}: there is no such file`);
  }
  if (!isCompiled()) return fromSources('daemon/main.ts');
  const beside = join(dirname(process.execPath), 'fireworker');
  if (existsSync(beside)) return [beside];
  throw new BorealisError(
    `There is no fireworker for the VMs: put it beside ${process.execPath}, or set BOREALIS_FIREWORKER`,
  );
}
