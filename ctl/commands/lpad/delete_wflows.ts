import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'delete workflows with their Fireworks and launches (archive_wflows keeps them)',
  examples: ['lpad delete_wflows -i 12', 'lpad delete_wflows -s ARCHIVED --ldirs'],
  verb: 'delete',
  doing: 'deleting',
  cautious: true,
  flags: [
    {
      names: ['--ldirs'],
      key: 'delete_launch_dirs',
      kind: 'switch',
      help: 'delete the launch folders too, as far as they are on this machine',
    },
  ],
  async act(launchpad, fwId, args) {
    await control.deleteWorkflow(launchpad, fwId, args.on('delete_launch_dirs'));
    return undefined;
  },
});
