import { control } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { consentFlags, launchesModeFlag, selectionFlags } from '../../lpad/flags.ts';
import { selectedFireworks, selectedWorkflows } from '../../lpad/select.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'change the priority of Fireworks: the highest goes first',
  examples: ['lpad set_priority 5 -i 12', 'lpad set_priority 5 -i 12 -wf'],
  words: [{ key: 'priority', title: 'PRIORITY', kind: 'integer', help: 'a whole number' }],
  flags: [
    ...selectionFlags(),
    launchesModeFlag,
    { names: ['-wf'], key: 'wf', kind: 'switch', help: 'every Firework of the workflows' },
    ...consentFlags,
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const priority = args.number('priority') as number;
    const ofWorkflows = args.on('wf');
    const found = await (ofWorkflows ? selectedWorkflows : selectedFireworks)(launchpad, args);
    const what = `set the priority of ${found.length} ${ofWorkflows ? 'workflows' : 'Fireworks'}`;
    await session.confirm(found.length, what, args);
    const ids = new Set(found);
    for (const id of ofWorkflows ? found : []) {
      for (const node of await control.nodesOf(launchpad, id)) ids.add(node);
    }
    for (const id of ids) await control.setPriority(launchpad, id, priority);
    session.log('INFO', `Finished setting priorities of ${ids.size} FWs`);
    if (session.json) printJson({ fw_ids: [...ids], priority });
    return 0;
  },
};
export default command;
