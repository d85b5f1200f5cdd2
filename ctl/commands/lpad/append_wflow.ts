import { UsageError } from '../../../core/errors.ts';
import { appendWorkflow, readWorkflowFile } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { mustExist } from '../../lpad/select.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'append a workflow from a file to one that is there',
  examples: ['lpad append_wflow -i 12 -f more.yaml', 'lpad append_wflow -i 12,13 -f between.yaml --detour'],
  flags: [
    { names: ['-i', '--fw_id'], key: 'fw_id', kind: 'ids', help: 'the Fireworks that it comes after' },
    { names: ['-f', '--wf_file'], key: 'wf_file', kind: 'text', help: 'workflow file' },
    {
      names: ['-d', '--detour'],
      key: 'detour',
      kind: 'switch',
      help: 'what comes after these Fireworks now waits for the new workflow',
    },
    {
      names: ['--no_pull_spec_mods'],
      key: 'no_pull_spec_mods',
      kind: 'switch',
      help: 'leave the new specs alone: by default what the parents changed in their children is changed here too',
    },
  ],
  async run(args, session) {
    const parents = args.ids('fw_id');
    if (!parents) throw new UsageError('lpad append_wflow: -i is missing: the Fireworks that it comes after');
    const addition = await readWorkflowFile(args.need('wf_file', 'lpad append_wflow: -f FILE is missing'));
    const launchpad = await session.launchpad();
    await mustExist(launchpad, parents);
    const ids = await appendWorkflow(launchpad, addition, parents, {
      detour: args.on('detour'),
      pull: !args.on('no_pull_spec_mods'),
    });
    session.log('INFO', `Appended a workflow. fw_ids: [${ids.join(', ')}]`);
    if (session.json) printJson({ fw_ids: ids });
    return 0;
  },
};
export default command;
