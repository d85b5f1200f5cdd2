/** A program of somebody else's, which has the library as a package: the guide's programs compile and do what they say. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Firework, pyTask, scriptTask, Workflow } from 'borealis';
import { MINUTE } from '../core/wait.ts';
import { processesIn } from '../scripts/processes_in.ts';
import { blocksOf, pages, root, textOf } from './docs_pages.ts';

const borealisctl = join(root, 'dist', 'borealisctl');

/** The package of the program, with the library among its packages. */
let folder: string;
let programs: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'library-'));
  await mkdir(join(folder, 'node_modules', '@types'), { recursive: true });
  await symlink(root, join(folder, 'node_modules', 'borealis'));
  await symlink(join(root, 'node_modules', '@types', 'bun'), join(folder, 'node_modules', '@types', 'bun'));
  // The guide to the library first: its first program is run.
  programs = ['docs/library.md', ...pages.filter((page) => page !== 'docs/library.md')]
    .flatMap((page) => blocksOf(textOf(page)))
    .filter(({ language, mark }) => language === 'ts' && mark === '')
    .map(({ text }) => text);
  for (const [i, text] of programs.entries()) await writeFile(join(folder, `program_${i}.ts`), text);
});
afterAll(() => rm(folder, { recursive: true }));

async function run(argv: string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(argv, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')}: ${out}${err}`);
  return out;
}

interface Sandbox extends AsyncDisposable {
  readonly dir: string;
  /** Runs a program in the sandbox; throws when it fails. */
  run(argv: string[]): Promise<string>;
}

/** A new sandbox, gone afterwards. */
async function sandbox(): Promise<Sandbox> {
  const dir = await mkdtemp(join(folder, 'sandbox-'));
  await run([borealisctl, 'sandbox', 'up', '--detach', '--dir', dir]);
  return {
    dir,
    run: (argv) => run([borealisctl, 'sandbox', 'run', '--dir', dir, '--', ...argv]),
    async [Symbol.asyncDispose]() {
      await run([borealisctl, 'sandbox', 'down', '--dir', dir]);
    },
  };
}

const TOLD = ['square of 5: 25\n', 'square of 7: 49\n'];

test(
  'the programs of guides and README compile, as a package of their own',
  async () => {
    expect(programs.length).toBeGreaterThan(5);
    // As `bun init` writes it.
    const compilerOptions = {
      lib: ['ESNext'],
      target: 'ESNext',
      module: 'Preserve',
      moduleDetection: 'force',
      moduleResolution: 'bundler',
      allowImportingTsExtensions: true,
      verbatimModuleSyntax: true,
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      noUncheckedIndexedAccess: true,
      noImplicitOverride: true,
      noFallthroughCasesInSwitch: true,
      types: ['bun'],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    await run([join(root, 'node_modules', '.bin', 'tsc'), '-p', folder]);
  },
  MINUTE,
);

test(
  'the first one adds a workflow, starts a fleet of two, follows it to its end, and sends the fleet home',
  async () => {
    await using cloud = await sandbox();
    const said = await cloud.run([process.execPath, join(folder, 'program_0.ts')]);
    expect(said).toMatch(/^5 of 5, COMPLETED$/m);
    for (const line of TOLD) expect(said).toContain(line);
    expect(await cloud.run([borealisctl, 'ps', 'squares', '--json'])).toBe('[]\n');
    expect((await processesIn(join(cloud.dir, 'vms'))).map(({ argv }) => argv)).toEqual([]);
    const workflow = await cloud.run([borealisctl, 'lpad', 'get_wflows', '-d', 'less', '--json']);
    expect(JSON.parse(workflow)).toMatchObject({ name: 'squares--1', states_list: 'C-C-C-C-C' });
  },
  2 * MINUTE,
);

test(
  'the example adds the word atlas, which a worker can take',
  async () => {
    await using cloud = await sandbox();
    const example = join(root, 'examples', 'typescript', 'build_word_atlas.ts');
    expect(await cloud.run([process.execPath, example, '--add'])).toBe(
      "Added 'word atlas' as Fireworks 1 to 12. Next: borealisctl watch\n",
    );
    const ready = await cloud.run([borealisctl, 'lpad', 'get_fws', '-s', 'READY', '-d', 'less', '--json']);
    expect(JSON.parse(ready)).toMatchObject({ fw_id: 1, name: 'split', state: 'READY' });
  },
  MINUTE,
);

const node = Bun.which('node');
test.skipIf(!node)(
  `nothing in the library needs Bun: the same program, bundled, does the same in Node${node ? '' : ' (skipped: there is no node)'}`,
  async () => {
    const bundle = join(folder, 'bundle', 'program.mjs');
    await run([
      process.execPath,
      'build',
      '--target=node',
      join(folder, 'program_0.ts'),
      '--outfile',
      bundle,
    ]);
    await using cloud = await sandbox();
    const said = await cloud.run([node as string, bundle]);
    expect(said).toMatch(/^5 of 5, COMPLETED$/m);
    for (const line of TOLD) expect(said).toContain(line);
    expect(await cloud.run([borealisctl, 'ps', 'squares', '--json'])).toBe('[]\n');
  },
  2 * MINUTE,
);

const READ = `
import json, sys
from fireworks import Workflow
for path in sys.argv[1:]:
    made = Workflow.from_file(path)
    fireworks = [made.id_fw[id] for id in sorted(made.id_fw)]
    print(json.dumps([made.name, made.metadata, [[f.name, {k: v for k, v in f.spec.items() if k != "_tasks"},
        [t["_fw_name"] for t in f.to_dict()["spec"]["_tasks"]]] for f in fireworks], {k: v for k, v in made.links.items()}]))
`;

const python = process.env.BOREALIS_PYTHON;
test.skipIf(!python)(
  `Python FireWorks reads its files${python ? '' : ' (skipped: BOREALIS_PYTHON names no Python)'}`,
  async () => {
    const spec = {
      answer: 'yes',
      octal: '0o14',
      time: '12:30',
      ratio: 0.5,
      large: 2 ** 40,
      'a:b': [null, true],
    };
    const first = new Firework(scriptTask('true'), { name: 'no', spec });
    const tasks = [scriptTask(['true']), pyTask('math.hypot', { args: [3, 4] })];
    const second = new Firework(tasks, { name: '2: two', parents: first });
    const workflow = new Workflow([first, second], { name: 'on', metadata: { 1: 'one' } });
    await writeFile(join(folder, 'w.yaml'), workflow.toYaml());
    await writeFile(join(folder, 'w.json'), workflow.toJson());
    const read = await run([python as string, '-W', 'ignore', '-c', READ, 'w.yaml', 'w.json']);
    const fireworks = [
      ['no', spec, ['ScriptTask']],
      ['2: two', {}, ['ScriptTask', 'PyTask']],
    ];
    const expected = ['on', { 1: 'one' }, fireworks, { 1: [2], 2: [] }];
    // Beside it FireWorks logs what it does not have.
    const lines = read.split('\n').filter((line) => line.startsWith('['));
    expect(lines.map((line) => JSON.parse(line))).toEqual([expected, expected]);
  },
  MINUTE,
);
