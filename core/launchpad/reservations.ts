/** Launches that wait in a queue: `LaunchPad.reserve_fw` and `cancel_reservation`. */
import { BorealisError } from '../errors.ts';
import { type Claim, type ClaimOptions, checkOut } from './claim.ts';
import type { LaunchPad } from './launchpad.ts';
import type { FWorker } from './model.ts';
import { rerun } from './rerun.ts';
import { type Doc, isoTime, numberOf } from './values.ts';

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

/** FireWorks' `RESERVATION_EXPIRATION_SECS`: a job may wait in a queue for two weeks. */
export const RESERVATION_EXPIRATION_SECS = 14 * 24 * 3600;

/** The launches whose reservation was not touched for so long, of Fireworks that still wait for it (`detect_unreserved`). */
export async function staleReservations(
  { launches, fireworks }: LaunchPad,
  olderThanSecs = RESERVATION_EXPIRATION_SECS,
): Promise<{ launchId: number; fwId: number }[]> {
  const cutoff = isoTime(new Date(Date.now() - olderThanSecs * 1000));
  const stale = { $elemMatch: { state: 'RESERVED', updated_on: { $lte: cutoff } } };
  const found = launches.find(
    { state: 'RESERVED', state_history: stale },
    { projection: { launch_id: 1, fw_id: 1, _id: 0 } },
  );
  const candidates: { launchId: number; fwId: number }[] = [];
  for await (const { launch_id, fw_id } of found)
    candidates.push({ launchId: numberOf(launch_id), fwId: numberOf(fw_id) });
  const waiting = new Set<number>();
  for (let i = 0; i < candidates.length; i += CHUNK) {
    const ids = candidates.slice(i, i + CHUNK).map(({ fwId }) => fwId);
    const query = { fw_id: { $in: ids }, state: 'RESERVED' };
    for await (const { fw_id } of fireworks.find(query, { projection: { fw_id: 1, _id: 0 } }))
      waiting.add(numberOf(fw_id));
  }
  return candidates.filter(({ fwId }) => waiting.has(fwId));
}

const CHUNK = 1000;

/**
 * The launch that a queue knows as `reservationId`; with `only: 'RESERVED'` one that still waits there. Python writes these
 * ids as strings, whatever the queue.
 */
export async function launchOfReservation(
  { launches }: LaunchPad,
  reservationId: string,
  only?: 'RESERVED',
): Promise<number | null> {
  const query = { 'state_history.reservation_id': reservationId, ...(only && { state: only }) };
  const launch = await launches.findOne(query, { projection: { launch_id: 1, _id: 0 } });
  return launch && numberOf(launch.launch_id);
}

/** The reservation id of each Firework's current launches, as the queue knows it; null where there is none. */
export async function reservationIds(
  { fireworks, launches }: LaunchPad,
  fwIds: readonly number[],
): Promise<Map<number, string | null>> {
  const found = new Map<number, string | null>(fwIds.map((id) => [id, null]));
  const own = new Map<number, number>();
  const fields = { projection: { fw_id: 1, launches: 1, _id: 0 } };
  for await (const firework of fireworks.find({ fw_id: { $in: [...fwIds] } }, fields))
    for (const id of firework.launches) own.set(numberOf(id), numberOf(firework.fw_id));
  const query = { launch_id: { $in: [...own.keys()] }, 'state_history.reservation_id': { $exists: true } };
  const projection = { launch_id: 1, 'state_history.reservation_id': 1, _id: 0 };
  for await (const launch of launches.find(query, { projection, sort: { launch_id: 1 } })) {
    const fwId = own.get(numberOf(launch.launch_id)) as number;
    const id = launch.state_history.find((entry: Doc) => entry.reservation_id !== undefined)?.reservation_id;
    found.set(fwId, found.get(fwId) ?? String(id));
  }
  return found;
}

/** Notes under which id a queue knows a reservation (`set_reservation_id`). */
export async function setReservationId(
  { launches }: LaunchPad,
  launchId: number,
  reservationId: string,
): Promise<void> {
  const fresh = { $elemMatch: { state: 'RESERVED', reservation_id: { $exists: false } } };
  await launches.updateOne(
    { launch_id: launchId, state_history: fresh },
    { $set: { 'state_history.$.reservation_id': reservationId } },
  );
}
