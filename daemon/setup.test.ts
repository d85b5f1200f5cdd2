/** The unit file that disk images get, as systemd reads it. tests/systemd.e2e.ts has a systemd run it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSetupFiles } from './setup.ts';
import { STOP_TIMES } from './stopping.ts';

let folder: string;
let unit: string;
beforeAll(async () => {
  folder = await writeSetupFiles();
  unit = await readFile(join(folder, 'fireworker.service'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true }));

/** The seconds of a key of the unit. */
const seconds = (key: string) => Number(new RegExp(`^${key}=(\\d+)$`, 'm').exec(unit)?.[1]);

test('systemd waits longer than a worker takes to stop, with its last log lines', () => {
  expect(seconds('TimeoutStopSec')).toBeGreaterThan((STOP_TIMES.leaveMs + 5000) / 1000);
});

const analyze = Bun.which('systemd-analyze');
describe.skipIf(!analyze)(
  `systemd-analyze${analyze ? '' : ' (skipped: it is not here; sudo apt-get install systemd)'}`,
  () => {
    const run = (...argv: string[]) => {
      const { exitCode, stdout, stderr } = Bun.spawnSync([analyze as string, ...argv]);
      return { exitCode, said: `${stdout}${stderr}` };
    };

    test('verify finds no fault', async () => {
      // The program that it starts has to be there.
      const program = join(folder, 'fireworker');
      await writeFile(program, '#!/bin/sh\n');
      await chmod(program, 0o755);
      const here = join(folder, 'here.service');
      await writeFile(here, unit.replace('/usr/local/bin/fireworker', program));
      expect(run('verify', '--man=no', here)).toEqual({ exitCode: 0, said: '' });
      await writeFile(
        here,
        unit.replace('[Service]', '[Service]\nTypo=yes').replace('/usr/local/bin/', `${folder}/`),
      );
      expect(run('verify', '--man=no', here).said).toMatch(/Unknown key (name )?'Typo'/);
    });

    test('security: below 5.0', () => {
      const { exitCode, said } = run(
        'security',
        '--offline=true',
        '--threshold=50',
        '--no-pager',
        join(folder, 'fireworker.service'),
      );
      expect(said).toMatch(/Overall exposure level for fireworker\.service: [0-4]\.\d OK/);
      expect(exitCode).toBe(0);
    });
  },
);
