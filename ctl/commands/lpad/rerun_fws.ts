import { UsageError } from '../../../core/errors.ts';
import { rerun } from '../../../core/launchpad/index.ts';
import type { Args } from '../../lpad/arguments.ts';
import { changeFireworks } from '../../lpad/change.ts';

export default changeFireworks({
  summary: 'run Fireworks again, and what comes after them',
  examples: ['lpad rerun_fws -s FIZZLED', 'lpad rerun_fws -i 12 --task-level --copy-data'],
  verb: 'rerun',
  doing: 'setting to rerun',
  flags: [
    {
      names: ['--task-level'],
      key: 'task_level',
      kind: 'switch',
      help: 'begin at the Firetask that did not end',
    },
    {
      names: ['-lid', '--launch_id'],
      key: 'launch_id',
      kind: 'integers',
      help: 'the launch to recover, one for each Firework (default: its last one)',
    },
    {
      names: ['-cp', '--copy-data'],
      key: 'copy_data',
      kind: 'switch',
      help: 'copy the files of the recovered launch to the new folder',
    },
    {
      names: ['-pd', '--previous-dir'],
      key: 'previous_dir',
      kind: 'switch',
      help: 'run in the folder of the recovered launch',
    },
  ],
  check(args, ids) {
    const recovers = args.on('task_level');
    const needy = ['launch_id', 'copy_data', 'previous_dir'].find((key) => args.values.has(key));
    if (needy && !recovers) throw new UsageError(`lpad rerun_fws: --${needy} needs --task-level`);
    if (args.on('copy_data') && args.on('previous_dir'))
      throw new UsageError('lpad rerun_fws: give one of --copy-data and --previous-dir');
    const launches = args.ids('launch_id');
    if (launches && launches.length !== ids.length)
      throw new UsageError(`lpad rerun_fws: ${ids.length} Fireworks, but ${launches.length} launch ids`);
  },
  async act(launchpad, fwId, args, at) {
    if ((await rerun(launchpad, fwId, recovery(args, at))).length > 0) return undefined;
    const firework = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection: { state: 1 } });
    // It will run anyway: nothing to complain of.
    return firework?.state === 'WAITING'
      ? undefined
      : `Firework ${fwId} cannot be rerun: it is ${firework?.state}`;
  },
});

function recovery(args: Args, at: number) {
  if (!args.on('task_level')) return {};
  const recoverMode = args.on('copy_data')
    ? ('cp' as const)
    : args.on('previous_dir')
      ? ('prev_dir' as const)
      : null;
  return { recover: args.ids('launch_id')?.[at] ?? ('last' as const), recoverMode };
}
