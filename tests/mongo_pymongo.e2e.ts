/** pymongo, as Python FireWorks uses it, on the one-machine LaunchPad. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;
const SCRIPT = join(import.meta.dir, 'python', 'mongo_pymongo.py');

if (!python) console.log('pymongo: skipped, for there is no BOREALIS_PYTHON (bun scripts/python_env.ts)');

test.skipIf(!python)(
  'pymongo gets from the one-machine LaunchPad what it gets from MongoDB',
  async () => {
    const [user, password] = ['fireworks', 'a password: 50%'];
    const open = await startMongo();
    const closed = await startMongo({ user, password });
    try {
      const child = Bun.spawn([python as string, SCRIPT, open.uri, closed.uri, user, password], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const { cases } = JSON.parse(await new Response(child.stdout).text());
      expect(Object.values(cases).filter((failure) => failure !== null)).toEqual([]);
      expect(Object.keys(cases)).toHaveLength(9);
    } finally {
      await open.stop();
      await closed.stop();
    }
  },
  60_000,
);
