/** VMs go home by themselves, after the task in flight. */
import { sleep } from '../../core/wait.ts';
import { progress } from '../output.ts';
import { type Fleet, named, type Target, vmCount } from './fleet.ts';

const LOOK_EVERY_MS = 2000;

/**
 * Sets quit=soon and waits until no VM is left, however long its task takes; a VM that cannot be told, or whose worker is
 * gone while the VM stays (it is TERMINATED), is not waited for.
 */
export async function drain(fleet: Fleet, vms: readonly Target[]): Promise<void> {
  const told = await fleet.compute.setMetadata(vms, { quit: 'soon' });
  if (fleet.requests) return;
  const waited = told.filter(({ error }) => !error).map(({ name }) => name);
  const line = progress();
  for (;;) {
    const left = (await named(fleet, waited)).filter(({ status }) => status && status !== 'TERMINATED');
    if (left.length === 0) break;
    line.update(`Waiting for ${vmCount(left.length)} to finish the task in flight`);
    await sleep(LOOK_EVERY_MS);
  }
  line.done();
}
