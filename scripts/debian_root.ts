/**
 * A small Debian with systemd, for the test in which systemd runs a worker. It is made once (by debootstrap, half a minute),
 * and kept as a tar file below node_modules/.cache.
 *
 *     bun scripts/debian_root.ts      prints its path, and makes it when it is not there
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BorealisError } from '../core/errors.ts';
import { type Need, pathWithSbin } from './system_packages.ts';

const why = 'the test in which systemd runs a worker is skipped';

export const DEBIAN_ROOT_NEEDS: Need[] = [
  { program: 'debootstrap', package: 'debootstrap', why },
  {
    program: '/usr/share/keyrings/debian-archive-keyring.gpg',
    package: 'debian-archive-keyring',
    why,
  },
];

const SUITE = 'bookworm';
const PACKAGES = ['systemd', 'systemd-sysv', 'dbus'];
/** What an image for a test has no use for, half of it all. */
const LEFT_OUT = ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale', 'usr/share/man'];

const CACHE = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis');

/** The path of the tar file. Throws BorealisError that says what is missing when it cannot be made. */
export async function debianRoot(cache = CACHE): Promise<string> {
  const key = Bun.hash(JSON.stringify([SUITE, PACKAGES, LEFT_OUT])).toString(36);
  const path = join(cache, `debian-${SUITE}-${key}.tar`);
  if (existsSync(path)) return path;
  const env = { ...process.env, PATH: pathWithSbin() };
  const debootstrap = Bun.which('debootstrap', { PATH: env.PATH });
  if (process.getuid?.() !== 0 || !debootstrap)
    throw new BorealisError('A Debian root needs root and debootstrap: sudo apt-get install -y debootstrap');
  await mkdir(dirname(path), { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'debian-root-'));
  try {
    const run = async (argv: string[]) => {
      const child = Bun.spawn(argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      if ((await child.exited) !== 0)
        throw new BorealisError(`${argv[0]} failed: ${(err || out).trim().split('\n').at(-1)}`);
    };
    const root = join(folder, 'root');
    await run([debootstrap, '--variant=minbase', `--include=${PACKAGES}`, SUITE, root]);
    const excluded = LEFT_OUT.map((name) => `--exclude=./${name}`);
    const made = `${path}.${process.pid}`;
    await run(['tar', '-C', root, ...excluded, '-cf', made, '.']);
    // Whoever is interrupted, or makes one at the same time, leaves a whole one or none.
    await rename(made, path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(await debianRoot());
