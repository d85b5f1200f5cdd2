/**
 * Builds the two binaries and the library. For everybody who works on this code, and for the demo and the tests.
 *
 *     npm run build                          dist/fireworker, dist/borealisctl for this machine, dist/library for Node
 *     npm run build -- --outdir /tmp/bin     the same, elsewhere
 *     npm run build -- --library             the library alone: what `npm pack` needs
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BorealisError } from '../core/errors.ts';

const root = resolve(import.meta.dir, '..');

/** Name of each binary and the file it starts from. */
const BINARIES = { fireworker: 'daemon/main.ts', borealisctl: 'ctl/main.ts' } as const;

export type Binary = keyof typeof BINARIES;

const dist = join(root, 'dist');

/**
 * Compiles both binaries into `outdir`, side by side: borealisctl looks for fireworker beside itself.
 * Returns their paths. Throws BorealisError with the bundler's own words when one does not build.
 */
export async function build(outdir = dist): Promise<Record<Binary, string>> {
  await mkdir(outdir, { recursive: true });
  const paths = Object.keys(BINARIES).map((name) => [name, join(outdir, name)]);
  await Promise.all(paths.map(([name, path]) => compile(name as Binary, path as string)));
  return Object.fromEntries(paths) as Record<Binary, string>;
}

export interface CompileOptions {
  /** Bun's name of the platform, as in `bun-linux-arm64`. Default: this machine's. */
  target?: string;
  /** The checkout to build. Default: the one that this file is in. */
  sources?: string;
}

/** Compiles one binary. Throws BorealisError with the bundler's own words when it does not build. */
export async function compile(name: Binary, outfile: string, o: CompileOptions = {}): Promise<void> {
  await bun(name, dirname(outfile), [
    'build',
    '--compile',
    ...(o.target ? [`--target=${o.target}`] : []),
    // Names stay: Google's clients ask a number of 64 bits for that of its class, and `--keep-names` does not keep it.
    '--minify-syntax',
    '--minify-whitespace',
    // Parsed once, here: a binary starts in 0.02 s instead of 0.5 s.
    '--bytecode',
    '--format=esm',
    // What is loaded on first use is apart, and no part of what an idle worker has read: 76 MB instead of 79.
    '--splitting',
    // Without these two a binary would obey a .env or bunfig.toml of the folder that it is started in.
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
    '--outfile',
    outfile,
    join(o.sources ?? root, BINARIES[name]),
  ]);
}

/**
 * Builds into `outdir` what `import ... from 'borealis'` means outside of this checkout: modules that Node runs, and their
 * types. Throws BorealisError with the compiler's own words when they do not build.
 */
export async function buildLibrary(outdir = join(dist, 'library')): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const index = join(root, 'library', 'index.ts');
  const modules = ['--target=node', '--format=esm', '--packages=external', '--splitting', '--outdir', outdir];
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = ['-p', join(root, 'library', 'tsconfig.types.json'), '--outDir', join(outdir, 'types')];
  await Promise.all([
    bun('the library', outdir, ['build', ...modules, index]),
    bun("the library's types", outdir, [tsc, ...types]),
  ]);
}

/** Runs Bun. What it writes while it builds goes to `cwd`, and stays there when it is interrupted: not to the checkout. */
async function bun(what: string, cwd: string, argv: string[]): Promise<void> {
  const child = Bun.spawn([process.execPath, ...argv], { cwd, stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new BorealisError(`${what} does not build:\n${out}${err}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { outdir: { type: 'string' }, library: { type: 'boolean' } } });
  const outdir = values.outdir ? resolve(values.outdir) : dist;
  try {
    const binaries = values.library ? [] : Object.values(await build(outdir));
    await buildLibrary(join(outdir, 'library'));
    for (const path of binaries) console.log(`${path}  ${(Bun.file(path).size / 2 ** 20).toFixed(0)} MiB`);
  } catch (thrown) {
    console.error(thrown instanceof BorealisError ? `error: ${thrown.message}` : thrown);
    process.exit(1);
  }
}
