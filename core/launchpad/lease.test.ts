import { expect, test } from 'bun:test';
import { releaseLease, takeLease } from './lease.ts';
import { testPad } from './test_pad.ts';

test('one of many has it, renews it, and gives it back', async () => {
  await using pad = await testPad();
  const many = await Promise.all(Array.from({ length: 8 }, () => pad.another()));
  const take = (forMs = 60_000) => Promise.all(many.map((one) => takeLease(one, 'work', forMs)));
  const took = await take();
  expect(took.filter(Boolean)).toHaveLength(1);
  expect(await take()).toEqual(took);
  // Another work has another lease.
  expect(await takeLease(pad.launchpad, 'other work', 60_000)).toBe(true);
  const holder = many[took.indexOf(true)];
  for (const one of many) if (one !== holder) await releaseLease(one, 'work');
  expect(await take()).toEqual(took);
  if (holder) await releaseLease(holder, 'work');
  expect(await takeLease(pad.launchpad, 'work', 60_000)).toBe(true);
});

test('a dead holder’s runs out, and one by a clock that is wrong does not count', async () => {
  await using pad = await testPad();
  const other = await pad.another();
  expect(await takeLease(other, 'work', 50)).toBe(true);
  await Bun.sleep(60);
  expect(await takeLease(pad.launchpad, 'work', 60_000)).toBe(true);
  expect(await takeLease(other, 'work', 50)).toBe(false);
  const leases = pad.launchpad.db.collection('borealis_leases');
  await leases.updateOne({ _id: 'work' as never }, { $set: { until: new Date(Date.now() + 86_400_000) } });
  expect(await takeLease(other, 'work', 60_000)).toBe(true);
});
