import { control } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'take Fireworks, and so what waits for them, out of the game',
  examples: ['lpad defuse_fws -i 12', 'lpad defuse_fws -s FIZZLED'],
  verb: 'defuse',
  doing: 'defusing',
  act: async (launchpad, fwId) =>
    (await control.defuse(launchpad, fwId))
      ? undefined
      : `Firework ${fwId} cannot be defused: it is ARCHIVED`,
});
