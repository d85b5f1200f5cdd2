import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { BorealisError, codeOf, messageOf } from '../../../core/errors.ts';
import { sleep } from '../../../core/wait.ts';
import { runningSandbox, startSandbox } from '../../../sandbox/sandbox.ts';
import { note, printLine, progress } from '../../output.ts';
import { dirFlag, fireworkerCommand, ownCommand, portOf, sandboxDir } from './place.ts';

export const examples = ['borealisctl sandbox up --detach', 'borealisctl sandbox up --dir /tmp/cloud --mongo-port 27017'];

export default defineCommand({
  meta: { name: 'up', description: 'starts a LaunchPad and Google Cloud in miniature' },
  args: {
    ...dirFlag,
    detach: { type: 'boolean', alias: 'd', description: 'in the background; without it, until Ctrl-C' },
    'mongo-port': { type: 'string', valueHint: 'N', description: "the LaunchPad's port (default: any free one)" },
    port: { type: 'string', valueHint: 'N', description: "the port of Google's APIs (default: any free one)" },
  },
  async run({ args: flags }) {
    const dir = sandboxDir(flags.dir);
    const other = await runningSandbox(dir);
    if (other) throw new BorealisError(`A sandbox runs in ${dir} already. Use it (. ${join(dir, 'env')}), or end it: borealisctl sandbox down`);
    const [mongoPort, gcpPort] = [portOf('mongo-port', flags['mongo-port']), portOf('port', flags.port)];
    if (flags.detach) await detached(dir, mongoPort, gcpPort);
    else await foreground(dir, mongoPort, gcpPort);
  },
});

/** Runs until a signal. */
async function foreground(dir: string, mongoPort?: number, gcpPort?: number): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  const sandbox = await startSandbox({ dir, fireworker: fireworkerCommand(), mongoPort, gcpPort }).catch((thrown) => {
    if (codeOf(thrown) === 'EADDRINUSE') throw new BorealisError(`${messageOf(thrown)}. Choose other ports with --mongo-port and --port`, { cause: thrown });
    throw thrown;
  });
  hint(dir);
  await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
  note('Stopping the sandbox');
  await sandbox.stop();
}

/** Starts this program again in the background, and waits until it is ready. */
async function detached(dir: string, mongoPort?: number, gcpPort?: number): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const logFile = join(dir, 'sandbox.log');
  const log = openSync(logFile, 'w');
  const ports = [...(mongoPort === undefined ? [] : ['--mongo-port', String(mongoPort)]), ...(gcpPort === undefined ? [] : ['--port', String(gcpPort)])];
  const child = Bun.spawn([...ownCommand(), 'sandbox', 'up', '--dir', dir, ...ports], { stdio: ['ignore', log, log], detached: true, env: process.env });
  closeSync(log);
  child.unref();
  const line = progress();
  line.update('Starting the sandbox');
  for (const end = Date.now() + 20_000; !(await runningSandbox(dir)); await sleep(50)) {
    if (child.exitCode === null && Date.now() < end) continue;
    child.kill();
    line.done();
    const last = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1) ?? '';
    throw new BorealisError(`The sandbox did not start: ${last.replace(/^error: /, '') || `see ${logFile}`}`);
  }
  line.done();
  hint(dir);
}

function hint(dir: string): void {
  printLine(`The sandbox in ${dir} is ready. Use it from a shell:`);
  printLine(`  . ${join(dir, 'env')}`);
}
