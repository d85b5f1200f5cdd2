import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportOf } from './junit_report.ts';

const TESTS = {
  'groups.test.ts': `
    import { describe, expect, test } from 'bun:test';
    describe('outer <x> > "y"', () => {
      test('fails & says so', () => expect('<failure>').toBe('</testcase>'));
      test('passes', () => {});
      describe('inner', () => {
        test('throws', () => { throw new Error('<testsuite name="z">'); });
        test.skip('waits for a server', () => {});
      });
      test('passes too', () => {});
    });
    test.each([[1], [2]])('number %i', (n) => expect(n).toBe(1));`,
  'late.test.ts': `
    import { test } from 'bun:test';
    test('takes too long', async () => { await Bun.sleep(2000); }, 20);`,
  'good.test.ts': "import { test } from 'bun:test'; test('is good', () => {});",
};

test('what bun reports of files side by side is counted, and each failure has its file and name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'junit-'));
  try {
    for (const [name, text] of Object.entries(TESTS)) await Bun.write(join(folder, name), text);
    const child = Bun.spawn(
      [
        process.execPath,
        'test',
        '--parallel=2',
        '--no-isolate',
        '--reporter=junit',
        '--reporter-outfile=report.xml',
      ],
      { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] },
    );
    expect(await child.exited).toBe(1);
    const report = reportOf(await Bun.file(join(folder, 'report.xml')).text());
    expect({ ...report, failed: report?.failed.sort() }).toEqual({
      passed: 4,
      failed: [
        'groups.test.ts: number 2',
        'groups.test.ts: outer <x> > "y" > fails & says so',
        'groups.test.ts: outer <x> > "y" > inner > throws',
        'late.test.ts: takes too long',
      ],
      skipped: ['groups.test.ts: outer <x> > "y" > inner > waits for a server'],
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a run without tests has no report', () => expect(reportOf('')).toBeNull());
