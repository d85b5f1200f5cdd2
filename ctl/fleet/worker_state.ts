import type { Vm } from '../../core/cloud/compute.ts';
import type { Flight } from './in_flight.ts';

/**
 * What the worker of a VM does, as far as it can be seen from outside:
 *
 *     booting    the VM is not RUNNING yet
 *     flying     a Firework is RUNNING on it
 *     idle       none is
 *     finishing  it flies, and was told to quit soon; `leaving`: the same without a flight
 *     last       it was told to quit when nothing is READY
 *     gone       the VM is stopping or has stopped
 *     ?          nobody knows: the LaunchPad was not asked, or did not answer
 */
export type WorkerState = 'booting' | 'flying' | 'idle' | 'finishing' | 'leaving' | 'last' | 'gone' | '?';

/** `flights` are null when the LaunchPad is not known. */
export function workerState(
  { status, metadata }: Pick<Vm, 'status' | 'metadata'>,
  flights: readonly Flight[] | null,
): WorkerState {
  if (/^(PROVISIONING|STAGING|PENDING)$/.test(status)) return 'booting';
  if (status !== 'RUNNING') return 'gone';
  const flies = flights && flights.length > 0;
  if (metadata.quit === 'soon') return flies ? 'finishing' : 'leaving';
  if (flies) return 'flying';
  if (metadata.quit === 'when-idle') return 'last';
  return flights ? 'idle' : '?';
}
