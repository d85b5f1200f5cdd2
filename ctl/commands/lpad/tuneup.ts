import { createIndexes } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';

const command: LpadCommand = {
  summary: 'make the indexes of the database',
  examples: ['lpad admin tuneup', 'lpad tuneup --full'],
  flags: [
    {
      names: ['--full'],
      key: 'full',
      kind: 'switch',
      help: 'also compact the collections: while nobody uses the database',
    },
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    session.log('INFO', 'Performing db tune-up');
    await createIndexes(launchpad);
    for (const compact of args.on('full') ? ['fireworks', 'launches'] : []) {
      await launchpad.db.command({ compact }).catch((thrown: Error) => {
        // Not every server can, and the indexes are what matters.
        session.log('WARNING', `${compact} could not be compacted: ${thrown.message}`);
      });
    }
    return 0;
  },
};
export default command;
