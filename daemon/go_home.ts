import { isPassing } from '../core/cloud/api_error.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { RetryPolicy } from '../core/retry.ts';
import { MINUTE, SECOND, sleep, unlessAborted } from '../core/wait.ts';
import type { Cloud } from './cloud.ts';

/** A VM that is not deleted costs money, and its worker has nothing else to do. */
const DELETION: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: MINUTE,
  deadlineMs: 24 * 60 * MINUTE,
};

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
  const deletion = o.cloud.compute().requestDelete(instance.name, DELETION);
  try {
    // One that is told to stop while it insists leaves it to whoever told it.
    await (o.hastened.aborted ? deletion : unlessAborted(o.hastened, deletion));
  } catch (thrown) {
    o.log.error(
      `${messageOf(thrown)} Delete it by hand: gcloud compute instances delete ${instance.name} --zone ${instance.zone}`,
    );
  }
}
