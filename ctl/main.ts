#!/usr/bin/env bun
/**
 * borealisctl: fleets, workflows and a cloud in miniature from a shell. Called `lpad` or `gce` (a symlink, or a copy under
 * that name) it is that command alone, so that scripts written for FireWorks and for upstream go on working.
 */
import { basename } from 'node:path';
import { version } from '../core/version.ts';
import { type Commands, runCommandLine } from './command_line.ts';
import { printLine, report } from './output.ts';

export const COMMANDS: Commands = {
  up: () => import('./commands/up.ts'),
  run: () => import('./commands/run.ts'),
  scale: () => import('./commands/scale.ts'),
  ps: () => import('./commands/ps.ts'),
  logs: () => import('./commands/logs.ts'),
  'quit-soon': () => import('./commands/quit_soon.ts'),
  'quit-when-idle': () => import('./commands/quit_when_idle.ts'),
  'set-metadata': () => import('./commands/set_metadata.ts'),
  down: () => import('./commands/down.ts'),
  gce: () => import('./commands/gce.ts'),
  lpad: () => import('./commands/lpad.ts'),
  storage: () => import('./commands/storage.ts'),
  watch: () => import('./commands/watch.ts'),
  doctor: () => import('./commands/doctor.ts'),
  sandbox: () => import('./commands/sandbox.ts'),
};

/** Names under which the binary is one of its commands. */
const OWN_NAMES = ['lpad', 'gce'];

/** Runs one command line; `calledAs` is the name of the program as it was typed. Returns the exit code. */
export async function main(argv: readonly string[], calledAs: string): Promise<number> {
  if (OWN_NAMES.includes(calledAs)) return await runCommandLine([], COMMANDS, [calledAs, ...argv]);
  if (argv[0] === '--version' || argv[0] === '-v' || argv[0] === '-V') {
    printLine(`borealisctl ${version}`);
    return 0;
  }
  return await runCommandLine(['borealisctl'], COMMANDS, argv);
}

if (import.meta.main) {
  // A compiled binary keeps the typed name in argv0, symlinks included; process.execPath is the file behind them.
  const calledAs = basename(process.argv0);
  process.exit(await main(process.argv.slice(2), calledAs).catch(report));
}
