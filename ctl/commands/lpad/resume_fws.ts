import { control } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'let paused Fireworks go on',
  examples: ['lpad resume_fws -i 12', 'lpad resume_fws -s PAUSED'],
  verb: 'resume',
  doing: 'resuming',
  act: async (launchpad, fwId) =>
    (await control.resume(launchpad, fwId)) ? undefined : `Firework ${fwId} is not PAUSED`,
});
