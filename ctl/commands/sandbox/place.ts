/** Where a sandbox lives, and the worker that its VMs boot. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { ArgsDef } from 'citty';
import { BorealisError, UsageError } from '../../../core/errors.ts';
import { runningSandbox, type SandboxRecord } from '../../../sandbox/sandbox.ts';

export const dirFlag = { dir: { type: 'string', valueHint: 'D', description: "the sandbox's folder (default: $BOREALIS_SANDBOX, else ~/.borealis/sandbox)" } } as const satisfies ArgsDef;

export function sandboxDir(flag: string | undefined, env: Readonly<Record<string, string | undefined>> = process.env): string {
  return resolve(flag ?? env.BOREALIS_SANDBOX ?? join(env.HOME ?? homedir(), '.borealis', 'sandbox'));
}

/** The sandbox that runs in `dir`. Throws BorealisError when none does. */
export async function requireSandbox(dir: string): Promise<SandboxRecord> {
  const record = await runningSandbox(dir);
  if (!record) throw new BorealisError(`No sandbox runs in ${dir}. Start one: borealisctl sandbox up`);
  return record;
}

/** True in a binary made by `bun build --compile`. */
export const isCompiled = import.meta.path.startsWith('/$bunfs/') || import.meta.path.includes('~BUN');

/** The worker's program: beside this one, or $BOREALIS_FIREWORKER, or (from source) the sources. */
export function fireworkerCommand(env: Readonly<Record<string, string | undefined>> = process.env): string[] {
  if (env.BOREALIS_FIREWORKER) return [env.BOREALIS_FIREWORKER];
  if (!isCompiled) return [process.execPath, resolve(import.meta.dir, '../../../daemon/main.ts')];
  const beside = join(dirname(process.execPath), 'fireworker');
  if (existsSync(beside)) return [beside];
  throw new BorealisError(`There is no fireworker beside ${process.execPath}: put it there, or name it with BOREALIS_FIREWORKER`);
}

/** This program, to be started again. */
export function ownCommand(): string[] {
  return isCompiled ? [process.execPath] : [process.execPath, resolve(import.meta.dir, '../../main.ts')];
}

/** A port number from a flag. */
export function portOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port >= 0 && port <= 65535)) throw new UsageError(`--${flag} ${text}: must be a port number, 0 to 65535`);
  return port;
}
