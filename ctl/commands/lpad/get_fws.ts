import { UsageError } from '../../../core/errors.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { fireworkDicts, type Level } from '../../lpad/firework_view.ts';
import { displayFlag, launchesModeFlag, orderFlags, qidFlag, selectionFlags } from '../../lpad/flags.ts';
import { count, fireworkIds, idsByLaunch, idsByReservation, orderOf, queryOf } from '../../lpad/select.ts';
import { show } from '../../lpad/show.ts';

const command: LpadCommand = {
  summary: 'show Fireworks',
  examples: ['lpad get_fws -s FIZZLED -d more', `lpad get_fws -q '{"spec.seed": 7}' -d ids`],
  flags: [...selectionFlags(), launchesModeFlag, qidFlag, displayFlag('less'), ...orderFlags],
  async run(args, session) {
    const qid = args.text('qid');
    if (qid !== undefined && (args.values.has('fw_id') || args.values.has('name')))
      throw new UsageError('Give one of fw_id, name and qid');
    const query = queryOf(args, { idField: 'fw_id', one: true });
    const order = orderOf(args);
    const launchpad = await session.launchpad();
    const byLaunch = args.on('launches_mode');
    const display = args.text('display_format') as string;
    if (display === 'count' && !byLaunch && qid === undefined) {
      await show([await count(launchpad.fireworks, query, order)], session.output);
      return 0;
    }
    if (qid !== undefined) query.fw_id = { $in: await idsByReservation(launchpad, qid) };
    const ids = await (byLaunch ? idsByLaunch : fireworkIds)(launchpad, query, order);
    if (display === 'count') await show([ids.length], session.output);
    else if (display === 'ids') await show(ids, session.output);
    else {
      const level = (display === 'reservations' ? 'all' : display) as Level;
      await show(fireworkDicts(launchpad, ids, level), session.output);
    }
    return 0;
  },
};
export default command;
