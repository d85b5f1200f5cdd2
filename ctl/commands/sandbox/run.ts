import { constants } from 'node:os';
import { defineCommand } from 'citty';
import { BorealisError, codeOf, messageOf, UsageError } from '../../../core/errors.ts';
import { note } from '../../output.ts';
import { dirFlag, mustRun, sandboxDir, sandboxEnv } from '../../sandbox/place.ts';

export const examples = [
  'borealisctl sandbox run -- borealisctl up demo --count 2',
  'borealisctl sandbox run -- python build_workflow.py',
];

export const takesRest = true;

export default defineCommand({
  meta: {
    name: 'run',
    description: "runs a command that finds the sandbox's LaunchPad and Google's APIs (-- CMD...)",
  },
  args: { dir: dirFlag },
  async run({ args, rawArgs }) {
    const start = rawArgs.indexOf('--');
    const command = start < 0 ? [] : rawArgs.slice(start + 1);
    if (command.length === 0)
      throw new UsageError(
        'borealisctl sandbox run: a command is missing, after --: sandbox run -- lpad get_wflows',
      );
    const dir = sandboxDir(args.dir);
    await mustRun(dir);
    return await runIn({ ...process.env, BOREALIS_SANDBOX: dir, ...(await sandboxEnv(dir)) }, command);
  },
});

/** Runs a command with this terminal as its own, hands signals on, and returns its exit code as a shell would. */
async function runIn(env: Record<string, string | undefined>, command: string[]): Promise<number> {
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
