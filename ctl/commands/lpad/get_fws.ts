import type { LpadCommand } from '../../lpad/command.ts';
import { showFireworks } from '../../lpad/firework_view.ts';
import { displayFlag, launchesModeFlag, orderFlags, qidFlag, selectionFlags } from '../../lpad/flags.ts';
import { count, orderOf, queryOf, shownFireworks } from '../../lpad/select.ts';
import { show } from '../../lpad/show.ts';

const command: LpadCommand = {
  summary: 'show Fireworks',
  examples: ['lpad get_fws -s FIZZLED -d more', `lpad get_fws -q '{"spec.seed": 7}' -d ids`],
  flags: [...selectionFlags(), launchesModeFlag, qidFlag, displayFlag('less'), ...orderFlags],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const display = args.text('display_format') as string;
    if (display === 'count' && !args.on('launches_mode') && !args.values.has('qid')) {
      const query = queryOf(args, { idField: 'fw_id', one: true });
      await show([await count(launchpad.fireworks, query, orderOf(args))], session.output);
    } else await showFireworks(launchpad, await shownFireworks(launchpad, args), display, session.output);
    return 0;
  },
};
export default command;
