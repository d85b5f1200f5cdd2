import { UsageError } from '../../../core/errors.ts';
import { reservationIds } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'the ids under which a queue knows Fireworks that are reserved',
  examples: ['lpad get_qids -i 12', 'lpad get_qids -i 12,13 --json'],
  flags: [{ names: ['-i', '--fw_id'], key: 'fw_id', kind: 'ids', help: 'fw_id, or several: 1,2,3' }],
  async run(args, session) {
    const fwIds = args.ids('fw_id');
    if (!fwIds) throw new UsageError('lpad get_qids: -i is missing: the Fireworks');
    const found = await reservationIds(await session.launchpad(), fwIds);
    if (session.json) printJson(fwIds.map((fw_id) => ({ fw_id, reservation_id: found.get(fw_id) ?? null })));
    // Python's word for nothing, which scripts look for.
    else for (const fwId of fwIds) printLine(found.get(fwId) ?? 'None');
    return 0;
  },
};
export default command;
