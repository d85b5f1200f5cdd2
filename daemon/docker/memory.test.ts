import { expect, test } from 'bun:test';
import { byteSize, shownSize } from './memory.ts';

test.each([
  [1000, 1000],
  ['1000', 1000],
  ['64b', 64],
  ['512m', 512 * 2 ** 20],
  ['1.5g', 1.5 * 2 ** 30],
  ['2GiB', 2 * 2 ** 30],
  ['2 GB', 2 * 2 ** 30],
  ['1T', 2 ** 40],
])('%p is %p bytes', (text, bytes) => {
  expect(byteSize.parse(text)).toBe(bytes);
});

test.each([0, -1, 1.5, '', 'lots', '5x', '-1g'])('%p is none', (text) => {
  expect(byteSize.safeParse(text).success).toBe(false);
});

test('as people read it', () => {
  expect([512, 2 ** 20, 1.5 * 2 ** 30, 23.54 * 2 ** 30].map(shownSize)).toEqual([
    '0.5 KiB',
    '1 MiB',
    '1.5 GiB',
    '23.5 GiB',
  ]);
});
