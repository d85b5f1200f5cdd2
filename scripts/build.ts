/**
 * Builds the two binaries and the library. For everybody who works on this code, and for the demo and the tests. Binaries that
 * are of these very sources already are not made again.
 *
 *     npm run build                          dist/fireworker, dist/borealisctl for this machine, dist/library for Node
 *     npm run build -- --outdir /tmp/bin     the same, elsewhere
 *     npm run build -- --library             the library alone: what `npm pack` needs
 */
import { copyFile, link, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BorealisError, messageOf } from '../core/errors.ts';
import { isCurrent, recordBuild } from './build_record.ts';
import type { Asked } from './compile_binary.ts';

const root = resolve(import.meta.dir, '..');

/** Name of each binary and the file it starts from. */
const BINARIES = { fireworker: 'daemon/main.ts', borealisctl: 'ctl/main.ts' } as const;

export type Binary = keyof typeof BINARIES;

const dist = join(root, 'dist');

/**
 * Both binaries in `outdir`, side by side: borealisctl looks for fireworker beside itself. What is there already, and of these
 * sources, stays. Returns their paths. Throws BorealisError with the bundler's own words when one does not build, or when `signal`
 * has ended it.
 */
export async function build(outdir = dist, signal?: AbortSignal): Promise<Record<Binary, string>> {
  await mkdir(outdir, { recursive: true });
  const recipe = await recipeOf();
  const paths = pathsIn(outdir);
  await Promise.all(
    NAMES.map(async (name) => {
      if (await isCurrent(paths[name], recipe, root)) return;
      await compileHere(name, paths[name], recipe, signal);
    }),
  );
  return paths;
}

/** Puts the binaries of `dist` into `outdir`, when they are of these sources; false, and nothing there, when they are not. */
export async function takeBuilt(outdir: string): Promise<boolean> {
  const recipe = await recipeOf();
  const built = pathsIn(dist);
  const current = await Promise.all(NAMES.map((name) => isCurrent(built[name], recipe, root)));
  if (!current.every(Boolean)) return false;
  const paths = pathsIn(outdir);
  // A link is the same file: a build does not write into it, but puts a new one in its place.
  for (const name of NAMES)
    await link(built[name], paths[name]).catch(() => copyFile(built[name], paths[name]));
  return true;
}

const NAMES = Object.keys(BINARIES) as Binary[];

const pathsIn = (dir: string) =>
  Object.fromEntries(NAMES.map((name) => [name, join(dir, name)])) as Record<Binary, string>;

/** All that makes a binary what it is, except the files that are in it. */
async function recipeOf(): Promise<string> {
  const text = (path: string) => readFile(join(root, path), 'utf8').catch(() => '');
  return Bun.hash(
    JSON.stringify([
      [Bun.version, Bun.revision, process.platform, process.arch, process.env.NODE_ENV],
      // A binary holds the paths of its sources.
      root,
      await Promise.all(
        [
          'scripts/build.ts',
          'scripts/compile_binary.ts',
          'tsconfig.json',
          'node_modules/.package-lock.json',
        ].map(text),
      ),
    ]),
  ).toString(36);
}

/** Compiles one binary for this machine, and records of what. */
async function compileHere(
  name: Binary,
  outfile: string,
  recipe: string,
  signal?: AbortSignal,
): Promise<void> {
  const cwd = dirname(outfile);
  const metafile = join(cwd, `.${name}.inputs.${process.pid}.json`);
  const startedMs = Date.now();
  try {
    await compile(name, outfile, { metafile, signal });
    const inputs = JSON.parse(await readFile(metafile, 'utf8'));
    await recordBuild(outfile, { recipe, checkout: root, cwd, startedMs, metafile: inputs });
  } finally {
    await rm(metafile, { force: true });
  }
}

export interface CompileOptions {
  /** Bun's name of the platform, as in `bun-linux-arm64`. Default: this machine's. */
  target?: string;
  /** The checkout to build. Default: the one that this file is in. */
  sources?: string;
  /** A file for what the bundler tells of the build. */
  metafile?: string;
  /** Ends it. */
  signal?: AbortSignal;
}

/** Compiles one binary. Throws BorealisError with the bundler's own words when it does not build. */
export async function compile(name: Binary, outfile: string, o: CompileOptions = {}): Promise<void> {
  const { target, metafile, sources = root } = o;
  const asked: Asked = { entry: join(sources, BINARIES[name]), outfile, target, metafile };
  const argv = [join(import.meta.dir, 'compile_binary.ts'), JSON.stringify(asked)];
  await bun(name, dirname(outfile), argv, o.signal);
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
async function bun(what: string, cwd: string, argv: string[], signal?: AbortSignal): Promise<void> {
  const child = Bun.spawn([process.execPath, ...argv], { cwd, stdout: 'pipe', stderr: 'pipe', signal });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new BorealisError(`${what} does not build:\n${out}${err}`);
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({ options: { outdir: { type: 'string' }, library: { type: 'boolean' } } });
    const outdir = values.outdir ? resolve(values.outdir) : dist;
    const binaries = values.library ? [] : Object.values(await build(outdir));
    await buildLibrary(join(outdir, 'library'));
    for (const path of binaries) console.log(`${path}  ${(Bun.file(path).size / 2 ** 20).toFixed(0)} MiB`);
  } catch (thrown) {
    console.error(`error: ${messageOf(thrown)}`);
    process.exit(1);
  }
}
