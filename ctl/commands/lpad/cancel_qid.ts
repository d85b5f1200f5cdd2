import { UsageError } from '../../../core/errors.ts';
import { cancelReservation, launchOfReservation } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { qidFlag } from '../../lpad/flags.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary:
    'take a reservation back: its Firework can be claimed again (the job in the queue is yours to remove)',
  examples: ['lpad cancel_qid --qid 4711', 'qdel 4711 && lpad cancel_qid --qid 4711 --json'],
  flags: [qidFlag],
  async run(args, session) {
    const qid = args.text('qid');
    if (qid === undefined) throw new UsageError('lpad cancel_qid: --qid is missing: the id in the queue');
    const launchpad = await session.launchpad();
    session.log('WARNING', 'The job stays in the queue: remove it there too (qdel, scancel...)');
    const launchId = await launchOfReservation(launchpad, qid, 'RESERVED');
    if (launchId === null) session.log('INFO', `Can't find any reserved jobs with reservation id: ${qid}`);
    else await cancelReservation(launchpad, launchId);
    if (session.json) printJson({ reservation_id: qid, cancelled_launch_id: launchId });
    return 0;
  },
};
export default command;
