import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';
import { orderOf, selectedWorkflows, selects, workflowIds } from '../../lpad/select.ts';

export default changeWorkflows({
  summary:
    'take the lock of workflows away and repair them; their holder must be dead. Without a selection: of all',
  examples: ['lpad admin unlock -i 12', 'lpad unlock --yes'],
  verb: 'unlock',
  doing: 'unlocking',
  // To unlock what is not locked changes nothing: of a whole database only the others are looked at.
  select: (launchpad, args) =>
    selects(args)
      ? selectedWorkflows(launchpad, args)
      : workflowIds(launchpad, { locked: { $exists: true } }, orderOf(args)),
  async act(launchpad, fwId) {
    await control.unlock(launchpad, fwId);
    return undefined;
  },
});
