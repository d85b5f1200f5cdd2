/** What README and docs/ say is so: command lines, settings, workflows, messages, links, and what the demo prints. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { ArgsDef, CommandDef } from 'citty';
import {
  checkWorkflow,
  type Doc,
  fromJson,
  launchPadSettings,
  parseFWAction,
  parseYaml,
  plainDoc,
  readWorkflowFile,
} from '../core/launchpad/index.ts';
import { type Commands, checkArgs } from '../ctl/command_line.ts';
import { COMMANDS } from '../ctl/commands.ts';
import { OPTIONS } from '../ctl/fleet/options.ts';
import { hourlyPrice, readPrices } from '../ctl/fleet/prices.ts';
import { parseLpad } from '../ctl/lpad/arguments.ts';
import { LPAD_ALIASES, LPAD_COMMANDS } from '../ctl/lpad/commands.ts';
import { dataflowFaults, stepsOf } from '../ctl/lpad/dataflow.ts';
import { globalFlags } from '../ctl/lpad/flags.ts';
import { parseCommandLine } from '../daemon/command_line.ts';
import { dockerTaskParams as dockerTask } from '../daemon/firetasks/docker_params.ts';
import { words } from '../daemon/firetasks/script.ts';
import { SETTINGS } from '../daemon/settings.ts';
import { blocksOf, pages, proseOf, root, shellOf, textOf } from './docs_pages.ts';
import { gcloudFault } from './gcloud.ts';

const python = process.env.BOREALIS_PYTHON;
const withoutPython = python ? '' : ' (skipped: BOREALIS_PYTHON names no Python)';

const PROGRAMS = /^(borealisctl|lpad|gce|fireworker|npm|npx)\b/;

/** Verbs of npm's own; the others are scripts of package.json. */
const NPM_ITSELF = ['install', 'pack', 'publish', 'version'];

/** The commands of one line that are ours or start something of ours: `. env`, `&&`, comments and variables are a shell's. */
function commandsIn(line: string): string[][] {
  return line
    .replace(/^\$ /, '')
    .replace(/\s+#.*$/, '')
    .replace(/ > \S+$/, '')
    .split(/\s*(?:&&|;|\|)\s*/)
    .map((command) => command.trim().replace(/^(exec\s+|\w+=(\$\([^)]*\)|\S*)\s+)+/, ''))
    .filter((command) => PROGRAMS.test(command))
    .map(words);
}

/** Throws when a program of ours would not understand `argv`. `whole`: nothing is left out of it. */
async function check([program = '', ...argv]: string[], whole: boolean): Promise<void> {
  if (program === 'fireworker') return void parseCommandLine(argv);
  if (program === 'borealisctl') return await checkCommand(['borealisctl'], COMMANDS, argv, whole);
  if (program === 'lpad') return await checkLpad(argv, whole);
  if (program === 'gce') return await checkCommand([], COMMANDS, ['gce', ...argv], whole);
  const [verb = '', ...rest] = argv;
  if (program === 'npm' && !NPM_ITSELF.includes(verb)) {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    const script = verb === 'run' ? (rest[0] ?? '') : verb;
    if (!Object.hasOwn(scripts, script)) throw new Error(`package.json has no script '${script}'`);
  }
  if (program === 'npx' && verb === 'bun') await checkBun(rest, whole);
}

/** `bun scripts/x.ts ...`, `bun test PATH`. */
async function checkBun(argv: string[], whole: boolean): Promise<void> {
  const [first = '', ...rest] = argv.filter((word) => !/^--(inspect|cpu-prof)/.test(word));
  const path = first === 'test' ? (rest[0] ?? '') : first;
  if (!existsSync(join(root, path))) throw new Error(`there is no ${path}`);
  if (path === 'ctl/main.ts') await check(['borealisctl', ...rest], whole);
  if (path === 'daemon/main.ts' && whole) await check(['fireworker', ...rest], whole);
  const dashes = rest.indexOf('--');
  if (path === 'scripts/docker_engine.ts') await check(rest.slice(dashes + 1), whole);
}

async function checkCommand(
  path: string[],
  commands: Commands,
  argv: string[],
  whole: boolean,
): Promise<void> {
  const [name = '', ...rest] = argv;
  if (!Object.hasOwn(commands, name)) {
    if (name === 'COMMAND' || ['--version', '--help', ''].includes(name)) return;
    throw new Error(`${path.join(' ')}: there is no command '${name}'`);
  }
  if (name === 'lpad') return await checkLpad(rest, whole);
  const module = await (commands[name] as Commands[string])();
  if (module.subcommands) return await checkCommand([...path, name], module.subcommands, rest, whole);
  const { args = {} } = module.default as CommandDef & { args?: ArgsDef };
  if (rest.includes('--help')) return;
  // In a sentence a command is named, not typed: its words may be left out, its flags must be right.
  const optional = Object.entries(args).map(([key, def]) => [key, { ...def, required: false }]);
  const definitions = whole ? args : (Object.fromEntries(optional) as ArgsDef);
  const dashes = rest.indexOf('--');
  checkArgs([...path, name].join(' '), rest, definitions, module.takesRest);
  if (module.takesRest && dashes >= 0 && PROGRAMS.test(rest[dashes + 1] ?? ''))
    await check(rest.slice(dashes + 1), whole);
}

async function checkLpad(argv: string[], whole: boolean): Promise<void> {
  const flags = [...globalFlags];
  const [typed = '', ...rest] = parseLpad({ path: 'lpad', flags, words: [], untilWord: true }, argv).rest;
  if (typed === 'COMMAND' || typed === '') return;
  const name = LPAD_ALIASES[typed] ?? typed;
  const load = LPAD_COMMANDS[name];
  if (!load) throw new Error(`lpad: there is no command '${typed}'`);
  const { default: command } = await load();
  // N stands for a number.
  const given = rest.map((word) => (word === 'N' ? '1' : word));
  const expected = whole || given.some((word) => !word.startsWith('-')) ? (command.words ?? []) : [];
  parseLpad({ path: `lpad ${typed}`, flags: [...command.flags, ...flags], words: expected }, given);
}

describe.each(pages)('%s', (page) => {
  const markdown = textOf(page);
  const blocks = blocksOf(markdown);

  test('every command line in a block is one', async () => {
    const lines = blocks.flatMap((block) => (shellOf(block) ?? '').replace(/\\\n\s*/g, ' ').split('\n'));
    for (const argv of lines.flatMap(commandsIn))
      await expect(check(argv, true), argv.join(' ')).resolves.toBeUndefined();
    const gcloud = lines.flatMap(
      (line) => /\bgcloud (?!.*\bgcloud ).*/.exec(line.replace(/\s#.*/, ''))?.[0] ?? [],
    );
    for (const line of gcloud) expect(gcloudFault(line), line).toBeNull();
  });

  test('bash can read every block for a shell', () => {
    const fenced = blocks.filter(({ language }) => language !== '');
    for (const text of fenced.flatMap((block) => shellOf(block) ?? [])) {
      const { exitCode, stderr } = Bun.spawnSync(['bash', '-n', '-c', text]);
      expect(exitCode, `${text}${stderr}`).toBe(0);
    }
  });

  test('every command in a sentence is one', async () => {
    for (const [, code = ''] of proseOf(markdown).matchAll(/`([^`\n]+)`/g)) {
      for (const argv of commandsIn(code.replace(/ \.\.\.$/, '').replace(/ \[.*/, '')))
        await expect(check(argv, false), code).resolves.toBeUndefined();
      if (/^gcloud \S+ \S/.test(code)) expect(gcloudFault(code), code).toBeNull();
    }
  });

  test('every link leads somewhere', () => {
    for (const [, target = ''] of markdown.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      expect([target, existsSync(join(root, file))]).toEqual([target, true]);
      if (anchor !== undefined) expect(titlesOf(file)).toContain(anchor);
    }
  });

  test('every row of a table has as many cells as its heading', () => {
    for (const [table] of proseOf(markdown).matchAll(/(?:^ *\|.*\n)+/gm)) {
      // A bar in `code` parts cells too, unless it is written as \|.
      const cells = table
        .trimEnd()
        .split('\n')
        .map((row) => row.replaceAll('\\|', '').split('|').length - 2);
      expect([table, cells]).toEqual([table, cells.map(() => cells[0] as number)]);
    }
  });

  test('workflows and settings in it can be read', async () => {
    for (const { language, text } of blocks) {
      if (language !== 'yaml' && language !== 'json') continue;
      const doc = (language === 'yaml' ? parseYaml(text, page) : fromJson(text)) as Doc;
      if ('host' in doc) launchPadSettings(doc, page);
      else if (!('fws' in doc) && !('spec' in doc)) parseFWAction(doc, page);
      else {
        const workflow = 'fws' in doc ? doc : { fws: [doc] };
        expect(dataflowFaults(stepsOf(checkWorkflow(workflow, page)))).toEqual([]);
      }
    }
  });
});

/** The anchors of a page's headings, as GitHub makes them. */
const titlesOf = (page: string) =>
  [...proseOf(textOf(page)).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => slug(title));

test.skipIf(!python)(`every program in Python compiles${withoutPython}`, () => {
  const compile = 'import sys; compile(sys.argv[1], "a page", "exec")';
  const programs = pages.flatMap((page) => blocksOf(textOf(page))).filter((one) => one.language === 'python');
  expect(programs.length).toBeGreaterThan(0);
  for (const { text } of programs) {
    const { exitCode, stderr } = Bun.spawnSync([python as string, '-c', compile, text]);
    expect(exitCode, `${text}${stderr}`).toBe(0);
  }
});

test('the index of the guides has every page', () => {
  const index = textOf('docs/README.md');
  const missing = pages.filter((page) => page.startsWith('docs/') && !index.includes(`](${basename(page)})`));
  expect(missing).toEqual(['docs/README.md']);
});

test('every message that the guide to troubles quotes is one that the code has', () => {
  const sources = ['core', 'ctl', 'daemon'].flatMap((room) =>
    [...new Bun.Glob('**/*.{ts,py}').scanSync(join(root, room))]
      .filter((name) => !/test/.test(name))
      // A text of Python's may go on in the next line.
      .map((name) => textOf(join(room, name)).replace(/"\n\s*"/g, '')),
  );
  const messages = blocksOf(textOf('docs/troubleshooting.md'))
    .filter(({ language }) => language === 'text')
    .flatMap(({ text }) => text.trimEnd().split('\n'));
  expect(messages.length).toBeGreaterThan(40);
  for (const message of messages) {
    // Names and numbers are filled in, and an explanation in parentheses stands elsewhere.
    const parts = message.split(/…|\d+|[()]/).flatMap((part) => (/\w{3}/.test(part) ? part.trim() : []));
    const all = sources.some((text) => parts.every((part) => text.replaceAll('\\', '').includes(part)));
    expect([message, parts.length > 0 && all]).toEqual([message, true]);
  }
});

test('roles and services that the guide gives by hand are those of the Terraform module', () => {
  const guide = textOf('docs/team-setup.md');
  const module = readdirSync(join(root, 'image', 'terraform'))
    .filter((name) => name.endsWith('.tf'))
    .map((name) => textOf(join('image', 'terraform', name)))
    .join('\n');
  const rolesIn = (text: string) => [...new Set(text.match(/roles\/\w+\.\w+/g))].sort();
  const commands = blocksOf(guide)
    .flatMap((block) => shellOf(block) ?? [])
    .join('');
  expect(rolesIn(commands)).toEqual(rolesIn(module));
  const [, list = ''] = /services = concat\(([\s\S]*?)\n {2}\)/.exec(module) ?? [];
  const services = [...list.matchAll(/"(\w+)"/g)].map(([, name]) => `${name}.googleapis.com`);
  expect([...new Set(commands.match(/\w+\.googleapis\.com/g))].sort()).toEqual(services.sort());
});

test('the prices that the guide to cost names are those of the table', () => {
  const an = (machineType: string, spot = false) =>
    hourlyPrice({ machineType, spot, diskGb: 0, accelerators: {} }, readPrices()) as number;
  const cents = (dollars: number) => Math.round(100 * dollars);
  const fleet = (spot: boolean) => Math.round(30 * 8 * an('n2-standard-4', spot));
  const told = `an \`n1-standard-1\` is ${cents(an('n1-standard-1'))} cents an hour, an \`n2-standard-4\` ${cents(an('n2-standard-4'))} cents, and spot VMs 30 % of that. 30 VMs \`n2-standard-4\` for 8 hours are ${fleet(false)} USD, as spot VMs ${fleet(true)} USD.`;
  expect(textOf('docs/cost.md').replaceAll('\n', ' ')).toContain(told);
});

const slug = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-');

interface Row {
  default: unknown;
  unit?: string;
  fileKey?: string | null;
  about: string;
}

test('every example of every --help is a command line, and each command has two', async () => {
  const lines: string[] = [];
  const walk = async (path: string, commands: Commands) => {
    for (const [name, load] of Object.entries(commands)) {
      const { subcommands, passThrough, examples = [] } = await load();
      if (subcommands) await walk(`${path} ${name}`, subcommands);
      else if (!passThrough)
        expect([`${path} ${name}`, examples.length >= 2]).toEqual([`${path} ${name}`, true]);
      lines.push(...examples);
    }
  };
  await walk('borealisctl', COMMANDS);
  for (const load of Object.values(LPAD_COMMANDS)) lines.push(...(await load()).default.examples);
  for (const line of lines) {
    // What a shell makes of other commands is no word of the command.
    const [argv = []] = commandsIn(
      line
        .replace(/^cd \$\((.*)\)$/, '$1')
        .replace('lpad admin ', 'lpad ')
        .replace(/\$\([^)]*\)/g, 'X'),
    );
    await expect(check(argv, true), line).resolves.toBeUndefined();
    expect([line, argv.length > 1]).toEqual([line, true]);
  }
});

test('the guide has every option of up -o, with what it is', () => {
  const guide = textOf('docs/fleets.md');
  for (const [name, about] of Object.entries(OPTIONS))
    if (about) expect(guide).toMatch(new RegExp(`^\\| \`${name}\` +\\| ${escaped(about)} +\\|$`, 'm'));
});

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

test('the table of settings is that of fireworker --help', () => {
  const rows = (Object.entries(SETTINGS) as [string, Row][]).map(([name, setting]) => {
    const standard =
      setting.default === undefined || setting.default === ''
        ? ''
        : `\`${setting.default}\`${setting.unit ? ` ${setting.unit}` : ''}`;
    const key = setting.fileKey === undefined ? name : setting.fileKey;
    return [`\`${name}\``, key === null ? '' : `\`${key}\``, standard, setting.about];
  });
  const section =
    textOf('docs/fleets.md')
      .split(/^## /m)
      .find((part) => part.startsWith('Settings')) ?? '';
  const table = [...section.matchAll(/^\|(.*)\|$/gm)]
    .map(([, row = '']) => row.split('|').map((cell) => cell.trim()))
    .slice(2);
  expect(table).toEqual(rows);
});

test('every key of a spec that the code looks at is told', () => {
  const sources = ['core/launchpad', 'daemon', 'daemon/firetasks'].flatMap((room) =>
    readdirSync(join(root, room))
      .filter((name) => /\.(ts|py)$/.test(name) && !name.includes('test'))
      .map((name) => textOf(join(room, name))),
  );
  const read = /(?:\w*[sS]pec\??\.|'spec\.|spec\.get\(")(_[a-z_]+)/g;
  const keys = new Set(sources.flatMap((text) => [...text.matchAll(read)].map(([, key = '']) => key)));
  const section =
    textOf('docs/workflows.md')
      .split(/^## /m)
      .find((part) => part.startsWith('What a spec')) ?? '';
  const told = new Set([...section.matchAll(/`(_[a-z_]+)`/g)].map(([, key = '']) => key));
  expect(keys.size).toBeGreaterThan(15);
  expect([...keys].filter((key) => !told.has(key))).toEqual([]);
});

test('docs/docker-task.md has every parameter of a DockerTask, and its workflows can be read', () => {
  const page = textOf('docs/docker-task.md');
  const section = page.split(/^## /m).find((part) => part.startsWith('Parameters')) ?? '';
  const told = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(told).toEqual(Object.keys(dockerTask.shape));
  const tasks = blocksOf(page)
    .filter(({ language }) => language === 'yaml')
    .flatMap(({ text }) => checkWorkflow(parseYaml(text, page) as Doc, 'the page').fireworks)
    .flatMap(({ spec }) => plainDoc(spec)._tasks as Doc[])
    .map((task) => dockerTask.parse(task));
  expect(tasks).toHaveLength(5);
  expect(tasks[0]).toMatchObject({ memory: 8 * 2 ** 30, retry_on_oom: 1 });
});

describe('the workflows in docs/workflows.md', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'docs-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('in YAML and JSON can be read', async () => {
    const kinds: string[] = [];
    for (const [i, { language, text }] of blocksOf(textOf('docs/workflows.md')).entries()) {
      if (language !== 'yaml' && language !== 'json') continue;
      const doc = (language === 'yaml' ? parseYaml(text, 'the page') : fromJson(text)) as Doc;
      if ('fws' in doc || 'spec' in doc) {
        const file = join(folder, `${i}.${language}`);
        await writeFile(file, text);
        kinds.push(`${(await readWorkflowFile(file)).fireworks.length} in ${language}`);
      } else {
        parseFWAction(doc, 'the page');
        kinds.push('FWAction');
      }
    }
    expect(kinds).toEqual(['2 in yaml', '2 in json', ...Array(4).fill('1 in yaml'), 'FWAction']);
  });

  test.skipIf(!python)(`in Python can be built${withoutPython}`, async () => {
    const program = blocksOf(textOf('docs/workflows.md')).find(({ language }) => language === 'python');
    const child = Bun.spawn([python as string, '-c', program?.text ?? ''], { stderr: 'ignore' });
    const built = checkWorkflow(fromJson(await new Response(child.stdout).text()) as Doc, 'built');
    expect(built.fireworks.map(({ name }) => name)).toEqual(
      [...Array(8).keys()].map((n) => `part ${n}`).concat('end'),
    );
  });
});

test('the recorded terminal shows what the demo types: scripts/record_demo.ts makes it anew', () => {
  const demo = textOf('scripts/demo.ts');
  const typed = [...demo.matchAll(/stage\.type\(\s*(['`])(.*?)\1/g)].map(([, , line = '']) =>
    line.replace(/\$\{example\}/, 'examples/word-atlas').replace(/\$\{stage\.docker[^}]*\}/, 'docker'),
  );
  const shown = [
    ...textOf('docs/demo.svg').matchAll(/<text class="typed"[^>]*>\$ (borealisctl .*)<\/text>/g),
  ];
  // What `--keep` adds is not part of it.
  expect(shown.map(([, line]) => line)).toEqual(typed.filter((line) => !line.includes('stage.results')));
});

test('the figures of the README are those of bench/RESULTS.md, as far as figures are the same twice', () => {
  const rows = (page: string) =>
    [...textOf(page).matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) =>
      row.split('|').map((cell) => cell.trim()),
    );
  const measured = new Map(rows('bench/RESULTS.md').map(([name = '', ...figures]) => [name, figures]));
  const shown = rows('README.md').filter(([, , , , bench]) => bench?.startsWith('`'));
  expect(shown.length).toBeGreaterThan(5);
  for (const [, ours, peer, ratio, bench = ''] of shown) {
    const figures = measured.get(bench.replaceAll('`', ''))?.map(Number) ?? [];
    for (const [i, figure] of [ours, peer, ratio].entries()) {
      const apart = Number(figure) / (figures[i] as number);
      // They move by half from run to run, says that page.
      expect([bench, figure, apart > 1 / 1.5 && apart < 1.5]).toEqual([bench, figure, true]);
    }
  }
});
