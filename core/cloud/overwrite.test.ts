import { expect, test } from 'bun:test';
import { objectOf } from './object.ts';
import { type OnTop, onTop, type Run, runMetadata } from './overwrite.ts';

const run = (launchId: number, more: Partial<Run> = {}): Run => ({
  launchPad: 'db.example:27017/fireworks',
  fwId: 7,
  launchId,
  startedAt: new Date('2026-01-01T12:00:00Z'),
  ...more,
});
const BEFORE = '2026-01-01T11:59:59Z';
const SINCE = '2026-01-01T12:00:01Z';
const mine = { size: 3, crc32c: 'AAAAAA==' };

test.each<[string, string, Run | null, object, OnTop]>([
  ['the same bytes', SINCE, run(9), {}, 'same'],
  ['the same size alone', BEFORE, null, { crc32c: 'BBBBBB==' }, 'replace'],
  ['stored before this run began', BEFORE, null, { size: '4' }, 'replace'],
  ['of a reset LaunchPad, whose launches had higher numbers', BEFORE, run(99), { size: '4' }, 'replace'],
  ['by a later launch of this Firework', SINCE, run(9), { size: '4' }, 'refuse'],
  ['by an earlier launch that was given up for lost', SINCE, run(7), { size: '4' }, 'replace'],
  ['by this launch', SINCE, run(8), { size: '4' }, 'replace'],
  ['by another Firework meanwhile', SINCE, run(9, { fwId: 8 }), { size: '4' }, 'replaceChanged'],
  ['by one of another LaunchPad', SINCE, run(9, { launchPad: 'else' }), { size: '4' }, 'replaceChanged'],
  ['by a person meanwhile', SINCE, null, { size: '4' }, 'replaceChanged'],
])('what is there: %s', (_, updated, by, more, decision) => {
  const metadata = by ? runMetadata(by) : {};
  const there = objectOf({ name: 'a', size: '3', crc32c: 'AAAAAA==', updated, metadata, ...more });
  expect(onTop(there, mine, run(8))).toBe(decision);
});

test('the mark of a run does not tell where the LaunchPad is', () => {
  expect(runMetadata(run(8))).toEqual({
    'borealis-run': expect.stringMatching(/^[0-9a-z]+\/7\/8$/) as string,
  });
});
