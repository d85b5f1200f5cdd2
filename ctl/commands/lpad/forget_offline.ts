import { forgetOffline } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'stop waiting for the offline runs of Fireworks: recover_offline passes them over',
  examples: ['lpad forget_offline -i 12', 'lpad forget_offline -n simulation'],
  verb: 'forget the offline runs of',
  doing: 'forget_offline of',
  async act(launchpad, fwId) {
    await forgetOffline(launchpad, { fw_id: fwId });
    return undefined;
  },
});
