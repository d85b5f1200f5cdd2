import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';
import { COMMANDS, OWN_NAMES } from '../commands.ts';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { placesOf } from '../completion/tree.ts';
import { zshScript } from '../completion/zsh.ts';
import { print } from '../output.ts';

export const examples = [
  'borealisctl completion bash > ~/.local/share/bash-completion/completions/borealisctl',
  'borealisctl completion zsh > ~/.zfunc/_borealisctl',
  'borealisctl completion fish > ~/.config/fish/completions/borealisctl.fish',
];

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };
const SHELLS = Object.keys(SCRIPTS);

export default defineCommand({
  meta: { name: 'completion', description: 'prints the script by which a shell completes command lines' },
  args: { shell: { type: 'positional', description: SHELLS.join(', ') } },
  async run({ args }) {
    const shell = String(args.shell);
    if (!Object.hasOwn(SCRIPTS, shell))
      throw new UsageError(`completion ${shell}: the shells are ${SHELLS.join(', ')}${hint(shell, SHELLS)}`);
    print(SCRIPTS[shell as keyof typeof SCRIPTS]('borealisctl', OWN_NAMES, await placesOf(COMMANDS)));
  },
});
