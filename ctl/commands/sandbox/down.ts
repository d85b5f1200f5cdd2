import { rm } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { BorealisError } from '../../../core/errors.ts';
import { sleep } from '../../../core/wait.ts';
import { isAlive } from '../../../sandbox/gcp/processes.ts';
import { sweepVms } from '../../../sandbox/gcp/vms.ts';
import { runningSandbox } from '../../../sandbox/sandbox.ts';
import { note, progress } from '../../output.ts';
import { dirFlag, sandboxDir } from './place.ts';

export const examples = ['borealisctl sandbox down', 'borealisctl sandbox down --dir /tmp/cloud --purge'];

export default defineCommand({
  meta: { name: 'down', description: 'stops the sandbox and its VMs; what is stored stays' },
  args: { ...dirFlag, purge: { type: 'boolean', description: 'delete the folder as well' } },
  async run({ args: flags }) {
    const dir = sandboxDir(flags.dir);
    const record = await runningSandbox(dir);
    if (record) {
      const line = progress();
      line.update('Stopping the sandbox');
      process.kill(record.pid, 'SIGTERM');
      // Its VMs get 10 s to give back what they run.
      for (const end = Date.now() + 30_000; isAlive(record); await sleep(50)) {
        if (Date.now() > end) throw new BorealisError(`The sandbox (process ${record.pid}) does not stop: kill -9 ${record.pid}, then run this again`);
      }
      line.done();
    }
    // One that was killed outright leaves its VMs.
    const left = await sweepVms(dir);
    note(record ? 'The sandbox is stopped' : `No sandbox runs in ${dir}${left > 0 ? `; stopped ${left} VMs that one left` : ''}`);
    if (flags.purge) await rm(dir, { recursive: true, force: true });
  },
});
