import { control } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'bring defused Fireworks back',
  examples: ['lpad reignite_fws -i 12', 'lpad reignite_fws -s DEFUSED'],
  verb: 'reignite',
  doing: 'reigniting',
  act: async (launchpad, fwId) =>
    (await control.reignite(launchpad, fwId)) ? undefined : `Firework ${fwId} is not DEFUSED`,
});
