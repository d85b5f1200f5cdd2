#!/usr/bin/env bun
/**
 * borealisctl: fleets, workflows and a cloud in miniature from a shell. Called `lpad` or `gce` (a symlink, or a copy under
 * that name) it is that command alone, so that scripts written for FireWorks and for upstream go on working.
 */
import { basename } from 'node:path';
import { version } from '../core/version.ts';
import { runCommandLine } from './command_line.ts';
import { COMMANDS, OWN_NAMES } from './commands.ts';
import { printLine, report } from './output.ts';

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
