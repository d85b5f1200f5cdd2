/** Launches that wait in a queue: `LaunchPad.reserve_fw` and `cancel_reservation`. */
import { BorealisError } from '../errors.ts';
import { type Claim, type ClaimOptions, checkOut } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import type { FWorker } from './model.ts';
import { rerun } from './rerun.ts';
import { isoTime, numberOf } from './values.ts';

/** Checks a Firework out for a run that begins later, with `claim` of the same Firework. Null: none is READY. */
export async function reserve(
  launchpad: LaunchPad,
  fworker: FWorker,
  o: ClaimOptions,
): Promise<Claim | null> {
  return await checkOut(launchpad, fworker, o, 'RESERVED');
}

/**
 * Takes a reservation back: its launch is kept in the history as READY, which is what FireWorks calls it, and the Firework
 * can be claimed again. A crash in between leaves a RESERVED Firework whose launch is READY; `lpad rerun_fws` frees it.
 */
export async function cancelReservation(launchpad: LaunchPad, launchId: number): Promise<void> {
  const { matchedCount } = await launchpad.launches.updateOne(
    { launch_id: launchId, state: 'RESERVED' },
    {
      $set: { state: 'READY' },
      $push: { state_history: { state: 'READY', created_on: isoTime() } as never },
    },
  );
  if (matchedCount === 0)
    throw new BorealisError(`Launch ${launchId} is no reservation that can be cancelled`);
  const holders = { launches: launchId, state: 'RESERVED' };
  for await (const { fw_id } of launchpad.fireworks.find(holders, { projection: { fw_id: 1 } }))
    await rerun(launchpad, numberOf(fw_id), { withDuplicates: false });
}
