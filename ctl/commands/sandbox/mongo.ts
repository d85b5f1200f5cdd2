import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { BorealisError, messageOf, UsageError } from '../../../core/errors.ts';
import { startMongo } from '../../../sandbox/mongo/server.ts';
import { printJson, printLine } from '../../output.ts';
import { passwordFlags, passwordFor } from '../../sandbox/password.ts';
import { checkPorts, portOf } from '../../sandbox/ports.ts';
import { untilStopped } from '../../sandbox/until_stopped.ts';

export const examples = [
  'borealisctl sandbox mongo',
  'borealisctl sandbox mongo --dir ~/launchpad --port 27018 --user fireworks',
];

export default defineCommand({
  meta: { name: 'mongo', description: 'serves the one-machine LaunchPad alone, on 127.0.0.1, until Ctrl-C' },
  args: {
    dir: { type: 'string', valueHint: 'D', description: 'folder of the data (~/.borealis/mongo)' },
    memory: { type: 'boolean', description: 'keep the data in memory: all is gone at the end' },
    port: { type: 'string', valueHint: 'N', description: 'port (27017); 0: any free one' },
    ...passwordFlags,
    json: { type: 'boolean', description: 'say where it is as JSON' },
  },
  async run({ args }) {
    if (args.dir !== undefined && args.memory) throw new UsageError('--dir and --memory exclude each other');
    const port = portOf(args.port, '--port', 27017);
    checkPorts({ '--port': port });
    const password = await passwordFor(args.user, args['password-file']);
    const dir = args.memory ? undefined : resolve(args.dir ?? join(homedir(), '.borealis', 'mongo'));
    const mongo = await start({ dir, port, user: args.user, password });
    const stopped = untilStopped();
    if (args.json) printJson({ host: mongo.host, port: mongo.port, uri: mongo.uri, dir: dir ?? null });
    else {
      printLine(
        `LaunchPad at ${mongo.host}:${mongo.port}, data ${dir ? `in ${dir}` : 'in memory'}; Ctrl-C stops it`,
      );
    }
    await stopped;
    await mongo.stop();
    return 0;
  },
});

async function start(o: { dir?: string; port: number; user?: string; password?: string }) {
  try {
    if (o.dir) await mkdir(o.dir, { recursive: true, mode: 0o700 });
    return await startMongo(o);
  } catch (thrown) {
    const where = o.dir ? ` with its data in ${o.dir}` : '';
    throw new BorealisError(`The LaunchPad cannot start on port ${o.port}${where}: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}
