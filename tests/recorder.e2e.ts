/** tests/python/record.py records what lies in core/launchpad/recorded: nobody has edited it, and it can be recorded again. */
import { expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;
const kept = join(import.meta.dir, '../core/launchpad/recorded');

test.skipIf(!python)(
  'recorded again, the scenarios are the same (needs BOREALIS_PYTHON)',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'recorder-'));
    const mongo = await startMongo({});
    try {
      const script = join(import.meta.dir, 'python', 'record.py');
      const child = Bun.spawn([python as string, '-B', script, mongo.uri, folder], {
        stdin: 'ignore',
        stdout: 'ignore',
        stderr: 'inherit',
      });
      expect(await child.exited).toBe(0);
      const names = await readdir(folder);
      expect(names.length).toBeGreaterThan(5);
      for (const name of names)
        expect({ name, ...(await Bun.file(join(folder, name)).json()) }).toEqual({
          name,
          ...(await Bun.file(join(kept, name)).json()),
        });
    } finally {
      await mongo.stop();
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);
