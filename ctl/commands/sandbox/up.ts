import { defineCommand } from 'citty';
import { BorealisError, codeOf, messageOf } from '../../../core/errors.ts';
import { runningSandbox, startSandbox } from '../../../sandbox/sandbox.ts';
import { note, printJson, printLine } from '../../output.ts';
import { startDetached } from '../../sandbox/detach.ts';
import { passwordFlags, passwordFor } from '../../sandbox/password.ts';
import { dirFlag, fireworkerProgram, sandboxDir } from '../../sandbox/place.ts';
import { checkPorts, portOf } from '../../sandbox/ports.ts';
import { untilStopped } from '../../sandbox/until_stopped.ts';

export const examples = [
  'borealisctl sandbox up --detach && . ~/.borealis/sandbox/env',
  'borealisctl sandbox up --dir /tmp/try --mongo-port 27017      # until Ctrl-C',
];

export default defineCommand({
  meta: {
    name: 'up',
    description: 'starts a LaunchPad, Compute Engine, Cloud Storage and Cloud Logging on 127.0.0.1',
  },
  args: {
    dir: dirFlag,
    detach: { type: 'boolean', alias: 'd', description: 'in the background; return when it is ready' },
    'mongo-port': { type: 'string', valueHint: 'N', description: 'port of the LaunchPad (any free one)' },
    port: { type: 'string', valueHint: 'N', description: "port of Google's APIs (any free one)" },
    ...passwordFlags,
    json: { type: 'boolean', description: 'say where everything is as JSON' },
  },
  async run({ args }) {
    const dir = sandboxDir(args.dir);
    const ports = {
      '--mongo-port': portOf(args['mongo-port'], '--mongo-port'),
      '--port': portOf(args.port, '--port'),
    };
    const fireworker = fireworkerProgram();
    const other = await runningSandbox(dir);
    if (other)
      throw new BorealisError(
        `A sandbox runs in ${dir} already (process ${other.pid}). Use it: . ${dir}/env   Stop it: borealisctl sandbox down`,
      );
    checkPorts(ports);
    const password = await passwordFor(args.user, args['password-file']);
    if (args.detach) {
      const flags = Object.entries(ports).flatMap(([flag, port]) => [flag, String(port)]);
      if (args.user) flags.push('--user', args.user);
      const env = { ...process.env, ...(password !== undefined && { BOREALIS_MONGO_PASSWORD: password }) };
      const record = await startDetached(dir, flags, env);
      tell(dir, record.mongoPort, record.gcpPort, record.pid, args.json ?? false);
      return 0;
    }
    const sandbox = await startSandbox({
      dir,
      fireworker,
      mongoPort: ports['--mongo-port'],
      gcpPort: ports['--port'],
      user: args.user,
      password,
    }).catch((thrown) => {
      throw cannotStart(dir, thrown);
    });
    const stopped = untilStopped(() => {
      note('Killing the VMs');
      sandbox.gcp.compute.stop(0).catch(() => {});
    });
    tell(dir, sandbox.mongo.port, sandbox.gcp.port, process.pid, args.json ?? false);
    if (!args.json) printLine('Ctrl-C stops it');
    await stopped;
    note('Stopping: VMs have 10 s to finish; once more kills them at once');
    await sandbox.stop();
    return 0;
  },
});

function tell(dir: string, mongoPort: number, gcpPort: number, pid: number, json: boolean): void {
  const [launchpad, google] = [`127.0.0.1:${mongoPort}`, `http://127.0.0.1:${gcpPort}`];
  if (json) return printJson({ dir, launchpad, google, pid, env: `${dir}/env` });
  printLine(`Sandbox in ${dir}`);
  printLine(`  LaunchPad      ${launchpad}`);
  printLine(`  Google's APIs  ${google}`);
  printLine(`  bucket         gs://sandbox`);
  printLine(`Next: . ${dir}/env`);
}

function cannotStart(dir: string, thrown: unknown): BorealisError {
  if (thrown instanceof BorealisError) return thrown;
  const mend: Record<string, string> = {
    EADDRINUSE: ' Choose other ports with --mongo-port and --port.',
    EACCES: ` May you write to ${dir}?`,
    ENOSPC: ' The disk is full.',
  };
  const why = mend[codeOf(thrown) ?? ''] ?? '';
  return new BorealisError(`The sandbox cannot start in ${dir}: ${messageOf(thrown)}.${why}`, {
    cause: thrown,
  });
}
