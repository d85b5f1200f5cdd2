/** The npm package, installed as a stranger would: by npm on a machine with Node and without Bun. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';
import { run } from './run.ts';

const root = resolve(import.meta.dir, '..');
const { version, dependencies } = await Bun.file(join(root, 'package.json')).json();

let folder: string;
let prefix: string;
let installed: string;
/** Of somebody who has Node, npm and the package, and never heard of Bun. */
let env: Record<string, string>;
/** Where they work: what lies there is theirs. */
let cwd: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'npm-package-'));
  prefix = join(folder, 'prefix');
  installed = join(prefix, 'lib', 'node_modules', 'borealis');
  cwd = join(folder, 'work');
  const tools = join(folder, 'tools');
  await Promise.all([cwd, tools].map((path) => mkdir(path)));
  for (const tool of ['node', 'npm']) await symlink(Bun.which(tool) as string, join(tools, tool));
  // The rest tells npm where its registry is.
  env = { ...(process.env as Record<string, string>), PATH: `${prefix}/bin:${tools}:/usr/bin:/bin` };
  const packed = await run(['npm', 'pack', '--json', '--pack-destination', folder], { cwd: root });
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n')));
  await run(['npm', 'install', '-g', '--prefix', prefix, '--no-audit', '--no-fund', join(folder, filename)], {
    cwd,
    env,
  });
  await writeFile(join(cwd, '.env'), 'GCE_METADATA_HOST=from.dotenv\n');
  await writeFile(join(cwd, 'bunfig.toml'), 'preload = ["./preload.ts"]\n');
  await writeFile(join(cwd, 'preload.ts'), 'console.log("preloaded");\n');
}, 4 * MINUTE);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('there is no Bun but the one that came with it', () => {
  expect(Bun.which('bun', { PATH: env.PATH })).toBeNull();
});

test.each([
  ['borealisctl', `borealisctl ${version}\n`],
  ['fireworker', `fireworker ${version}\n`],
  ['lpad', `lpad (Borealis) v${version}\n`],
])('%s --version', async (program, said) => {
  expect(await run([program, '--version'], { cwd, env })).toBe(said);
});

test('gce is there, and exit codes and messages are handed on', async () => {
  expect(await run(['gce', '--help'], { cwd, env })).toContain('Usage: gce NAME-PREFIX');
  const child = Bun.spawn(['borealisctl', 'pss'], { cwd, env, stdout: 'pipe', stderr: 'pipe' });
  expect(await new Response(child.stderr).text()).toContain("did you mean 'ps'");
  expect(await child.exited).toBe(2);
});

test('no file is missing in it, and there are no tests', async () => {
  for (const main of ['ctl/main.ts', 'daemon/main.ts']) {
    const flags = ['--target=bun', '--packages=external', '--outdir', join(folder, 'bundle')];
    await run([process.execPath, 'build', ...flags, join(installed, main)]);
  }
  const files = [...new Bun.Glob('**/*').scanSync(installed)].filter(
    (file) => !file.startsWith('node_modules/'),
  );
  expect(files.filter((file) => /\.test\.|test_|recorded|^tests|^scripts/.test(file))).toEqual([]);
  expect(files).toContain('LICENSE');
});

test(
  'without Bun’s install script, which npm may leave out, the programs run as well',
  async () => {
    const other = join(folder, 'other');
    await cp(join(prefix, 'lib'), join(other, 'lib'), { recursive: true, verbatimSymlinks: true });
    const packages = join(other, 'lib', 'node_modules', 'borealis', 'node_modules');
    const argv = [
      'npm',
      'install',
      '--no-save',
      '--ignore-scripts',
      '--prefix',
      join(folder, 'bare'),
      `bun@${dependencies.bun}`,
    ];
    await run(argv, { cwd, env });
    await rm(join(packages, 'bun'), { recursive: true });
    await rm(join(packages, '@oven'), { recursive: true, force: true });
    for (const name of ['bun', '@oven'])
      await cp(join(folder, 'bare', 'node_modules', name), join(packages, name), { recursive: true });
    const program = join(other, 'lib', 'node_modules', 'borealis', 'bin', 'lpad.js');
    expect(await run(['node', program, '--version'], { cwd, env })).toBe(`lpad (Borealis) v${version}\n`);
  },
  MINUTE,
);

/** A port that nobody has just now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** `borealisctl sandbox mongo`, ended by SIGTERM to the process that was started. */
async function mongo() {
  const port = await freePort();
  const dir = await mkdtemp(join(folder, 'mongo-'));
  const argv = ['borealisctl', 'sandbox', 'mongo', '--dir', dir, '--port', String(port)];
  const child = Bun.spawn(argv, { cwd, env, stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const { value } = await child.stdout.getReader().read();
  return {
    port,
    said: new TextDecoder().decode(value),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await child.exited;
      for (const end = Date.now() + 10 * SECOND; Date.now() < end && (await answers(port)); ) await sleep(50);
      expect(await answers(port)).toBe(false);
    },
  };
}

const answers = (port: number) =>
  Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
    (socket) => socket.end() !== null,
    () => false,
  );

const PROGRAM = `
import { BorealisError, Firework, LaunchPad, scriptTask, Workflow } from 'borealis';

const first: Firework = new Firework(scriptTask('echo first'), { name: 'first' });
const end = new Firework(scriptTask('echo end'), { name: 'end', parents: [first] });
const port: number = Number(process.argv[2]);
await using launchpad = await LaunchPad.connect({ host: '127.0.0.1', port, name: 'pack' });
const ids = await launchpad.add(new Workflow([first, end], { name: 'from Node' }));
console.log(JSON.stringify([ids.length, await LaunchPad.connect({ host: 1 as never }).catch((e) => e instanceof BorealisError)]));
`;

test(
  'a program in Node imports the library, compiles with its types, and adds a workflow that lpad sees',
  async () => {
    const own = join(folder, 'program');
    await mkdir(join(own, 'node_modules'), { recursive: true });
    await writeFile(join(own, 'package.json'), '{ "type": "module" }');
    await writeFile(join(own, 'program.ts'), PROGRAM);
    await symlink(installed, join(own, 'node_modules', 'borealis'));
    await mkdir(join(own, 'node_modules', '@types'));
    await symlink(join(root, 'node_modules/@types/node'), join(own, 'node_modules/@types/node'));
    // As a Node project has it: our declarations are checked too.
    const flags = [
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--strict',
      '--types',
      'node',
      '--ignoreConfig',
    ];
    const lib = ['--lib', 'es2023,esnext.disposable', '--skipLibCheck', 'false'];
    await run([join(root, 'node_modules/.bin/tsc'), ...flags, ...lib, join(own, 'program.ts')], { cwd: own });
    await using launchpad = await mongo();
    expect(launchpad.said).toContain(String(launchpad.port));
    const said = await run(['node', join(own, 'program.js'), String(launchpad.port)], { cwd: own, env });
    expect(JSON.parse(said)).toEqual([2, true]);
    const file = join(folder, 'pack.yaml');
    await writeFile(file, `host: 127.0.0.1\nport: ${launchpad.port}\nname: pack\n`);
    const seen = await run(['lpad', '-l', file, 'get_wflows', '-d', 'less'], { cwd, env });
    expect(JSON.parse(seen)).toMatchObject({ name: 'from Node--1', states_list: 'REA-W' });
    // And one of its workers flies it.
    await run(['fireworker', '-l', file, '--development', '--once'], { cwd, env });
    expect(
      JSON.parse(await run(['lpad', '-l', file, 'get_wflows', '-d', 'less'], { cwd, env })),
    ).toMatchObject({
      states_list: 'C-REA',
    });
  },
  2 * MINUTE,
);

test(
  'a sandbox started by it has workers, and obeys no .env or bunfig.toml of where it is started',
  async () => {
    const dir = join(folder, 'sandbox');
    const of = ['--dir', dir];
    await run(['borealisctl', 'sandbox', 'up', '--detach', ...of], { cwd, env });
    try {
      const inSandbox = (...argv: string[]) =>
        run(['borealisctl', 'sandbox', 'run', ...of, '--', ...argv], { cwd, env });
      await inSandbox('lpad', 'add', join(root, 'examples/hello.yaml'));
      await inSandbox('borealisctl', 'up', 'pack', '--count', '1');
      expect(await inSandbox('timeout', '60', 'borealisctl', 'watch')).toContain('COMPLETED');
      await inSandbox('borealisctl', 'down', 'pack', '--yes');
      expect(await Bun.file(join(dir, 'sandbox.log')).text()).not.toContain('preloaded');
    } finally {
      await run(['borealisctl', 'sandbox', 'down', ...of], { cwd, env });
    }
  },
  2 * MINUTE,
);

test('SIGTERM ends a program that it started, and the exit tells', async () => {
  const argv = [
    'node',
    join(dirname(installed), 'borealis/bin/borealisctl.js'),
    'sandbox',
    'mongo',
    '--port',
    '0',
  ];
  const dir = await mkdtemp(join(folder, 'mongo-'));
  const child = Bun.spawn([...argv, '--dir', dir], { cwd, env, stdout: 'pipe', stderr: 'inherit' });
  await child.stdout.getReader().read();
  child.kill('SIGTERM');
  expect(await child.exited).toBe(0);
});
