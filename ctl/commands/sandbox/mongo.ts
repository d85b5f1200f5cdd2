import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { BorealisError, codeOf, UsageError } from '../../../core/errors.ts';
import { startMongo } from '../../../sandbox/mongo/server.ts';
import { note, printLine } from '../../output.ts';
import { askSecret, stopAsking } from '../../prompt.ts';
import { portOf } from './place.ts';

export const examples = ['borealisctl sandbox mongo --dir ~/launchpad', 'MONGO_PASSWORD=... borealisctl sandbox mongo --port 27018 --user me'];

export default defineCommand({
  meta: { name: 'mongo', description: 'the one-machine LaunchPad alone, until Ctrl-C' },
  args: {
    dir: { type: 'string', valueHint: 'D', description: 'where the database is kept (default: in memory)' },
    port: { type: 'string', valueHint: 'N', default: '27017', description: 'the port on 127.0.0.1' },
    user: { type: 'string', description: 'ask clients for this user; the password is taken from $MONGO_PASSWORD, else asked for' },
  },
  async run({ args: flags }) {
    const port = portOf('port', flags.port);
    let password: string | undefined;
    if (flags.user !== undefined) {
      // Never from the command line: everybody on the machine can read that.
      password = process.env.MONGO_PASSWORD ?? (await askSecret(`Password of ${flags.user}: `));
      stopAsking();
      if (!password) throw new UsageError('sandbox mongo --user needs a password: set MONGO_PASSWORD');
    }
    const mongo = await startMongo({ dir: flags.dir && resolve(flags.dir), port, user: flags.user, password }).catch((thrown) => {
      if (codeOf(thrown) === 'EADDRINUSE') throw new BorealisError(`Port ${port} is taken. Choose another with --port`, { cause: thrown });
      throw thrown;
    });
    printLine(`The LaunchPad answers at ${mongo.uri}`);
    const { promise, resolve: end } = Promise.withResolvers<void>();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end());
    await promise;
    note('Stopping');
    await mongo.stop();
  },
});
