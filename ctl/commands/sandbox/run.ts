import { defineCommand } from 'citty';
import { UsageError } from '../../../core/errors.ts';
import { inForeground } from '../../foreground.ts';
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
    return await inForeground(command, {
      ...process.env,
      BOREALIS_SANDBOX: dir,
      ...(await sandboxEnv(dir)),
    });
  },
});
