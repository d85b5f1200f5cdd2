/**
 * A LaunchPad for one test: a database of its own, on the server that MONGODB_URI names, else on the one-machine LaunchPad
 * in memory, which all tests of a process share and which goes with the process.
 */
import { randomBytes } from 'node:crypto';
import { type Mongo, startMongo } from '../../sandbox/mongo/server.ts';
import { LaunchPad, type LaunchPadOptions } from './launchpad.ts';
import { type LaunchPadSettings, launchPadSettings } from './settings.ts';

let shared: Promise<Mongo> | null = null;

export interface TestPad extends AsyncDisposable {
  launchpad: LaunchPad;
  settings: LaunchPadSettings;
  /** Another connection to the same database, as another worker has. Closed with the rest. */
  another(options?: LaunchPadOptions): Promise<LaunchPad>;
}

/** Opens and resets a LaunchPad of the test's own. Dropped and closed when disposed of. */
export async function testPad(options: LaunchPadOptions = {}): Promise<TestPad> {
  shared ??= process.env.MONGODB_URI ? null : startMongo();
  const uri = process.env.MONGODB_URI ?? (await shared)?.uri;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const settings = launchPadSettings({ host: uri, uri_mode: true, name }, 'test');
  const launchpad = await LaunchPad.open(settings, options);
  const others: LaunchPad[] = [];
  await launchpad.reset();
  return {
    launchpad,
    settings,
    async another(o = options) {
      const other = await LaunchPad.open(settings, o);
      others.push(other);
      return other;
    },
    async [Symbol.asyncDispose]() {
      await launchpad.db.dropDatabase();
      for (const one of [...others, launchpad]) await one.close();
    },
  };
}
