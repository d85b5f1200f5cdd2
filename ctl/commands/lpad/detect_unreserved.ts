import {
  cancelReservation,
  RESERVATION_EXPIRATION_SECS,
  staleReservations,
} from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { showFireworks } from '../../lpad/firework_view.ts';
import { displayFlag } from '../../lpad/flags.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'find reservations that wait in a queue for too long, and take them back if asked to',
  examples: ['lpad detect_unreserved', 'lpad detect_unreserved --time 86400 --rerun'],
  flags: [
    {
      names: ['--time'],
      key: 'time',
      kind: 'integer',
      standard: RESERVATION_EXPIRATION_SECS,
      help: 'so many seconds are too long',
    },
    { names: ['--rerun'], key: 'rerun', kind: 'switch', help: 'take them back: others can run them' },
    displayFlag(),
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const stale = await staleReservations(launchpad, args.number('time'));
    const fwIds = stale.map(({ fwId }) => fwId);
    const launchIds = stale.map(({ launchId }) => launchId);
    const display = args.text('display_format') ?? 'none';
    if (display !== 'none' && !session.json) await showFireworks(launchpad, fwIds, display, session.output);
    for (const id of args.on('rerun') ? launchIds : []) await cancelReservation(launchpad, id);
    if (session.json) printJson({ launch_ids: launchIds, fw_ids: fwIds, cancelled: args.on('rerun') });
    else printLine(`[${launchIds.join(', ')}]`);
    return 0;
  },
};
export default command;
