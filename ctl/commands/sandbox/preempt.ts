import { defineCommand } from 'citty';
import { BorealisError } from '../../../core/errors.ts';
import { printLine, progress } from '../../output.ts';
import { askSandbox } from '../../sandbox/ask.ts';
import { dirFlag, mustRun, sandboxDir } from '../../sandbox/place.ts';

export const examples = [
  'borealisctl sandbox preempt demo-0',
  'borealisctl sandbox preempt demo-0 --dir /tmp/try',
];

export default defineCommand({
  meta: {
    name: 'preempt',
    description: 'takes a VM away as Google does with spot VMs: a notice, then at most 30 s',
  },
  args: {
    vm: { type: 'positional', required: true, description: 'name of the VM' },
    dir: dirFlag,
  },
  async run({ args }) {
    const record = await mustRun(sandboxDir(args.dir));
    const status = await askSandbox(record, 'GET', '/sandbox/status');
    const { vms } = (await status.json()) as { vms: { name: string }[] };
    if (!vms.some(({ name }) => name === args.vm)) {
      const names = vms.map(({ name }) => name).join(', ');
      throw new BorealisError(
        `There is no VM ${args.vm}. ${names ? `There are: ${names}` : 'There are none'}`,
      );
    }
    const line = progress();
    line.update(`Preempting ${args.vm}`);
    await askSandbox(record, 'POST', `/sandbox/vms/${encodeURIComponent(args.vm)}/preempt`);
    line.done();
    printLine(`${args.vm} was preempted`);
    return 0;
  },
});
