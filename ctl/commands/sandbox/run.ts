import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { BorealisError, codeOf, UsageError } from '../../../core/errors.ts';
import { dirFlag, requireSandbox, sandboxDir } from './place.ts';

export const examples = ['borealisctl sandbox run -- borealisctl ps demo', 'borealisctl sandbox run --dir /tmp/cloud -- python my_workflow.py'];

/** The command after `--`. */
export const takesRest = true;

export default defineCommand({
  meta: { name: 'run', description: "runs a command with the sandbox's environment" },
  args: { ...dirFlag },
  async run({ args: flags, rawArgs }) {
    const at = rawArgs.indexOf('--');
    const command = at < 0 ? [] : rawArgs.slice(at + 1);
    if (command.length === 0) throw new UsageError('sandbox run: put the command after --, as in: borealisctl sandbox run -- borealisctl ps');
    const dir = sandboxDir(flags.dir);
    await requireSandbox(dir);
    const env = { ...process.env, BOREALIS_SANDBOX: dir, ...(await exported(join(dir, 'env'))) };
    let child: Bun.Subprocess;
    try {
      child = Bun.spawn(command, { env, stdio: ['inherit', 'inherit', 'inherit'] });
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') throw new BorealisError(`There is no program ${command[0]}`, { cause: thrown });
      throw thrown;
    }
    // A terminal's Ctrl-C reaches the command by itself; what is sent to this process alone is passed on.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    const code = await child.exited;
    return child.signalCode ? 128 + constants.signals[child.signalCode] : code;
  },
});

async function exported(file: string): Promise<Record<string, string>> {
  const lines = (await readFile(file, 'utf8')).matchAll(/^export (\w+)=(.*)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value.replace(/^'(.*)'$/s, '$1').replaceAll("'\\''", "'")]));
}
