/** Other people's programs, with this terminal as their own. */
import { constants } from 'node:os';
import { BorealisError, codeOf, messageOf } from '../core/errors.ts';
import { note } from './output.ts';

/** Runs a command, hands signals on, and returns its exit code as a shell would: 127 when there is no such command. */
export async function inForeground(
  command: string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<number> {
  const [program = ''] = command;
  let child: Bun.Subprocess;
  try {
    child = Bun.spawn(command, { env, stdio: ['inherit', 'inherit', 'inherit'] });
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT')
      throw new BorealisError(`${program} cannot be run: ${messageOf(thrown)}`);
    note(`error: there is no command ${program}`);
    return 127;
  }
  // From a terminal Ctrl-C reaches the child by itself.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill(name));
  await child.exited;
  return child.signalCode
    ? 128 + constants.signals[child.signalCode as NodeJS.Signals]
    : (child.exitCode ?? 1);
}
