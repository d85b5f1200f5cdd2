import { rm } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { BorealisError } from '../../../core/errors.ts';
import { SECOND, sleep } from '../../../core/wait.ts';
import { isAlive } from '../../../sandbox/gcp/processes.ts';
import { sweepVms } from '../../../sandbox/gcp/vms.ts';
import { runningSandbox, type SandboxRecord } from '../../../sandbox/sandbox.ts';
import { printLine, progress } from '../../output.ts';
import { dirFlag, sandboxDir } from '../../sandbox/place.ts';

export const examples = ['borealisctl sandbox down', 'borealisctl sandbox down --dir /tmp/try --purge'];

/** VMs have 10 s to finish; the rest is slack for a busy machine. */
const PATIENCE_MS = 25 * SECOND;

export default defineCommand({
  meta: { name: 'down', description: 'stops the sandbox and its VMs; does nothing when none runs' },
  args: {
    dir: dirFlag,
    purge: { type: 'boolean', description: 'delete its folder too: LaunchPad, buckets, logs' },
  },
  async run({ args }) {
    const dir = sandboxDir(args.dir);
    const record = await runningSandbox(dir);
    if (record) await stop(record);
    // A sandbox that was killed leaves its VMs: they go too.
    await sweepVms(dir);
    await rm(`${dir}/sandbox.json`, { force: true });
    if (args.purge) await rm(dir, { recursive: true, force: true });
    printLine(record ? `The sandbox in ${dir} is gone` : `No sandbox runs in ${dir}`);
    return 0;
  },
});

async function stop(record: SandboxRecord): Promise<void> {
  const line = progress();
  line.update('Stopping the VMs and the servers');
  process.kill(record.pid, 'SIGTERM');
  for (const until = Date.now() + PATIENCE_MS; isAlive(record); await sleep(50)) {
    if (Date.now() < until) continue;
    process.kill(record.pid, 'SIGKILL');
    await sleep(500);
    if (isAlive(record)) throw new BorealisError(`Process ${record.pid} does not end`);
  }
  line.done();
}
