/** FileTransferTask's rtransfer, to a real sshd on a free port of this machine with keys of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { pathWithSbin } from '../../scripts/system_packages.ts';
import { testWorker, until } from '../test_worker.ts';

const sshd = Bun.which('sshd', { PATH: pathWithSbin() });
const sftpServer = '/usr/lib/openssh/sftp-server';
const missing =
  !sshd || !Bun.which('sftp') || !Bun.which('ssh-keygen') || !(await Bun.file(sftpServer).exists());
const why = missing ? ' (needs sshd and sftp: apt-get install openssh-server openssh-client)' : '';

/** Who runs this test: Bun's `userInfo` goes by $USER, which may not be set. */
const user = Bun.spawnSync(['id', '-un']).stdout.toString().trim();

/** The home of the user who connects: keys, known_hosts and the server's port are there. */
let home = '';
let server: Bun.Subprocess | null = null;

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

async function keygen(file: string): Promise<string> {
  const child = Bun.spawn(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  expect(await child.exited).toBe(0);
  return (await readFile(`${file}.pub`, 'utf8')).trim();
}

beforeAll(async () => {
  if (missing) return;
  home = await mkdtemp(join(tmpdir(), 'sshd-'));
  const port = await freePort();
  const ssh = join(home, '.ssh');
  await mkdir(ssh, { mode: 0o700 });
  const hostKey = await keygen(join(home, 'host_key'));
  await writeFile(join(home, 'authorized_keys'), await keygen(join(ssh, 'id')));
  await writeFile(join(ssh, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`);
  await writeFile(join(ssh, 'config'), `Host there\n  HostName 127.0.0.1\n  Port ${port}\n`);
  await writeFile(
    join(home, 'sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(home, 'host_key')}`,
      `AuthorizedKeysFile ${join(home, 'authorized_keys')}`,
      `PidFile ${join(home, 'pid')}`,
      `Subsystem sftp ${sftpServer}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      '',
    ].join('\n'),
  );
  // Debian's sshd wants this folder, which its service would make.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
  server = Bun.spawn([sshd as string, '-D', '-e', '-f', join(home, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await until('sshd listens', () =>
    Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
      (socket) => {
        socket.end();
        return true;
      },
      () => false,
    ),
  );
});

afterAll(async () => {
  server?.kill();
  await server?.exited;
  if (home) await rm(home, { recursive: true });
});

/** Flies a transfer with these files in the launch folder; `there` is a new folder for it. */
async function transfer(
  task: Doc,
  files: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<{ failure: string | null; there: Record<string, string>; said: string[] }> {
  await using worker = await testWorker({ oneFolder: true, env: { ...process.env, HOME: home, ...env } });
  const target = await mkdtemp(join(tmpdir(), 'there-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(worker.folder, name, '..'), { recursive: true });
      await writeFile(join(worker.folder, name), text);
    }
    const server = { server: 'there', user, key_filename: '~/.ssh/id' };
    const dest = join(target, String(task.dest ?? 'new folder'));
    await worker.add([{ _fw_name: 'FileTransferTask', mode: 'rtransfer', ...server, ...task, dest }]);
    const landing = await worker.fly();
    const there: Record<string, string> = {};
    for (const name of await readdir(dest).catch(() => []))
      if ((await stat(join(dest, name))).isFile()) there[name] = await readFile(join(dest, name), 'utf8');
    const said = worker.said.map(({ message }) => message);
    if (landing === 'completed') return { failure: null, there, said };
    const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
    return { failure: _stacktrace.trim().split('\n').at(-1) ?? '', there, said };
  } finally {
    await rm(target, { recursive: true });
  }
}

describe.skipIf(missing)(`rtransfer${why}`, () => {
  test('files, whatever their names, to a folder that is made', async () => {
    const files = { a: '1', 'b [x]*"\\ c': '2' };
    const { failure, there } = await transfer({ files: Object.keys(files) }, files);
    expect(failure).toBe(null);
    expect(there).toEqual(files);
  });

  test('the files of a folder, into one that is there', async () => {
    const files = { 'd/a': '1', 'd/b': '2', 'd/deep/c': '3' };
    const { failure, there } = await transfer({ files: [{ src: 'd' }], dest: '' }, files);
    expect(failure).toBe(null);
    expect(there).toEqual({ a: '1', b: '2' });
  });

  test('a file that is not there, tried again, then an error; or none', async () => {
    const again = await transfer({ files: ['none'], max_retry: 1, retry_delay: 0 });
    expect(again.failure).toMatch(
      /^ValueError: There was an error performing operation rtransfer from none to .*ENOENT/,
    );
    expect(again.said.filter((line) => line.includes('error performing operation'))).toHaveLength(2);
    const ignored = await transfer({ files: ['none', 'a'], ignore_errors: true }, { a: '1' });
    expect(ignored).toMatchObject({ failure: null, there: { a: '1' } });
  });

  test('a folder that cannot be made', async () => {
    const { failure } = await transfer({ files: ['a'], dest: 'not/there' }, { a: '1' });
    expect(failure).toMatch(/^ValueError: .* rtransfer from a to /);
  });

  test('a server that is not known, or takes no key, is an error even when errors are ignored', async () => {
    const files = ['a'];
    const unknown = await transfer({ files, server: '127.0.0.2', ignore_errors: true }, { a: '1' });
    expect(unknown.failure).toMatch(/^SSHException: No SFTP connection to 127.0.0.2: /);
    const other = join(home, 'other');
    await keygen(other);
    await chmod(other, 0o600);
    const refused = await transfer({ files, key_filename: other, ignore_errors: true }, { a: '1' });
    expect(refused.failure).toMatch(/^SSHException: No SFTP connection to there: .*Permission denied/);
  });
});

test('rtransfer without a server', async () =>
  expect((await transfer({ files: ['a'], server: undefined })).failure).toMatch(/^KeyError: 'server'/));

test('rtransfer without sftp says what to install', async () => {
  const bin = await mkdtemp(join(tmpdir(), 'bin-'));
  try {
    const { failure } = await transfer({ files: ['a'] }, { a: '1' }, { PATH: bin });
    expect(failure).toMatch(
      /^FileNotFoundError: There is no program 'sftp' on this worker.*install openssh-client/,
    );
  } finally {
    await rm(bin, { recursive: true });
  }
});
