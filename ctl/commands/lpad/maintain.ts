import {
  cancelReservation,
  detectLostRuns,
  type LaunchPad,
  staleReservations,
} from '../../../core/launchpad/index.ts';
import { SECOND, sleep } from '../../../core/wait.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import type { Session } from '../../lpad/session.ts';
import { printJsonLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'end lost runs as FIZZLED, and take back reservations that wait for too long',
  examples: ['lpad admin maintain', 'lpad maintain --infinite --maintain_interval 600'],
  flags: [
    { names: ['--infinite'], key: 'infinite', kind: 'switch', help: 'again and again, until Ctrl-C' },
    {
      names: ['--maintain_interval'],
      key: 'maintain_interval',
      kind: 'integer',
      standard: 120,
      help: 'seconds between two rounds',
    },
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const interval = (args.number('maintain_interval') || 120) * SECOND;
    const stop = new AbortController();
    if (args.on('infinite'))
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
    do await maintainOnce(launchpad, session);
    while (args.on('infinite') && (await sleep(interval, stop.signal)));
    return 0;
  },
};
export default command;

async function maintainOnce(launchpad: LaunchPad, session: Session): Promise<void> {
  session.log('INFO', 'Performing maintenance on Launchpad...');
  session.log('DEBUG', 'Tracking down FIZZLED jobs...');
  const { launchIds, fwIds, inconsistentFwIds } = await detectLostRuns(launchpad, { fizzle: true });
  const tell = (what: string, ids: readonly number[]) => {
    if (ids.length > 0) session.log('INFO', `${what.replace('#', String(ids.length))}: [${ids.join(', ')}]`);
  };
  tell('Detected # FIZZLED launches', launchIds);
  tell('Detected # FIZZLED FWs', fwIds);
  tell('Detected # FIZZLED inconsistent fireworks', inconsistentFwIds);
  session.log('DEBUG', 'Tracking down stuck RESERVED jobs...');
  const unreserved = (await staleReservations(launchpad)).map(({ launchId }) => launchId);
  for (const launchId of unreserved) await cancelReservation(launchpad, launchId);
  tell('Unreserved # RESERVED launches', unreserved);
  session.log('INFO', 'LaunchPad was MAINTAINED.');
  if (!session.json) return;
  const lost = { lost_launch_ids: launchIds, lost_fw_ids: fwIds, inconsistent_fw_ids: inconsistentFwIds };
  printJsonLine({ ...lost, unreserved_launch_ids: unreserved });
}
