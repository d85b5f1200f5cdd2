import { expect, test } from 'bun:test';
import { loggerTo } from '../core/log.ts';
import { Stopping } from './stopping.ts';

function stopping() {
  const said: string[] = [];
  return { said, door: new Stopping(loggerTo([({ message }) => void said.push(message)])) };
}

test('quit=soon lets the rocket land', () => {
  const { door, said } = stopping();
  door.ask('quit=soon was asked for', 'after this rocket');
  expect(door.reason).toEqual({ why: 'quit=soon was asked for', haste: 'after this rocket' });
  expect([door.noMore.aborted, door.now.aborted]).toEqual([true, false]);
  expect(said).toEqual(['Stopping after the rocket in flight: quit=soon was asked for']);
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
  door.ask('quit=soon was asked for', 'after this rocket');
  door.ask('this VM is being preempted', 'now');
  door.ask('quit=soon was asked for', 'after this rocket');
  expect(door.reason).toEqual({ why: 'quit=soon was asked for', haste: 'now' });
  expect((door.now.reason as Error).message).toBe('this VM is being preempted');
  expect(said).toEqual([
    'Stopping after the rocket in flight: quit=soon was asked for',
    'Stopping now: this VM is being preempted',
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
