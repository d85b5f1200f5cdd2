/**
 * Guides, typed as they stand: the blocks `sh runnable` of a page in one shell, from top to bottom, with built binaries, and what
 * they print beside the blocks `text shown`. And the two examples of CONTRIBUTING.md, followed in a copy of the sources.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MINUTE } from '../core/wait.ts';
import { processesIn } from '../scripts/processes_in.ts';
import { blocksOf, pages, patternOf, root, textOf } from './docs_pages.ts';
import { run } from './run.ts';

let folder: string;
let bin: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'docs-'));
  bin = join(folder, 'bin');
  await mkdir(bin);
  await symlink(join(root, 'dist', 'fireworker'), join(bin, 'fireworker'));
  for (const name of ['borealisctl', 'lpad', 'gce'])
    await symlink(join(root, 'dist', 'borealisctl'), join(bin, name));
});
afterAll(() => rm(folder, { recursive: true }));

const blocks = (page: string, language: string, mark: string) =>
  blocksOf(textOf(page)).filter((block) => block.language === language && block.mark === mark);
const runnable = pages.filter((page) => blocks(page, 'sh', 'runnable').length > 0);

test('some guides are run', () => {
  expect(runnable).toContain('docs/quick-start.md');
});

test.each(runnable)(
  '%s does what it says, and leaves nothing',
  async (page) => {
    const home = await mkdtemp(join(folder, 'home-'));
    await symlink(join(root, 'examples'), join(home, 'examples'));
    const script = blocks(page, 'sh', 'runnable').map(({ text }) => text);
    const env = {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: home,
      USER: 'reader',
      GCE_METADATA_HOST: '127.0.0.1:1',
    };
    // A reader would see what goes wrong, and end the sandbox.
    const ending =
      'ended() { code=$?; borealisctl sandbox down --purge || true; exit $code; }; trap ended EXIT';
    const printed = await run(
      ['bash', '-euo', 'pipefail', '-c', `exec 2>&1\n${ending}\n${script.join('')}`],
      {
        cwd: home,
        env,
      },
    );
    let rest = printed;
    for (const line of blocks(page, 'text', 'shown').flatMap(({ text }) => text.trimEnd().split('\n'))) {
      const found = patternOf(line).exec(rest);
      expect(found ? line : printed).toBe(line);
      rest = rest.slice((found?.index ?? 0) + (found?.[0].length ?? 0));
    }
    expect((await processesIn(home)).map(({ argv }) => argv)).toEqual([]);
  },
  2 * MINUTE,
);

const GUIDE = 'docs/CONTRIBUTING.md';
const example = (mark: string) => blocks(GUIDE, 'ts', mark)[0]?.text ?? '';

test(
  `a Firetask and a command are added as ${GUIDE} says: one file, one line`,
  async () => {
    const copy = join(folder, 'copy');
    const rooms = ['core', 'ctl', 'daemon', 'library', 'sandbox', 'systemd', 'package.json', 'tsconfig.json'];
    for (const room of rooms) await cp(join(root, room), join(copy, room), { recursive: true });
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));

    await writeFile(join(copy, 'daemon/firetasks/wait.ts'), example('firetask'));
    await edit(join(copy, 'daemon/firetasks/index.ts'), (text) =>
      `import { wait } from './wait.ts';\n${text}`.replace(
        'const ALL: readonly Firetask[] = [',
        '$&\n  wait,',
      ),
    );
    const line = /`(where: .*,)`/.exec(textOf(GUIDE))?.[1] ?? '';
    await writeFile(join(copy, 'ctl/commands/where.ts'), example('command'));
    await edit(join(copy, 'ctl/commands.ts'), (text) =>
      text.replace('export const COMMANDS: Commands = {', `$&\n  ${line}`),
    );

    const compilerOptions = { rootDir: copy };
    const include = ['daemon/main.ts', 'ctl/main.ts', 'daemon/text_modules.d.ts'];
    await writeFile(
      join(copy, 'tsconfig.check.json'),
      JSON.stringify({ extends: './tsconfig.json', compilerOptions, include }),
    );
    await run([join(root, 'node_modules/.bin/tsc'), '-p', join(copy, 'tsconfig.check.json')]);

    const env = { PATH: process.env.PATH, HOME: copy, GCE_METADATA_HOST: '127.0.0.1:1' };
    const place = { CLOUDSDK_CORE_PROJECT: 'ours', CLOUDSDK_COMPUTE_ZONE: 'us-west1-b' };
    const where = (...words: string[]) =>
      run([process.execPath, join(copy, 'ctl/main.ts'), 'where', ...words], { env: { ...env, ...place } });
    expect(await where()).toBe('ours, us-west1-b\n');
    expect(JSON.parse(await where('--json'))).toEqual({ project: 'ours', zone: 'us-west1-b' });
    expect(await where('--help')).toContain('borealisctl where --json');

    const launch = join(copy, 'launch');
    await mkdir(launch);
    const spec = { _tasks: [{ _fw_name: 'WaitTask', secs: 0.01 }] };
    await writeFile(join(launch, 'FW.json'), JSON.stringify({ fw_id: 1, name: 'waits', spec }));
    await writeFile(join(launch, 'FW_offline.json'), JSON.stringify({ launch_id: 1 }));
    await run([process.execPath, join(copy, 'daemon/main.ts'), '--offline'], { cwd: launch, env });
    expect(JSON.parse(await readFile(join(launch, 'FW_offline.json'), 'utf8'))).toMatchObject({
      state: 'COMPLETED',
      fwaction: { stored_data: { waited: 0.01 } },
    });
  },
  2 * MINUTE,
);

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = change(text);
  expect(changed).not.toBe(text);
  await writeFile(file, changed);
}
