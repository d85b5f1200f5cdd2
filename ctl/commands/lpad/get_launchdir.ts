import { BorealisError } from '../../../core/errors.ts';
import { numberOf } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'the folder of the last launch of a Firework',
  examples: ['cd $(lpad get_launchdir 12)', 'lpad get_launchdir 12 --launch_idx 0'],
  words: [{ key: 'fw_id', title: 'FW_ID', kind: 'integer', help: 'the Firework' }],
  flags: [
    {
      names: ['--launch_idx'],
      key: 'launch_idx',
      kind: 'integer',
      standard: -1,
      help: 'which of its launches, from 0; -1 is the last',
    },
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const fwId = args.number('fw_id') as number;
    const index = args.number('launch_idx') ?? -1;
    const firework = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection: { launches: 1 } });
    if (!firework) throw new BorealisError(`There is no Firework with fw_id ${fwId}`);
    const ids = (firework.launches as unknown[]).map(numberOf).sort((a, b) => a - b);
    const id = ids.at(index);
    if (ids.length > 0 && id === undefined)
      throw new BorealisError(`Firework ${fwId} has ${ids.length} launches: there is none at ${index}`);
    const launch = id === undefined ? null : await launchpad.launches.findOne({ launch_id: id });
    if (session.json) printJson(launch?.launch_dir ?? null);
    // Python's word for nothing, which scripts look for.
    else printLine(String(launch?.launch_dir ?? 'None'));
    return 0;
  },
};
export default command;
