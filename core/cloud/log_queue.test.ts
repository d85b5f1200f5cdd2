import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { LogQueue, type Waiting } from './log_queue.ts';

const waiting = (number: number, chars = 1): Waiting => ({
  line: { at: new Date(0), severity: 'INFO', message: '', labels: {} },
  number,
  chars,
});
const numbers = (lines: readonly Waiting[]) => lines.map(({ number }) => number);

test('the oldest go first, by number and by size', () => {
  const queue = new LogQueue(3, 100);
  expect([1, 2, 3, 4].map((n) => queue.push(waiting(n)))).toEqual([0, 0, 0, 1]);
  expect(queue.push(waiting(5, 99))).toBe(2);
  expect(numbers(queue.take(9, 9))).toEqual([4]);
  // A line that is larger than what one may take goes alone.
  expect(numbers(queue.take(9, 9))).toEqual([5]);
  // One that is larger than all the room is not kept.
  expect([queue.push(waiting(6, 101)), queue.length]).toEqual([1, 0]);
});

test('whatever is pushed, taken and put back: order is kept, bounds hold, and nothing goes uncounted', () => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 0, max: 60 }) }),
    fc.record({ take: fc.integer({ min: 1, max: 5 }), back: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new LogQueue(10, 100);
      const sent: number[] = [];
      let [pushed, dropped] = [0, 0];
      for (const one of steps) {
        if ('push' in one) dropped += queue.push(waiting(pushed++, one.push));
        else {
          const taken = queue.take(one.take, 50);
          if (one.back) queue.putBack(taken);
          else sent.push(...numbers(taken));
        }
        expect(queue.length).toBeLessThanOrEqual(10);
        expect(queue.length + dropped + sent.length).toBe(pushed);
      }
      expect(sent).toEqual(sent.toSorted((a, b) => a - b));
      const rest = queue.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      expect(numbers(rest)).toEqual(Array.from({ length: rest.length }, (_, i) => pushed - rest.length + i));
    }),
  );
});
