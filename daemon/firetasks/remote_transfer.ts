/**
 * FileTransferTask's mode `rtransfer`: files to another machine by SFTP. FireWorks has paramiko for it; here it is the `sftp` of
 * OpenSSH, which finds keys, agents and ~/.ssh/config by itself. As there, the other machine must be in ~/.ssh/known_hosts, and
 * nobody is asked for a password.
 */

import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { BorealisError } from '../../core/errors.ts';
import { FiretaskError, type Flight } from './firetask.ts';
import { expandPath } from './paths.ts';
import { runProgram } from './program.ts';

export interface Server {
  server: string;
  user?: string | null;
  key_filename?: string | null;
}

/** What `sftp` exits with when it is not, or no longer, connected. */
const NO_CONNECTION = 255;

/** Puts a file, or the files of a folder (those below it not), into a folder there, which is made when it is not there. */
export async function putThere(from: string, folder: string, server: Server, flight: Flight): Promise<void> {
  const isFolder = (await stat(from)).isDirectory();
  const names = isFolder ? await filesIn(from) : [basename(from)];
  const local = (name: string) => (isFolder ? join(from, name) : from);
  // Without the folder being there already, which is no failure (`-`).
  const lines = [`-mkdir ${quoted(folder)}`];
  for (const name of names) lines.push(`put ${quoted(local(name))} ${quoted(join(folder, name))}`);
  await sftp(lines, server, flight);
}

async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(folder)).sort())
    if ((await stat(join(folder, name)).catch(() => null))?.isFile()) names.push(name);
  return names;
}

async function sftp(lines: readonly string[], server: Server, flight: Flight): Promise<void> {
  if (!Bun.which('sftp', { PATH: flight.env.PATH ?? '' }))
    throw new FiretaskError(
      'FileNotFoundError',
      "There is no program 'sftp' on this worker, which rtransfer needs: install openssh-client",
    );
  const said: string[] = [];
  const code = await runProgram(flight, ['sftp', ...optionsOf(server, flight)], {
    stdin: `${lines.join('\n')}\n`,
    captured: true,
    onStdout: (bytes) => flight.log.debug(Buffer.from(bytes).toString().trimEnd()),
    onStderr: (bytes) => void said.push(Buffer.from(bytes).toString()),
  });
  if (code === 0) return;
  const last = said
    .join('')
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('Connection closed'))
    .at(-1);
  if (code === NO_CONNECTION)
    throw new FiretaskError(
      'SSHException',
      `No SFTP connection to ${server.server}: ${last?.trim().replace(/\.$/, '') ?? 'closed'}. It must be in ~/.ssh/known_hosts and take a key of this worker`,
    );
  throw new BorealisError(last?.trim() ?? `sftp ended with exit code ${code}`);
}

function optionsOf({ server, user, key_filename }: Server, { env }: Flight): string[] {
  const home = env.HOME ?? homedir();
  const config = join(home, '.ssh', 'config');
  return [
    ...['-b', '-'],
    ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'ConnectTimeout=30'],
    // ssh goes by the user's entry in /etc/passwd; the worker, as FireWorks, by HOME.
    ...['-o', `UserKnownHostsFile=${join(home, '.ssh', 'known_hosts')}`],
    ...(existsSync(config) ? ['-F', config] : []),
    ...(key_filename ? ['-i', expandPath(key_filename, env)] : []),
    ...['--', user ? `${user}@${server}` : server],
  ];
}

/** As `sftp` reads it: nothing in it means anything, patterns neither. */
function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}
