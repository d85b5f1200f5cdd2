import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'pause whole workflows',
  examples: ['lpad pause_wflows -i 12', 'lpad pause_wflows -n "my workflow"'],
  verb: 'pause',
  doing: 'pausing',
  async act(launchpad, fwId) {
    await control.pauseWorkflow(launchpad, fwId);
    return undefined;
  },
});
