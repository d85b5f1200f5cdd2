/**
 * An image with python3, sh and FireWorks, of what this machine has: no registry is asked. It is packed once, and kept as a tar
 * file below node_modules/.cache.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Engine } from '../daemon/docker/engine.ts';

const CACHE = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis');
/** Put this into PYTHONPATH to have fireworks in a container; without it there is none. */
export const SITE_PACKAGES = '/site-packages';

const LEFT_OUT = [
  ...[
    '*/test',
    '*/tests',
    '*/site-packages/*',
    '*/config-3*',
    '*/__pycache__',
    '*/idlelib',
    '*/lib2to3',
    '*/ensurepip',
  ],
  ...['./pip*', './setuptools*', './google*', './grpc*', './cryptography*', './pytest*', './_pytest*'],
];

const ASK = `import json, sys, sysconfig
print(json.dumps({
    "program": sys._base_executable, "stdlib": sysconfig.get_path("stdlib"), "packages": sysconfig.get_path("purelib"),
    "version": sys.version,
}))`;

/** Makes the image of the Python that `python` stands on, and its packages. Returns what takes it away again. */
export async function importPythonImage(
  host: string,
  image: string,
  python: string,
): Promise<() => Promise<void>> {
  const { program, stdlib, packages, version } = JSON.parse(run([python, '-c', ASK])) as Record<
    string,
    string
  >;
  const key = Bun.hash(JSON.stringify([program, packages, version, LEFT_OUT])).toString(36);
  const tar = join(CACHE, `python-image-${key}.tar`);
  if (!existsSync(tar)) await pack(tar, { program, stdlib, packages } as Record<Part, string>);
  await using engine = await Engine.open({ DOCKER_HOST: host });
  const [repo = '', tag = ''] = image.split(':');
  await engine.upload(`/images/create?${new URLSearchParams({ fromSrc: '-', repo, tag })}`, Bun.file(tar));
  return async () => {
    await using again = await Engine.open({ DOCKER_HOST: host });
    await again.request('DELETE', `/images/${image}`);
  };
}

type Part = 'program' | 'stdlib' | 'packages';

async function pack(tar: string, { program, stdlib, packages }: Record<Part, string>): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'python-image-'));
  try {
    await mkdir(join(folder, 'bin'));
    await mkdir(join(folder, 'tmp'), { mode: 0o1777 });
    await Bun.write(join(folder, 'bin/busybox'), Bun.file(Bun.which('busybox') as string), { mode: 0o755 });
    for (const name of ['sh', 'cat', 'sleep']) await symlink('busybox', join(folder, 'bin', name));
    await symlink(program, join(folder, 'bin/python3'));
    const modulesIn = (cwd: string) => [...new Bun.Glob('**/*.so').scanSync({ cwd, absolute: true })];
    const modules = [...modulesIn(join(stdlib, 'lib-dynload')), ...modulesIn(packages)];
    const needed = run(['ldd', program, ...modules]).match(/\/\S+(?= \(0x)/g) ?? [];
    const libraries = needed.filter((path) => !path.startsWith(packages));
    // Where they are on this machine: Python finds its library by its own path.
    const files = [...new Set([program, stdlib, ...libraries])].map((path) => path.slice(1));
    const made = `${tar}.${process.pid}`;
    const without = LEFT_OUT.map((pattern) => `--exclude=${pattern}`);
    run(['tar', '-cf', made, '-C', folder, 'bin', 'tmp']);
    run(['tar', '-rhf', made, ...without, '-C', '/', ...files]);
    const below = `s,^\\./,${SITE_PACKAGES.slice(1)}/,`;
    run(['tar', '-rf', made, ...without, `--transform=${below}`, '-C', packages, './']);
    await rename(made, tar);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(argv: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(argv);
  if (exitCode !== 0) throw new Error(`${argv[0]} failed: ${stderr}`);
  return stdout.toString();
}
