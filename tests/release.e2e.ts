/** A release: made twice of the same commit it is the same, byte by byte; and what is in it runs where it should. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MINUTE } from '../core/wait.ts';
import { run } from './run.ts';

const root = resolve(import.meta.dir, '..');

let folder: string;
let checkout: string;
let first: string;
/** As in the files' names. */
let version: string;

/** A clone of the checkout of its own, where nobody commits meanwhile. */
async function clone(from: string, name: string): Promise<string> {
  const checkout = join(folder, name);
  await run(['git', 'clone', '-q', from, checkout]);
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'));
  return checkout;
}

const release = (checkout: string, outdir: string, ...flags: string[]) =>
  run([process.execPath, join(checkout, 'scripts', 'release.ts'), '--outdir', outdir, ...flags]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-'));
  first = join(folder, 'first');
  checkout = await clone(root, 'checkout');
  const said = await release(checkout, first);
  version = /^Borealis (\S+)$/m.exec(said)?.[1] ?? '';
}, 6 * MINUTE);
afterAll(() => rm(folder, { recursive: true, force: true }));

const platforms = ['linux-x64', 'linux-arm64', 'macos-x64', 'macos-arm64'];

/** The path of a program of the release. */
async function unpacked(platform: string, program: string): Promise<string> {
  const dir = join(folder, platform);
  if (!existsSync(dir)) {
    await mkdir(dir);
    await run(['tar', '-xzf', join(first, `borealis-${version}-${platform}.tar.gz`), '-C', dir]);
  }
  return join(dir, `borealis-${version}`, program);
}

test('it is all there, with right checksums, and nothing is left of its making', async () => {
  const archives = platforms.map((name) => `borealis-${version}-${name}.tar.gz`);
  const expected = [...archives, `borealis-${version}.tgz`, `borealis-${version}.cdx.json`, 'SHA256SUMS'];
  expect((await readdir(first)).sort()).toEqual(expected.sort());
  expect((await run(['sha256sum', '-c', 'SHA256SUMS'], { cwd: first })).match(/: OK/g)).toHaveLength(6);
  expect(existsSync('/tmp/borealis-release')).toBe(false);
});

test('its version is that of package.json, and tells the commit unless that is tagged', async () => {
  const { version: next } = await Bun.file(join(checkout, 'package.json')).json();
  const hash = (await run(['git', 'rev-parse', '--short', 'HEAD'], { cwd: checkout })).trim();
  expect([next, `${next}-dev.g${hash}`]).toContain(version.replace(/-dev\.\d+\./, '-dev.'));
});

test(
  'made again, of another checkout, it is the same',
  async () => {
    const second = join(folder, 'second', 'of', 'them');
    await release(await clone(checkout, 'another'), second, '--only', 'linux-arm64');
    const again = (await Bun.file(join(second, 'SHA256SUMS')).text()).split('\n').filter(Boolean);
    expect(again).toHaveLength(3);
    const before = (await Bun.file(join(first, 'SHA256SUMS')).text()).split('\n');
    expect(again.filter((line) => !before.includes(line))).toEqual([]);
  },
  4 * MINUTE,
);

test.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
  `the binaries for this machine run under all their names${process.arch === 'x64' ? '' : ' (needs x64)'}`,
  async () => {
    const says = async (program: string) => await run([await unpacked('linux-x64', program), '--version']);
    expect(await says('borealisctl')).toBe(`borealisctl ${version}\n`);
    expect(await says('fireworker')).toBe(`fireworker ${version}\n`);
    expect(await says('lpad')).toBe(`lpad (Borealis) v${version}\n`);
    expect(await Bun.file(await unpacked('linux-x64', 'fireworker.service')).text()).toBe(
      await run(['git', 'show', 'HEAD:systemd/fireworker.service'], { cwd: checkout }),
    );
  },
);

const qemu = Bun.which('qemu-aarch64-static');
const libc = '/usr/aarch64-linux-gnu';
const arm = process.arch === 'arm64' ? [] : [qemu ?? '', '-L', libc];
const canArm = process.arch === 'arm64' || (qemu !== null && existsSync(`${libc}/lib/libgcc_s.so.1`));
test.skipIf(!canArm)(
  `the binaries for arm64 run${canArm ? '' : ' (needs qemu-user-static, libc6-arm64-cross and libgcc-s1-arm64-cross)'}`,
  async () => {
    for (const program of ['fireworker', 'borealisctl'])
      expect(await run([...arm, await unpacked('linux-arm64', program), '--version'])).toBe(
        `${program} ${version}\n`,
      );
  },
  MINUTE,
);

/** The first bytes of an executable: of Linux (ELF) and macOS (Mach-O, 64 bits), and which processor it is for. */
const MAGIC: Record<string, [offset: number, bytes: string][]> = {
  'linux-x64': [
    [0, '7f454c460201'],
    [18, '3e00'],
  ],
  'linux-arm64': [
    [0, '7f454c460201'],
    [18, 'b700'],
  ],
  'macos-x64': [[0, 'cffaedfe07000001']],
  'macos-arm64': [[0, 'cffaedfe0c000001']],
};

/** The part in machine code of @node-rs/crc32, which a binary carries inside. */
const NATIVE: Record<string, string> = {
  'linux-x64': 'crc32.linux-x64-gnu-',
  'linux-arm64': 'crc32.linux-arm64-gnu-',
  'macos-x64': 'crc32.darwin-x64-',
  'macos-arm64': 'crc32.darwin-arm64-',
};

test.each(platforms)('the binaries for %s are for it, with all that is inside', async (platform) => {
  const bytes = Buffer.from(await Bun.file(await unpacked(platform, 'borealisctl')).arrayBuffer());
  for (const [offset, hex] of MAGIC[platform] ?? [])
    expect(bytes.subarray(offset, offset + hex.length / 2).toString('hex')).toBe(hex);
  const carried = Object.keys(NATIVE).filter((name) => bytes.includes(NATIVE[name] as string));
  expect(carried).toEqual([platform]);
  expect(existsSync(await unpacked(platform, 'fireworker'))).toBe(platform.startsWith('linux'));
});

interface Component {
  purl: string;
  name: string;
  version: string;
}

test('the SBOM names what is inside, and not what only builds and tests it', async () => {
  const sbom = await Bun.file(join(first, `borealis-${version}.cdx.json`)).json();
  expect(sbom).toMatchObject({
    bomFormat: 'CycloneDX',
    metadata: { component: { name: 'borealis', version } },
  });
  expect(sbom.serialNumber).toMatch(
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  const components = sbom.components as Component[];
  const text = await run(['git', 'show', 'HEAD:package.json'], { cwd: checkout });
  const { dependencies, devDependencies } = JSON.parse(text) as Record<string, Record<string, string>>;
  const listed = components.map(({ name, version }) => `${name}@${version}`);
  expect(listed).toEqual(
    expect.arrayContaining(Object.entries(dependencies ?? {}).map(([name, at]) => `${name}@${at}`)),
  );
  expect(listed.filter((one) => /^(@biomejs|typescript|fast-check)/.test(one))).toEqual([]);
  expect(Object.keys(devDependencies ?? {})).toContain('typescript');
});

test('a platform that is not known is told, with those that are', async () => {
  await expect(release(checkout, join(folder, 'none'), '--only', 'linux-mips')).rejects.toThrow(
    'error: --only linux-mips: known are linux-x64, linux-arm64, macos-x64, macos-arm64',
  );
});
