import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import {
  cancelReservation,
  launchOfReservation,
  reservationIds,
  reserve,
  setReservationId,
  staleReservations,
} from './reservations.ts';
import { testPad } from './test_pad.ts';
import { isoTime } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };

async function reserved(launchpad: LaunchPad, count: number): Promise<void> {
  const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
  await addWorkflows(
    launchpad,
    Array.from({ length: count }, () => newWorkflow({ spec })),
  );
  for (let i = 0; i < count; i++) await reserve(launchpad, worker, dir);
}

test('a cancelled one is kept as READY in the history, and its Firework can be taken', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await reserved(launchpad, 1);
  await cancelReservation(launchpad, 1);
  expect(await launchpad.launches.findOne({})).toMatchObject({
    state: 'READY',
    state_history: [{ state: 'RESERVED' }, { state: 'READY' }],
  });
  expect(await launchpad.fireworks.findOne({})).toMatchObject({ state: 'READY', archived_launches: [1] });
  expect(await violations(launchpad)).toEqual([]);
  expect((await claim(launchpad, worker, dir))?.launchId).toBe(2);
});

test('what runs, or is not there, is no reservation', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await reserved(launchpad, 1);
  await claim(launchpad, worker, { ...dir, fwId: 1 });
  for (const id of [1, 2])
    await expect(cancelReservation(launchpad, id)).rejects.toThrow(
      `Launch ${id} is no reservation that can be cancelled`,
    );
  expect((await launchpad.fireworks.findOne({}))?.state).toBe('RUNNING');
});

test('those that wait for longer than is said are found', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await reserved(launchpad, 3);
  const old = isoTime(new Date(Date.now() - 15 * 24 * 3600 * 1000));
  await launchpad.launches.updateMany(
    { launch_id: { $in: [1, 2] } },
    { $set: { 'state_history.0.updated_on': old } },
  );
  // Its job has started.
  await claim(launchpad, worker, { ...dir, fwId: 2 });
  expect(await staleReservations(launchpad)).toEqual([{ launchId: 1, fwId: 1 }]);
  expect(await staleReservations(launchpad, -1)).toEqual([
    { launchId: 1, fwId: 1 },
    { launchId: 3, fwId: 3 },
  ]);
});

test('the ids that a queue gives them', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await reserved(launchpad, 2);
  await setReservationId(launchpad, 1, '4711');
  await setReservationId(launchpad, 1, 'not twice');
  expect(await reservationIds(launchpad, [1, 2, 9])).toEqual(
    new Map([
      [1, '4711'],
      [2, null],
      [9, null],
    ]),
  );
  expect(await launchOfReservation(launchpad, '4711')).toBe(1);
  expect(await launchOfReservation(launchpad, '4711', 'RESERVED')).toBe(1);
  await claim(launchpad, worker, { ...dir, fwId: 1 });
  expect(await launchOfReservation(launchpad, '4711', 'RESERVED')).toBeNull();
  expect(await launchOfReservation(launchpad, '1')).toBeNull();
  // It stays with the launch that the reservation became.
  expect((await reservationIds(launchpad, [1])).get(1)).toBe('4711');
});
