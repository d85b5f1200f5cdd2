import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/wait.ts';
import type { Cloud } from './cloud.ts';
import type { WorkerSettings } from './settings.ts';

/**
 * The last thing a worker does: its VM deletes itself, unless somebody is at work on it (`stay`: --development, or Ctrl-C).
 * After an error the VM waits a while, so that somebody can look at it. Off Google Cloud there is nothing to do.
 */
export async function goHome(o: {
  cloud: Cloud;
  settings: WorkerSettings;
  log: Logger;
  exitCode: number;
  stay: boolean;
  /** Aborted when this VM is stopping anyway: then nothing is waited for. */
  hastened: AbortSignal;
}): Promise<void> {
  const { instance } = o.cloud;
  if (!instance || o.stay) return;
  if (o.exitCode !== 0) {
    o.log.warning(
      `This VM deletes itself in ${o.settings.errorDeleteDelayMs / 60_000} min. To look at it, connect to it and stop the service: systemctl stop fireworker`,
    );
    await sleep(o.settings.errorDeleteDelayMs, o.hastened);
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
