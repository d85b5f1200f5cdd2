/** Who looks for lost runs: one worker at a time. What is found then is tested where it is mended, and with real workers. */
import { expect, test } from 'bun:test';
import { silent } from '../core/log.ts';
import { sweepLostRuns } from './sweep.ts';
import { testWorker, until } from './test_worker.ts';

const HASTY = { lostRunMs: 1, maxLostRuns: 5, pingMs: 10 };

test('a worker looks when the one that did is dead, and leaves it to the next when it goes', async () => {
  await using worker = await testWorker();
  const { launchpad } = worker;
  await worker.add([{ _fw_name: 'ScriptTask', script: 'true' }]);
  // Left half-way long ago: its launch has ended, and nobody has told it.
  const { launchId } = await worker.claim();
  const ended = { state: 'FIZZLED', action: null, time_end: new Date(0).toISOString() };
  await launchpad.launches.updateOne({ launch_id: launchId }, { $set: ended });
  const leases = launchpad.db.collection('borealis_leases');
  const deadUntil = Date.now() + 1700;
  await leases.insertOne({ _id: 'lost_runs' as never, by: 'a dead worker', until: new Date(deadUntil) });
  const stop = new AbortController();
  const sweeping = sweepLostRuns({ launchpad, log: silent }, stop.signal, HASTY);
  await until('it is mended', async () => (await worker.firework(1)).state === 'READY');
  expect(Date.now()).toBeGreaterThanOrEqual(deadUntil);
  expect(await leases.findOne()).toMatchObject({ _id: 'lost_runs', by: launchpad.locks.name });
  stop.abort();
  await sweeping;
  expect(await leases.findOne()).toBeNull();
});

test('a setting turns it off: then nobody asks', async () => {
  await using worker = await testWorker();
  const never = new AbortController().signal;
  await sweepLostRuns({ launchpad: worker.launchpad, log: silent }, never, { ...HASTY, lostRunMs: 0 });
  expect(await worker.launchpad.db.collection('borealis_leases').countDocuments()).toBe(0);
});
