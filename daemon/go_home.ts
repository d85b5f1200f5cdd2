import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { SECOND, sleep } from '../core/wait.ts';
import type { Cloud } from './cloud.ts';

/**
 * The last thing a worker does: its VM deletes itself, unless somebody is at work on it (`stay`: --development, Ctrl-C, or
 * `systemctl stop`). After an error the VM waits a while, so that somebody can look at it. Off Google Cloud there is nothing to do.
 */
export async function goHome(o: {
  cloud: Cloud;
  log: Logger;
  exitCode: number;
  errorDelayMs: number;
  /** Asked again after a wait. */
  stay: () => Promise<boolean>;
  /** Aborted when this VM is stopping anyway: then nothing is waited for. */
  hastened: AbortSignal;
}): Promise<void> {
  const { instance } = o.cloud;
  if (!instance || (await o.stay())) return;
  if (o.exitCode !== 0) {
    o.log.warning(
      `This VM deletes itself in ${Math.round(o.errorDelayMs / SECOND)} s. To look at it, connect to it and stop the service: sudo systemctl stop fireworker`,
    );
    await sleep(o.errorDelayMs, o.hastened);
    if (await o.stay()) return;
  }
  o.log.info(`Deleting this VM, ${instance.name}`);
  try {
    await o.cloud.compute().requestDelete(instance.name);
  } catch (thrown) {
    o.log.error(
      `${messageOf(thrown)} Delete it by hand: gcloud compute instances delete ${instance.name} --zone ${instance.zone}`,
    );
  }
}
