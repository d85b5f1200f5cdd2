/** What a worker that has nothing to do asks of its LaunchPad, by the server's own count. */
import { expect, test } from 'bun:test';
import { SECOND, sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine, until } from './one_machine.ts';

/** How often each command was run so far. Of the test's own questions nothing is left out but this one. */
async function commandsOf({ launchpad }: OneMachine): Promise<Map<string, number>> {
  const { metrics } = await launchpad.db.admin().command({ serverStatus: 1 });
  const counts = Object.entries(metrics.commands as Record<string, { total: unknown }>);
  return new Map(counts.map(([name, { total }]) => [name, Number(total)]));
}

/** The commands that the server gets in so many seconds. */
async function commandsIn(machine: OneMachine, seconds: number): Promise<Record<string, number>> {
  const before = await commandsOf(machine);
  await sleep(seconds * SECOND);
  const after = [...(await commandsOf(machine))];
  const grown = after.map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([name, n]) => n > 0 && name !== 'serverStatus'));
}

test('an idle worker asks less than once a second, and takes what comes', async () => {
  await using machine = await oneMachine();
  const worker = await machine.worker('idler');
  const looks = async () => (await commandsOf(machine)).get('findAndModify') ?? 0;
  await until('the worker looks for work', async () => (await looks()) > 0);
  const first = await commandsIn(machine, 8);
  const later = await commandsIn(machine, 12);
  // The greetings are those of two drivers, each every ten seconds: the worker's and this test's.
  const { findAndModify = 0, hello = 0, ...others } = later;
  expect(others).toEqual({});
  expect(hello).toBeLessThanOrEqual(4);
  expect(findAndModify).toBeGreaterThanOrEqual(4);
  expect(findAndModify).toBeLessThanOrEqual(9);
  expect(findAndModify / 12).toBeLessThan((first.findAndModify ?? 0) / 8);
  await machine.add({ fws: [{ spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } }] });
  const { fireworks } = machine.launchpad;
  await until('the Firework', async () => (await fireworks.findOne({}))?.state === 'COMPLETED');
  expect(worker.process.exitCode).toBeNull();
}, 60_000);
