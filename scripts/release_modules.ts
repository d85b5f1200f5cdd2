/**
 * The node_modules that a release's binaries are made of: of each platform what `npm ci --omit=dev` would install for it, from one
 * `npm ci` for all. To install everything again for each takes 30 s of processor time: npm unpacks 9,000 files.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './release_run.ts';

/** npm's names of a platform: some packages have a part in machine code, one for each. */
export interface PackagePlatform {
  os: string;
  cpu: string;
}

/** What matters here of package-lock.json. */
interface Lock {
  packages: Record<string, LockedPackage>;
}

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  /** Of a package that is for some platforms alone. */
  os?: string[];
}

const MODULES = 'node_modules/';

const lockOf = async (checkout: string): Promise<Lock> =>
  JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8'));

/** Whether it is the part in machine code of a package that binaries carry. Bun itself is in them by `--target`. */
const isPart = (path: string, { dev, optional, os }: LockedPackage) =>
  path.startsWith(MODULES) && !path.startsWith(`${MODULES}@oven/`) && !dev && optional === true && !!os;

/** Installs in `folder` the parts in machine code of one platform, and nothing else, as the checkout's lock file names them. */
export async function installParts(
  checkout: string,
  folder: string,
  { os, cpu }: PackagePlatform,
): Promise<void> {
  const lock = await lockOf(checkout);
  const parts = Object.entries(lock.packages).filter(([path, locked]) => isPart(path, locked));
  const optionalDependencies = Object.fromEntries(
    parts.map(([path, { version = '' }]) => [path.slice(MODULES.length), version]),
  );
  const packages = { '': { optionalDependencies }, ...Object.fromEntries(parts) };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ optionalDependencies }));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  const npm = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run(folder, [...npm, `--os=${os}`, `--cpu=${cpu}`, ...(os === 'linux' ? ['--libc=glibc'] : [])]);
}

/**
 * Takes out of the checkout's node_modules what only builds and tests, and the parts in machine code for this machine, and puts
 * in those of `folders`, side by side: the bundler knows its target, and takes one.
 */
export async function layOutModules(checkout: string, folders: string[]): Promise<void> {
  for (const [path, locked] of Object.entries((await lockOf(checkout)).packages))
    if (path.startsWith(MODULES) && (locked.dev || isPart(path, locked)))
      await rm(join(checkout, path), { recursive: true, force: true });
  for (const folder of folders) await cp(join(folder, MODULES), join(checkout, MODULES), { recursive: true });
}
