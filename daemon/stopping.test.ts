import { expect, test } from 'bun:test';
import { loggerTo, silent } from '../core/log.ts';
import { STOP_TIMES, Stopping } from './stopping.ts';
import { until } from './test_worker.ts';

function stopping() {
  const said: string[] = [];
  return { said, door: new Stopping(loggerTo([({ message }) => void said.push(message)])) };
}

test('quit=soon lets the rocket land', () => {
  const { door, said } = stopping();
  door.ask('quit=soon was asked for', 'when they land');
  expect(door.reason).toEqual({ why: 'quit=soon was asked for', haste: 'when they land' });
  expect([door.noMore.aborted, door.now.aborted]).toEqual([true, false]);
  expect(said).toEqual(['Stopping: quit=soon was asked for']);
});

test('SIGTERM has it given back, and says why', () => {
  const { door } = stopping();
  door.ask('SIGTERM', 'now');
  expect([door.noMore.aborted, door.now.aborted, (door.now.reason as Error).message]).toEqual([
    true,
    true,
    'SIGTERM',
  ]);
});

test('the first reason stays; a later one can only hasten', () => {
  const { door, said } = stopping();
  door.ask('quit=soon was asked for', 'when they land');
  door.ask('this VM is being preempted', 'now');
  door.ask('quit=soon was asked for', 'when they land');
  expect(door.reason).toEqual({ why: 'quit=soon was asked for', haste: 'now' });
  expect((door.now.reason as Error).message).toBe('this VM is being preempted');
  expect(said).toEqual([
    'Stopping: quit=soon was asked for',
    'Stopping now: this VM is being preempted. Tasks have 12 s to end, then what is in flight is given back; a second signal hastens',
  ]);
});

const QUICK = { graceMs: 5, giveBackMs: 20, leaveMs: 60 };

test('from the wish to stop now on: rockets are given back in time, and then the worker leaves', async () => {
  const door = new Stopping(silent, QUICK);
  door.ask('quit=soon was asked for', 'when they land');
  await Bun.sleep(80);
  expect([door.giveBack.aborted, door.leave.aborted]).toEqual([false, false]);
  door.ask('SIGTERM', 'now');
  expect([door.giveBack.aborted, door.leave.aborted]).toEqual([false, false]);
  await until('the giving back', () => door.giveBack.aborted);
  await until('the end', () => door.leave.aborted);
});

test('the last seconds are kept back for giving the Firework back, and all takes 25 s', () => {
  const { graceMs, giveBackMs, leaveMs } = STOP_TIMES;
  expect(leaveMs).toBe(25_000);
  expect(graceMs + 5000).toBeLessThanOrEqual(giveBackMs);
  expect(giveBackMs + 8000).toBeLessThanOrEqual(leaveMs);
});

test('a second signal hastens, once', () => {
  const { door, said } = stopping();
  door.ask('SIGTERM', 'now');
  expect(door.hastened.aborted).toBe(false);
  door.hasten('SIGTERM');
  door.hasten('SIGTERM');
  expect(door.hastened.aborted).toBe(true);
  expect(said.slice(1)).toEqual([
    'SIGTERM again: tasks are killed, and what is in flight is given back within 5 s; one more signal ends this worker where it stands',
  ]);
});

test('every wish wakes an idle worker, once', () => {
  const { door, said } = stopping();
  const sleeping = door.changed();
  expect(sleeping.aborted).toBe(false);
  door.askWhenIdle();
  expect([sleeping.aborted, door.quitWhenIdle, door.reason]).toEqual([true, true, null]);
  const again = door.changed();
  door.askWhenIdle();
  expect([again.aborted, said.length]).toEqual([false, 1]);
  door.ask('Ctrl-C', 'now');
  expect(again.aborted).toBe(true);
});
