import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

export default changeWorkflows({
  summary: 'take the lock of workflows away and repair them; their holder must be dead',
  examples: ['lpad admin unlock -i 12', `lpad unlock -q '{"locked": true}'`],
  verb: 'unlock',
  doing: 'unlocking',
  async act(launchpad, fwId) {
    await control.unlock(launchpad, fwId);
    return undefined;
  },
});
