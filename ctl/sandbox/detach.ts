/** Starting a sandbox in the background. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BorealisError } from '../../core/errors.ts';
import { SECOND, sleep } from '../../core/wait.ts';
import { runningSandbox, type SandboxRecord } from '../../sandbox/sandbox.ts';
import { progress } from '../output.ts';
import { ownProgram } from './place.ts';

/** Longer than it ever takes: half a second, or a few on a busy machine. */
const READY_WITHIN_MS = 60 * SECOND;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts `sandbox up` with `flags` as a process of its own, which outlives this one and its terminal, and waits until it is
 * ready. Throws BorealisError with the cause from its log when it fails; nothing is left running then.
 */
export async function startDetached(
  dir: string,
  flags: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<SandboxRecord> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const logFile = join(dir, 'sandbox.log');
  const log = openSync(logFile, 'w', 0o600);
  const [program = '', ...first] = ownProgram();
  const child = spawn(program, [...first, 'sandbox', 'up', '--dir', dir, ...flags], {
    detached: true,
    stdio: ['ignore', log, log],
    // Whoever called us `lpad` did not mean the sandbox.
    argv0: 'borealisctl',
    env: { ...env },
  });
  closeSync(log);
  let ended: string | null = null;
  child.on('exit', (code, signal) => (ended = signal ?? `exit code ${code}`));
  child.on('error', (thrown) => (ended = thrown.message));
  // Whoever is interrupted while it starts does not leave it behind.
  const given = new AbortController();
  const giveUp = () => given.abort();
  for (const name of SIGNALS) process.on(name, giveUp);
  const line = progress();
  try {
    line.update('Starting a LaunchPad, Compute, Storage and Logging');
    for (
      const until = Date.now() + READY_WITHIN_MS;
      Date.now() < until && !given.signal.aborted;
      await sleep(50, given.signal)
    ) {
      if (ended !== null)
        throw new BorealisError(`The sandbox did not start: ${await causeIn(logFile, ended)}`);
      const record = await runningSandbox(dir).catch(() => null);
      if (record && record.pid === child.pid) {
        child.unref();
        return record;
      }
    }
    child.kill('SIGTERM');
    while (ended === null) await sleep(50);
    if (given.signal.aborted) throw new BorealisError('Interrupted: the sandbox is gone again');
    throw new BorealisError(
      `The sandbox was not ready after ${READY_WITHIN_MS / SECOND} s. Its log: ${logFile}`,
    );
  } finally {
    for (const name of SIGNALS) process.off(name, giveUp);
    line.done();
  }
}

/** The last error of a log, or how the process ended. */
async function causeIn(logFile: string, ended: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const error = lines.findLast((line) => line.startsWith('error: '));
  if (error) return error.slice('error: '.length);
  return `${lines.at(-1) ?? 'it said nothing'} (${ended}; its log: ${logFile})`;
}
