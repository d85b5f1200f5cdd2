import { UsageError } from '../../../core/errors.ts';
import { faultsOf } from '../../lpad/check.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'check that a workflow of the LaunchPad agrees with itself, and that every input has one source',
  examples: ['lpad check_wflow -i 12', 'lpad check_wflow -i 12 --json'],
  flags: [{ names: ['-i', '--fw_id'], key: 'fw_id', kind: 'integer', help: 'a Firework of the workflow' }],
  async run(args, session) {
    const fwId = args.number('fw_id');
    if (fwId === undefined)
      throw new UsageError('lpad check_wflow: -i is missing: a Firework of the workflow');
    const faults = await faultsOf(await session.launchpad(), fwId);
    if (session.json) printJson(faults);
    for (const fault of faults) session.log('ERROR', fault);
    if (faults.length > 0) session.log('INFO', `lpad refresh -i ${fwId} repairs states that disagree`);
    else session.log('INFO', 'The workflow is sound');
    return faults.length > 0 ? 1 : 0;
  },
};
export default command;
