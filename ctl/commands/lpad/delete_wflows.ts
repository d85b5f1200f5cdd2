import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';
import { launchDirsFlag } from '../../lpad/flags.ts';

export default changeWorkflows({
  summary: 'delete workflows with their Fireworks and launches (archive_wflows keeps them)',
  examples: ['lpad delete_wflows -i 12', 'lpad delete_wflows -s ARCHIVED --ldirs'],
  verb: 'delete',
  doing: 'deleting',
  cautious: true,
  flags: [launchDirsFlag],
  async act(launchpad, fwId, args) {
    await control.deleteWorkflow(launchpad, fwId, args.on('delete_launch_dirs'));
    return undefined;
  },
});
