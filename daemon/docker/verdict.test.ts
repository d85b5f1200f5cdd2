import { expect, test } from 'bun:test';
import type { Ended } from './container.ts';
import { verdictOf } from './verdict.ts';

const ended = (exitCode: number | null, more: Partial<Ended> = {}): Ended => ({
  exitCode,
  stoppedBy: null,
  outOfMemory: false,
  peakMemoryBytes: null,
  removed: false,
  ...more,
});

test('a success has none, also when a child of it was short of memory', () => {
  expect(verdictOf(ended(0), undefined)).toBeNull();
  expect(verdictOf(ended(0, { outOfMemory: true }), 1)).toBeNull();
});

const MIB = 2 ** 20;
const cases: [Ended, number | undefined, RegExp, boolean][] = [
  [ended(1), undefined, /^Docker process exit code 1$/, false],
  [ended(125), undefined, /code 125 \(the Docker Engine could not run it\)$/, false],
  [ended(126), undefined, /code 126 \(the command cannot be executed: is it a program,/, false],
  [ended(127), undefined, /code 127 \(the command was not found in the image\)$/, false],
  [ended(134), undefined, /code 134 \(SIGABRT: /, false],
  [
    ended(137),
    undefined,
    /code 137 \(SIGKILL: somebody killed it, or the whole VM was out of memory: then use VMs/,
    false,
  ],
  [ended(139), undefined, /code 139 \(SIGSEGV: /, false],
  [ended(143), undefined, /code 143 \(SIGTERM: it was asked to end, not by this worker\)$/, false],
  [ended(130), undefined, /code 130 \(SIGINT\)$/, false],
  [ended(200), undefined, /^Docker process exit code 200$/, false],
  [
    ended(137, { outOfMemory: true, peakMemoryBytes: 512 * MIB }),
    512 * MIB,
    /code 137 \(out of memory: it had all of its 512 MiB\. Raise `memory`, or let it be doubled: `retry_on_oom: 1`\. .*-o machine-type=.*lpad rerun_fws -i FW_ID\)$/,
    true,
  ],
  [
    ended(1, { outOfMemory: true, peakMemoryBytes: 3 * 1024 * MIB }),
    undefined,
    /code 1 \(out of memory, it had 3 GiB: use VMs with more memory/,
    true,
  ],
  [
    ended(137, { removed: true }),
    undefined,
    /code 137 \(the container was removed by somebody else while it ran\)$/,
    false,
  ],
  [ended(null, { removed: true }), undefined, /code unknown \(the container was removed/, false],
  [
    ended(null),
    undefined,
    /code unknown \(the Docker Engine was restarted while it ran, and ended it\)$/,
    false,
  ],
];
test.each(cases)('an end %#', (end, memoryBytes, message, outOfMemory) => {
  const verdict = verdictOf(end, memoryBytes);
  expect(verdict?.message).toMatch(message);
  expect(verdict?.outOfMemory).toBe(outOfMemory);
});
