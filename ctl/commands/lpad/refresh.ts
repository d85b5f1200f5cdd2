import { changeWorkflows } from '../../lpad/change.ts';
import { refreshWorkflow } from '../../lpad/repair.ts';

export default changeWorkflows({
  summary: 'work out the states of whole workflows again (hardly ever needed)',
  examples: ['lpad admin refresh -i 12', 'lpad refresh -s RUNNING'],
  verb: 'refresh',
  doing: 'refreshing',
  async act(launchpad, fwId) {
    await refreshWorkflow(launchpad, fwId);
    return undefined;
  },
});
