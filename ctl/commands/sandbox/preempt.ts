import { defineCommand } from 'citty';
import { BorealisError } from '../../../core/errors.ts';
import { note } from '../../output.ts';
import { dirFlag, requireSandbox, sandboxDir } from './place.ts';

export const examples = ['borealisctl sandbox preempt demo-0', 'borealisctl sandbox preempt demo-1 --dir /tmp/cloud'];

export default defineCommand({
  meta: { name: 'preempt', description: 'takes a VM back as Google does with spot VMs' },
  args: { vm: { type: 'positional', required: true, description: "the VM's name" }, ...dirFlag },
  async run({ args: flags }) {
    const { gcpPort, token } = await requireSandbox(sandboxDir(flags.dir));
    const response = await fetch(`http://127.0.0.1:${gcpPort}/sandbox/vms/${encodeURIComponent(flags.vm)}/preempt`, { method: 'POST', headers: { 'X-Sandbox-Token': token } });
    if (response.status === 404) throw new BorealisError(`There is no VM ${flags.vm}. See borealisctl sandbox status`);
    if (!response.ok) throw new BorealisError(`The sandbox answered ${response.status}: ${await response.text()}`);
    note(`${flags.vm} was preempted`);
  },
});
