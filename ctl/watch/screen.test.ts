import { expect, test } from 'bun:test';
import type { State } from '../../core/launchpad/index.ts';
import { bar, block } from './screen.ts';
import { seenOf } from './workflow.ts';

const same = (text: string) => text;
const plain = { bold: same, dim: same, red: same, green: same, yellow: same, blue: same, cyan: same };

const seen = (...states: State[]) =>
  seenOf({
    nodes: [1],
    name: 'w',
    state: 'RUNNING',
    fw_states: Object.fromEntries(states.map((s, i) => [i + 1, s])),
  });

test.each([
  [['WAITING'], '░░░░░░░░░░'],
  [['COMPLETED', 'RUNNING'], '█████▒▒▒▒▒'],
  [['COMPLETED', 'FIZZLED', 'WAITING', 'WAITING'], '████░░░░░░'],
  [Array(999).fill('COMPLETED').concat('RUNNING'), '█████████▒'],
  [Array(1).fill('COMPLETED').concat(Array(999).fill('RUNNING')), '█▒▒▒▒▒▒▒▒▒'],
] as [State[], string][])('%#', (states, text) => {
  expect(bar(seen(...states), 10, plain)).toBe(text);
});

test('the lines of a workflow fit the width, whatever its names', () => {
  const one = { ...seen('RUNNING', 'WAITING'), name: 'n'.repeat(200) };
  const running = Array.from({ length: 6 }, (_, i) => `firework-with-a-name--${i}`);
  const lines = block({ seen: one, running, runningCount: 60, elapsedMs: 5e6, remainingMs: 9e6 }, 80);
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
});
