import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'put workflows away for good: they can be looked at, and never run again',
  examples: ['lpad archive_wflows -i 12', 'lpad archive_wflows -s COMPLETED'],
  verb: 'archive',
  doing: 'archiving',
  cautious: true,
  async act(launchpad, fwId) {
    await control.archiveWorkflow(launchpad, fwId);
    return undefined;
  },
});
