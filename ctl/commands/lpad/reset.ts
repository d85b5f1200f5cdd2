import { BorealisError } from '../../../core/errors.ts';
import { describeLaunchPad } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { consentFlags } from '../../lpad/flags.ts';
import { consents, today } from '../../lpad/session.ts';
import { printJson } from '../../output.ts';
import { ask } from '../../prompt.ts';

const command: LpadCommand = {
  summary: 'empty the database and make it a LaunchPad',
  examples: ['lpad reset', 'lpad -l my_launchpad.yaml reset --password $(date +%F)'],
  flags: consentFlags,
  async run(args, session) {
    const launchpad = await session.launchpad();
    if (!consents(args)) {
      const workflows = await launchpad.workflows.countDocuments();
      const { name } = launchpad.settings;
      const where = describeLaunchPad(launchpad.settings);
      const question = `Are you sure? This will RESET ${where}: ${workflows} workflows and all data. To confirm, type the name of the database (${name}): `;
      const answer = await ask(question).catch(() => '');
      if (answer.trim() !== name)
        throw new BorealisError(
          `Nothing was reset. Type the name of the database, or give today's date: lpad reset --password ${today()} (or --yes)`,
        );
    }
    session.log('INFO', 'Performing db tune-up');
    await launchpad.reset();
    session.log('INFO', 'LaunchPad was RESET.');
    if (session.json) printJson({ reset: launchpad.settings.name });
    return 0;
  },
};
export default command;
