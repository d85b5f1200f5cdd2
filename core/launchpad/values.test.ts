import { expect, test } from 'bun:test';
import { isoTime, timeOf } from './values.ts';

test.each([
  ['2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678000+00:00'],
  ['2026-01-02T03:04:05.000Z', '2026-01-02T03:04:05+00:00'],
])("the time %s is stored as Python's isoformat writes it", (at, stored) => {
  expect(isoTime(new Date(at))).toBe(stored);
  expect(timeOf(stored)).toEqual(new Date(at));
});
