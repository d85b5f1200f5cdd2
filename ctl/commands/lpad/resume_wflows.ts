import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'let paused workflows go on',
  examples: ['lpad resume_wflows -i 12', 'lpad resume_wflows -n "my workflow"'],
  verb: 'resume',
  doing: 'resuming',
  async act(launchpad, fwId) {
    await control.resumeWorkflow(launchpad, fwId);
    return undefined;
  },
});
