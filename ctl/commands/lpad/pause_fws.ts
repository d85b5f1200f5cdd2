import { control } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'hold Fireworks that have not started',
  examples: ['lpad pause_fws -i 12', 'lpad pause_fws -s READY -n simulation'],
  verb: 'pause',
  doing: 'pausing',
  act: async (launchpad, fwId) =>
    (await control.pause(launchpad, fwId))
      ? undefined
      : `Firework ${fwId} cannot be paused: only WAITING, READY and RESERVED ones can`,
});
