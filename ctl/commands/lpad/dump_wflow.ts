import { UsageError } from '../../../core/errors.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { dumpWorkflow } from '../../lpad/dump.ts';

const command: LpadCommand = {
  summary: 'write a workflow of the LaunchPad to a file',
  examples: ['lpad dump_wflow -i 12 -f workflow.yaml', 'lpad dump_wflow -i 12 -f workflow.json'],
  flags: [
    { names: ['-i', '--fw_id'], key: 'fw_id', kind: 'integer', help: 'a Firework of the workflow' },
    { names: ['-f', '--wf_file'], key: 'wf_file', kind: 'text', help: 'the file: .json or .yaml' },
  ],
  async run(args, session) {
    const fwId = args.number('fw_id');
    if (fwId === undefined)
      throw new UsageError('lpad dump_wflow: -i is missing: a Firework of the workflow');
    const file = args.need('wf_file', 'lpad dump_wflow: -f FILE is missing');
    const format = /\.(json|yaml|yml)$/.exec(file)?.[1];
    if (!format) throw new UsageError(`lpad dump_wflow: -f ${file}: its name must end in .json or .yaml`);
    await dumpWorkflow(await session.launchpad(), fwId, file, format === 'json' ? 'json' : 'yaml');
    return 0;
  },
};
export default command;
