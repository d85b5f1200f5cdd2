import { control } from '../../../core/launchpad/index.ts';
import { changeWorkflows } from '../../lpad/change.ts';

// FireWorks 2.1.4 calls its pause here, by mistake.
export default changeWorkflows({
  summary: 'take whole workflows out of the game',
  examples: ['lpad defuse_wflows -i 12', 'lpad defuse_wflows -n "my workflow" --defuse_all_states'],
  verb: 'defuse',
  doing: 'defusing',
  flags: [
    {
      names: ['--defuse_all_states'],
      key: 'defuse_all_states',
      kind: 'switch',
      help: 'also Fireworks that are COMPLETED or FIZZLED',
    },
  ],
  async act(launchpad, fwId, args) {
    await control.defuseWorkflow(launchpad, fwId, args.on('defuse_all_states'));
    return undefined;
  },
  remark: (args) =>
    args.on('defuse_all_states')
      ? undefined
      : 'Note: FIZZLED and COMPLETED FWs were left as they are. Use --defuse_all_states to defuse them too (or rerun FIZZLED ones first)',
});
