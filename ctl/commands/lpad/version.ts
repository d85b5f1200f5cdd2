import { version } from '../../../core/version.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'the version',
  examples: ['lpad version', 'lpad version --json'],
  flags: [],
  async run(_, session) {
    if (session.json) printJson({ borealis: version, fireworks: '2.1' });
    else printLine(`Borealis ${version}, for the documents of FireWorks 2.1`);
    return 0;
  },
};
export default command;
