import { expect, test } from 'bun:test';
import { periods, reportText, startOf } from './report.ts';

test('newest period first, scores of what ended', () => {
  const found = periods([
    { key: '2026-01-01', state: 'COMPLETED', count: 2 },
    { key: '2026-01-02', state: 'FIZZLED', count: 1 },
    { key: '2026-01-02', state: 'COMPLETED', count: 2 },
    { key: '2026-01-02', state: 'READY', count: 4 },
  ]);
  expect(found.map(({ date_key, count, completed_score }) => [date_key, count, completed_score])).toEqual([
    ['2026-01-02', 7, 66.7],
    ['2026-01-01', 2, 100],
  ]);
  expect(reportText(found)).toContain('total : 7\nC/(C+F) : 66.7%\n');
  expect(reportText([])).toBe('There are no stats to display for the chosen time period.');
});

test.each([
  ['days', 5, '2026-03-26T12:00:00.000Z'],
  ['hours', 1, '2026-03-31T11:00:00.000Z'],
  ['months', 1, '2026-02-28T12:00:00.000Z'],
  ['years', 2, '2024-03-31T12:00:00.000Z'],
] as const)('%s: %d back', (interval, count, start) => {
  expect(startOf(interval, count, new Date('2026-03-31T12:00:00Z')).toISOString()).toBe(start);
});
