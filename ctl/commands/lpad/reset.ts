import { BorealisError } from '../../../core/errors.ts';
import { describeLaunchPad } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { checkPassword, today } from '../../lpad/session.ts';
import { ask } from '../../prompt.ts';

const command: LpadCommand = {
  summary: 'empty the database and make it a LaunchPad',
  examples: ['lpad reset', 'lpad -l my_launchpad.yaml reset --password $(date +%F)'],
  flags: [
    {
      names: ['--password'],
      key: 'password',
      kind: 'text',
      help: "today's date (2026-01-31) instead of an answer",
    },
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const password = args.text('password');
    if (password !== undefined) checkPassword(password);
    else {
      const workflows = await launchpad.workflows.countDocuments();
      const { name } = launchpad.settings;
      const where = describeLaunchPad(launchpad.settings);
      const question = `Are you sure? This will RESET ${where}: ${workflows} workflows and all data. To confirm, type the name of the database (${name}): `;
      const answer = await ask(question).catch(() => '');
      if (answer.trim() !== name)
        throw new BorealisError(
          `Nothing was reset. Type the name of the database, or give today's date: lpad reset --password ${today()}`,
        );
    }
    session.log('INFO', 'Performing db tune-up');
    await launchpad.reset();
    session.log('INFO', 'LaunchPad was RESET.');
    return 0;
  },
};
export default command;
