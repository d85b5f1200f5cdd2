import { rerun } from '../../../core/launchpad/index.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'run Fireworks again, and what comes after them',
  examples: ['lpad rerun_fws -i 12', 'lpad rerun_fws -s FIZZLED'],
  verb: 'rerun',
  doing: 'setting to rerun',
  async act(launchpad, fwId) {
    if ((await rerun(launchpad, fwId)).length > 0) return undefined;
    const firework = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection: { state: 1 } });
    // It will run anyway: nothing to complain of.
    return firework?.state === 'WAITING'
      ? undefined
      : `Firework ${fwId} cannot be rerun: it is ${firework?.state}`;
  },
});
