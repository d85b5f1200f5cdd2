import { deleteFireworks, orphansAmong } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { showFireworks } from '../../lpad/firework_view.ts';
import {
  consentFlags,
  displayFlag,
  launchDirsFlag,
  launchesModeFlag,
  orderFlags,
  qidFlag,
  selectionFlags,
} from '../../lpad/flags.ts';
import { shownFireworks } from '../../lpad/select.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'find Fireworks that are in no workflow, and delete them if asked to',
  examples: ['lpad admin orphaned -d ids', 'lpad orphaned --remove'],
  flags: [
    ...selectionFlags(),
    launchesModeFlag,
    qidFlag,
    displayFlag('less'),
    ...orderFlags,
    { names: ['--remove'], key: 'remove', kind: 'switch', help: 'delete them' },
    launchDirsFlag,
    ...consentFlags,
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const orphans = await orphansAmong(launchpad, await shownFireworks(launchpad, args));
    if (!args.on('remove')) {
      await showFireworks(launchpad, orphans, args.text('display_format') as string, session.output);
      return 0;
    }
    session.log('INFO', `Found ${orphans.length} orphaned fw_ids: [${orphans.join(', ')}]`);
    await session.confirm(orphans.length, `delete ${orphans.length} orphaned Fireworks`, args);
    const deleted = await deleteFireworks(launchpad, orphans, args.on('delete_launch_dirs'));
    session.log('INFO', `Deleted ${deleted.fireworks} FWs and ${deleted.launches} launches`);
    if (session.json) printJson({ fw_ids: orphans });
    return 0;
  },
};
export default command;
