import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'bring defused workflows back',
  examples: ['lpad reignite_wflows -i 12', 'lpad reignite_wflows -n "my workflow"'],
  verb: 'reignite',
  doing: 'reigniting',
  async act(launchpad, fwId) {
    await control.reigniteWorkflow(launchpad, fwId);
    return undefined;
  },
});
