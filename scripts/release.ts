/**
 * Makes the files of a release, of the commit that is checked out: what is not committed is not in them. For whoever
 * publishes one; docs/releasing.md is its guide. On Linux, with git, npm and tar.
 *
 *     npm run release                                          all of it, in dist/release
 *     npm run release -- --outdir /tmp/r --only linux-arm64    of the binaries those of one platform
 *
 * The same commit gives the same bytes, in any checkout and at any time.
 */
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BorealisError } from '../core/errors.ts';
import { identify, isAlive } from '../sandbox/gcp/processes.ts';
import { type Binary, compile } from './build.ts';
import { installParts, layOutModules, type PackagePlatform } from './release_modules.ts';
import { run } from './release_run.ts';
import { releaseVersion } from './release_version.ts';

const root = resolve(import.meta.dir, '..');

interface Platform extends PackagePlatform {
  /** Bun's name of it. */
  target: string;
  binaries: Binary[];
}

/** Workers are Linux VMs; their owners may sit at a Mac. `baseline` runs on processors without AVX2 too. */
const PLATFORMS: Record<string, Platform> = {
  'linux-x64': platform('bun-linux-x64-baseline', 'linux', 'x64', ['borealisctl', 'fireworker']),
  'linux-arm64': platform('bun-linux-arm64', 'linux', 'arm64', ['borealisctl', 'fireworker']),
  'macos-x64': platform('bun-darwin-x64', 'darwin', 'x64', ['borealisctl']),
  'macos-arm64': platform('bun-darwin-arm64', 'darwin', 'arm64', ['borealisctl']),
};

function platform(target: string, os: string, cpu: string, binaries: Binary[]): Platform {
  return { target, os, cpu, binaries };
}

/** A copy of the commit's files, to build in. */
interface Stage extends AsyncDisposable {
  dir: string;
  version: string;
  /** Of the commit, for whatever has a date. */
  date: Date;
}

/** Always the same place: a binary holds the paths of the files that it was made of. */
const STAGE = '/tmp/borealis-release';

/** Lays out the commit's files in STAGE, with the release's version. A release that was killed half-way has left its own. */
async function openStage(): Promise<Stage> {
  const owner = join(STAGE, 'owner.json');
  const made = await mkdir(STAGE, { mode: 0o700 }).then(
    () => true,
    () => false,
  );
  if (!made) {
    const other = await readFile(owner, 'utf8').then(JSON.parse, () => null);
    if (!other || isAlive(other))
      throw new BorealisError(
        `Another release is being made in ${STAGE}. If there is none, delete that folder`,
      );
    await rm(STAGE, { recursive: true });
    await mkdir(STAGE, { mode: 0o700 });
  }
  await writeFile(owner, JSON.stringify(identify(process.pid)));
  const dir = join(STAGE, 'sources');
  await mkdir(dir);
  await run(root, ['sh', '-c', `git archive HEAD | tar -x -C ${dir}`]);
  const described = ['describe', '--tags', '--match', 'v[0-9]*', '--long', '--always'];
  const seconds = Number(await run(root, ['git', 'log', '-1', '--format=%ct']));
  const text = await readFile(join(dir, 'package.json'), 'utf8');
  const version = releaseVersion(JSON.parse(text).version, (await run(root, ['git', ...described])).trim());
  for (const file of ['package.json', 'package-lock.json']) {
    const path = join(dir, file);
    const { private: _, ...kept } = { ...JSON.parse(await readFile(path, 'utf8')), version };
    if (kept.packages) kept.packages[''].version = version;
    await writeFile(path, `${JSON.stringify(kept, null, 2)}\n`);
  }
  return {
    dir,
    version,
    date: new Date(seconds * 1000),
    [Symbol.asyncDispose]: () => rm(STAGE, { recursive: true, force: true }),
  };
}

/** borealis-VERSION.tgz: what `npm install` takes. */
async function packNpmPackage({ dir }: Stage, outdir: string): Promise<void> {
  await run(dir, ['npm', 'ci', '--no-audit', '--no-fund']);
  await run(dir, ['npm', 'pack', '--pack-destination', outdir]);
}

interface Sbom {
  serialNumber: string;
  metadata: { timestamp: string; component: { name: string } };
}

/** borealis-VERSION.cdx.json: the packages that are in the binaries, from package-lock.json, as CycloneDX. */
async function writeSbom({ dir, version, date }: Stage, outdir: string): Promise<void> {
  const flags = ['--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only'];
  const sbom = JSON.parse(await run(dir, ['npm', 'sbom', ...flags])) as Sbom;
  // npm gives it a random number and today's date.
  sbom.metadata.timestamp = date.toISOString();
  sbom.metadata.component.name = 'borealis';
  sbom.serialNumber = '';
  const [a, b, c, d, e] =
    /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(sha256(JSON.stringify(sbom)))?.slice(1) ?? [];
  sbom.serialNumber = `urn:uuid:${a}-${b}-8${c}-8${d}-${e}`;
  await writeFile(join(outdir, `borealis-${version}.cdx.json`), `${JSON.stringify(sbom, null, 2)}\n`);
}

/** borealis-VERSION-PLATFORM.tar.gz: the binaries, ready to be put on PATH. */
async function packBinaries({ dir, version, date }: Stage, name: string, outdir: string): Promise<void> {
  const { target, binaries } = PLATFORMS[name] as Platform;
  const folder = join(STAGE, name);
  const top = `borealis-${version}`;
  await mkdir(join(folder, top), { recursive: true });
  await Promise.all(
    binaries.map((binary) => compile(binary, join(folder, top, binary), { target, sources: dir })),
  );
  for (const link of ['lpad', 'gce']) await symlink('borealisctl', join(folder, top, link));
  const files = ['LICENSE', ...(binaries.includes('fireworker') ? ['systemd/fireworker.service'] : [])];
  await run(dir, ['cp', ...files, join(folder, top)]);
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX', '--format=ustar'];
  const order = ['--sort=name', `--mtime=@${date.getTime() / 1000}`];
  await run(folder, ['tar', '-c', '-f', 'all.tar', ...order, ...owner, top]);
  const bytes = await Bun.file(join(folder, 'all.tar')).bytes();
  const file = join(outdir, `${top}-${name}.tar.gz`);
  await writeFile(file, Bun.gzipSync(bytes, { level: 6, library: 'libdeflate' }));
  await rm(folder, { recursive: true });
}

/** The binaries of all platforms, of two at a time: while those of one are compressed, the others are compiled. */
async function packAllBinaries(stage: Stage, platforms: string[], outdir: string): Promise<void> {
  const left = platforms.values();
  const lane = async () => {
    for (const name of left) await packBinaries(stage, name, outdir);
  };
  await allEnded([lane(), lane()]);
}

/** What all of them give, or the first failure, and that when all have ended: none works on in a stage that is put away. */
async function allEnded<T>(works: Promise<T>[]): Promise<T[]> {
  const ends = await Promise.allSettled(works);
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}

/** SHA256SUMS, for `sha256sum -c`. */
async function writeChecksums(outdir: string): Promise<void> {
  const files = (await readdir(outdir)).sort();
  const lines = await Promise.all(
    files.map(async (file) => `${sha256(await Bun.file(join(outdir, file)).bytes())}  ${file}\n`),
  );
  await writeFile(join(outdir, 'SHA256SUMS'), lines.join(''));
}

const sha256 = (data: string | Uint8Array) => new Bun.CryptoHasher('sha256').update(data).digest('hex');

async function release(outdir: string, platforms: string[]): Promise<void> {
  await using stage = await openStage();
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  console.log(`Borealis ${stage.version}`);
  if (await run(root, ['git', 'status', '--porcelain']))
    console.log('There are uncommitted changes here: they are not in it');
  const parts = join(STAGE, 'parts');
  await allEnded([
    packNpmPackage(stage, outdir),
    writeSbom(stage, outdir),
    ...platforms.map((name) => installParts(stage.dir, join(parts, name), PLATFORMS[name] as Platform)),
  ]);
  await layOutModules(
    stage.dir,
    platforms.map((name) => join(parts, name)),
  );
  await packAllBinaries(stage, platforms, outdir);
  await writeChecksums(outdir);
  console.log(await readFile(join(outdir, 'SHA256SUMS'), 'utf8'));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { outdir: { type: 'string' }, only: { type: 'string', multiple: true } },
  });
  const unknown = values.only?.find((name) => !Object.hasOwn(PLATFORMS, name));
  try {
    if (unknown) throw new BorealisError(`--only ${unknown}: known are ${Object.keys(PLATFORMS).join(', ')}`);
    await release(
      resolve(values.outdir ?? join(root, 'dist', 'release')),
      values.only ?? Object.keys(PLATFORMS),
    );
  } catch (thrown) {
    console.error(thrown instanceof BorealisError ? `error: ${thrown.message}` : thrown);
    process.exit(1);
  }
}
