/**
 * A Python with FireWorks, for the tests and benchmarks that work side by side with it.
 *
 *     bun scripts/python_env.ts                               prints its path, and makes it when it is not there
 *     BOREALIS_PYTHON=~/venv/bin/python npm test              takes this one instead
 *
 * It is a virtual environment below node_modules/.cache: made once, and gone with the checkout.
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Need, pathWithSbin, provide } from './system_packages.ts';

/** What the interchange of documents was recorded with. */
const FIREWORKS = 'fireworks==2.1.4';

/**
 * With the oldest pymongo that is supported, and what runs FireWorks' own tests: FireWorks opens files by monty's zopen in a
 * manner that later ones of monty do not take.
 */
const REQUIREMENTS = [FIREWORKS, 'pymongo>=4.10,<5', 'monty<2025', 'pytest>=8', 'google-cloud-storage>=3,<4'];

const NEEDS: Need[] = [
  {
    program: 'python3',
    package: 'python3',
    why: 'what works side by side with Python FireWorks is left out',
  },
  {
    // Debian's python3 has no ensurepip: the package adds it.
    program: '/usr/share/doc/python3-venv',
    package: 'python3-venv',
    why: 'what works side by side with Python FireWorks is left out',
  },
];

export interface PythonOptions {
  /** Tells in one line what is installed, or what to type and what is left out. */
  say: (line: string) => void;
  env?: Readonly<Record<string, string | undefined>>;
  /** The folder that keeps the virtual environments. */
  cache?: string;
}

/**
 * The path of a Python that can import fireworks and pymongo: BOREALIS_PYTHON, else the one in the cache, which is made on
 * first use. Null, after a line that says why and what to type, when there is none and none can be made here.
 */
export async function pythonEnv(o: PythonOptions): Promise<string | null> {
  const env = o.env ?? process.env;
  const given = env.BOREALIS_PYTHON;
  if (given) {
    const failure = await run([given, '-c', 'import fireworks, pymongo'], env);
    if (failure === null) return given;
    o.say(`BOREALIS_PYTHON=${given} is no Python with FireWorks: ${failure}`);
    o.say(`To mend it: ${given} -m pip install ${quoted(REQUIREMENTS)}`);
    return null;
  }
  const base = await basePython(o.say, env);
  if (!base) return null;
  const cache = o.cache ?? CACHE;
  const folder = join(cache, `python-${Bun.hash(`${base}\n${REQUIREMENTS}`).toString(36)}`);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  // Written last: what was interrupted half-way is made again. The Python below it may have been upgraded or removed.
  if ((await Bun.file(complete).exists()) && (await run([python, '-c', 'import fireworks'], env)) === null)
    return python;
  o.say(`Making a Python environment with ${REQUIREMENTS[0]}, once, in ${folder}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  const failure =
    (await run([base, '-m', 'venv', folder], env)) ??
    (await run([python, '-m', 'pip', 'install', '--quiet', '--no-input', ...REQUIREMENTS], env));
  if (failure !== null) {
    o.say(`That failed: ${failure}`);
    o.say(
      `To make one: python3 -m venv ~/fw && ~/fw/bin/pip install ${quoted(REQUIREMENTS)}; then set BOREALIS_PYTHON=~/fw/bin/python`,
    );
    return null;
  }
  await writeFile(complete, `${REQUIREMENTS.join('\n')}\n`);
  return python;
}

const CACHE = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis');

/**
 * FireWorks' source package, a tar.gz with the files that its own tests read and that the installed package is without.
 * Fetched from PyPI once. Null, after a line that says why, when that fails.
 */
export async function fireworksSource(python: string, say: (line: string) => void): Promise<string | null> {
  const file = join(CACHE, `${FIREWORKS.replace('==', '-')}.tar.gz`);
  if (await Bun.file(file).exists()) return file;
  // pip writes under the name at once: what is cut off there must not be taken for whole.
  await mkdir(CACHE, { recursive: true });
  const part = await mkdtemp(join(CACHE, 'source-'));
  const wanted = [
    '--quiet',
    '--no-input',
    '--no-deps',
    '--no-binary',
    'fireworks',
    '--dest',
    part,
    FIREWORKS,
  ];
  const failure = await run([python, '-m', 'pip', 'download', ...wanted], process.env);
  if (failure === null) await rename(join(part, basename(file)), file);
  else say(`FireWorks' source package could not be fetched: ${failure}`);
  await rm(part, { recursive: true });
  return failure === null ? file : null;
}

/** A Python that can make virtual environments; as root on Debian it is installed when there is none. */
async function basePython(
  say: (line: string) => void,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  const able = async () => {
    const python = Bun.which('python3', { PATH: pathWithSbin(env) });
    return python && (await run([python, '-c', 'import venv, ensurepip'], env)) === null ? python : null;
  };
  const found = await able();
  if (found) return found;
  const missing = await provide(NEEDS, say);
  const installed = await able();
  if (!installed && missing.length === 0)
    say('The python3 on PATH cannot make virtual environments: set BOREALIS_PYTHON to one with FireWorks');
  return installed;
}

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');

/** Runs a program; null when it succeeded, else its last words. */
async function run(
  argv: string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  try {
    const child = Bun.spawn(argv, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) === 0) return null;
    return `${out}\n${err}`.trim().split('\n').at(-1) || `exit code ${child.exitCode}`;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

if (import.meta.main) {
  const python = await pythonEnv({ say: console.error });
  if (python) console.log(python);
  process.exit(python ? 0 : 1);
}
