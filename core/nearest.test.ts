import { expect, test } from 'bun:test';
import { hint, nearest } from './nearest.ts';

test.each([
  ['cuont', ['count', 'base'], 'count'],
  ['--detch', ['--dir', '--detach'], '--detach'],
  ['get_wflow', ['get_fws', 'get_wflows'], 'get_wflows'],
  ['get-wflows', ['get_fws', 'get_wflows'], 'get_wflows'],
  ['quit', ['up', 'quit-soon'], 'quit-soon'],
  ['zzz', ['up', 'down'], null],
] as const)('%s', (typed, known, meant) => {
  expect(nearest(typed, known)).toBe(meant);
});

test('the hint is empty when nothing is near', () => {
  expect(hint('zzz', ['up'])).toBe('');
  expect(hint('dwon', ['up', 'down'])).toBe(" (did you mean 'down'?)");
});
