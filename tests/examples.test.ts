/** The examples are what they say: files that can be read, and steps that count right, with the system's tools and busybox's. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import {
  checkWorkflow,
  type Doc,
  fromJson,
  type NewWorkflow,
  parseFWAction,
  parseYaml,
  plainDoc,
  readWorkflowFile,
} from '../core/launchpad/index.ts';

const examples = resolve(import.meta.dir, '..', 'examples');
const atlas = join(examples, 'word-atlas');
const python = process.env.BOREALIS_PYTHON;
const busybox = Bun.which('busybox');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'examples-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('every workflow file can be read', async () => {
  const found: Record<string, number> = {};
  for await (const file of new Bun.Glob('**/*.{yaml,json}').scan(examples)) {
    found[file] = (await readWorkflowFile(join(examples, file))).fireworks.length;
  }
  expect(found).toEqual({
    'diamond.json': 4,
    'hello.yaml': 2,
    'word-atlas/workflow.docker.yaml': 12,
    'word-atlas/workflow.script.yaml': 12,
  });
});

/** What two ways of writing a workflow must agree on, whatever numbers they give to its Fireworks. */
function shapeOf({ name, metadata, fireworks, links }: NewWorkflow): unknown {
  const names = new Map(fireworks.map((firework) => [firework.fwId, firework.name]));
  return {
    name,
    metadata: plainDoc(metadata),
    fireworks: fireworks.map((firework) => firework.name),
    links: Object.fromEntries(
      [...names].map(([id, own]) => [own, (links.get(id) ?? []).map((child) => names.get(child))]),
    ),
  };
}

test('the word atlas is the same workflow with DockerTasks and with ScriptTasks', async () => {
  const docker = await readWorkflowFile(join(atlas, 'workflow.docker.yaml'));
  const script = await readWorkflowFile(join(atlas, 'workflow.script.yaml'));
  expect(shapeOf(docker)).toEqual(shapeOf(script));
});

test.skipIf(!python)('the Python builder makes the same workflow as the YAML file', async () => {
  const child = Bun.spawn([python as string, join(examples, 'python', 'build_word_atlas.py')], {
    stderr: 'ignore',
  });
  const built = checkWorkflow(fromJson(await new Response(child.stdout).text()) as Doc, 'built');
  const written = await readWorkflowFile(join(atlas, 'workflow.docker.yaml'));
  expect(shapeOf(built)).toEqual(shapeOf(written));
  const specs = (workflow: NewWorkflow) => workflow.fireworks.map((firework) => plainDoc(firework.spec));
  expect(specs(built)).toEqual(specs(written));
});

test('the TypeScript builder makes the same workflow as the YAML file', async () => {
  const child = Bun.spawn([process.execPath, join(examples, 'typescript', 'build_word_atlas.ts')]);
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  const built = checkWorkflow(parseYaml(text, 'built') as Doc, 'built');
  const written = await readWorkflowFile(join(atlas, 'workflow.docker.yaml'));
  expect(shapeOf(built)).toEqual(shapeOf(written));
  const specs = (workflow: NewWorkflow) => workflow.fireworks.map((firework) => plainDoc(firework.spec));
  expect(specs(built)).toEqual(specs(written));
});

const TINY = `THE RAVEN'S "RAIN" & SUN

CHAPTER I

  The raven's rain--the rain of ravens--fell; 'tis wonderful, said the raven.
Wonderful rain!

CHAPTER II

  Don't follow <ravens>, said the sun: followers of ravens get wet, and
wonderful suns set.
`;

const wordsOf = (text: string) =>
  (text.toLowerCase().match(/[a-z']+/g) ?? [])
    .map((word) => word.replace(/^'+|'+$/g, ''))
    .filter((word) => word);

function countsOf(text: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of wordsOf(text)) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** Runs all steps of the word atlas by hand on `text`, in `root`. */
class ByHand {
  constructor(
    readonly root: string,
    readonly path: string,
  ) {}

  async step(name: string, ...args: string[]): Promise<string> {
    const child = Bun.spawn(['sh', `input/steps/${name}.sh`, '.', ...args], {
      cwd: this.root,
      env: { PATH: this.path },
      stdin: 'ignore',
      stderr: 'pipe',
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0 || err !== '')
      throw new Error(`${name}: exit code ${child.exitCode}: ${err}`);
    return out;
  }

  read(file: string): Promise<string> {
    return readFile(join(this.root, file), 'utf8');
  }

  /** Up to the step that plans. Returns the words that it wants a concordance for. */
  async untilPlanned(kind: 'docker' | 'script'): Promise<{ words: string[]; detours: Doc[] }> {
    await this.step('split');
    await mkdir(join(this.root, 'counts'));
    for (let part = 0; part < 8; part++)
      await writeFile(join(this.root, `counts/${part}.txt`), await this.step('count', String(part)));
    await this.step('merge');
    await this.step('plan', 'FWAction.json', kind);
    const action = parseFWAction(fromJson(await this.read('FWAction.json')), 'FWAction.json');
    return { words: String(action.stored_data?.words).split(' '), detours: action.detours ?? [] };
  }

  async untilDrawn(words: readonly string[]): Promise<void> {
    await mkdir(join(this.root, 'concordance'));
    for (const word of words)
      await writeFile(join(this.root, `concordance/${word}.txt`), await this.step('concordance', word));
    await this.step('draw');
  }
}

describe.each([
  ["the system's tools", async () => process.env.PATH ?? ''],
  [
    'busybox',
    async () => {
      const bin = join(folder, 'busybox');
      await mkdir(bin);
      const install = Bun.spawnSync([busybox as string, '--install', '-s', bin]);
      if (install.exitCode !== 0) throw new Error(String(install.stderr));
      return bin;
    },
  ],
])('the steps of the word atlas, with %s', (tools, pathOf) => {
  const skip = tools === 'busybox' && !busybox;
  let path: string;
  beforeAll(async () => {
    if (!skip) path = await pathOf();
  });

  async function open(text?: string): Promise<ByHand> {
    const root = await mkdtemp(join(folder, 'by-hand-'));
    await cp(join(atlas, 'input'), join(root, 'input'), { recursive: true });
    if (text !== undefined) await writeFile(join(root, 'input/text.txt'), text);
    return new ByHand(root, path);
  }

  test.skipIf(skip)('count a tiny text', async () => {
    const hand = await open(TINY);
    const { words } = await hand.untilPlanned('docker');
    const merged = (await hand.read('merged.txt')).trim().split('\n');
    expect(merged.slice(0, 8)).toEqual([
      '5 the',
      '4 rain',
      '3 ravens',
      '3 wonderful',
      '2 chapter',
      '2 of',
      "2 raven's",
      '2 said',
    ]);
    expect(merged).toHaveLength(Object.keys(countsOf(TINY)).length);
    expect(words).toEqual(['ravens', 'wonderful', 'chapter', 'follow']);
    expect((await hand.step('concordance', 'ravens')).split('\n').map((line) => line.slice(0, 50))).toEqual([
      "    5    I The raven's rain--the rain of [ravens--",
      "   10      rain! CHAPTER II Don't follow [<ravens>",
      '   10         said the sun: followers of [ravens] ',
      '',
    ]);
  });

  test.skipIf(skip)('every word of the whole text is counted once, and found where it stands', async () => {
    const hand = await open();
    const { words } = await hand.untilPlanned('script');
    const text = await hand.read('input/text.txt');
    const parts = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 7].map((part) => hand.read(`parts/part-${part}.txt`)),
    );
    expect(parts.join('')).toBe(text);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThan(text.length / 6);
    const merged = (await hand.read('merged.txt')).trim().split('\n');
    const counts = countsOf(text);
    expect(Object.fromEntries(merged.map((line) => line.split(' ').reverse()))).toEqual(
      Object.fromEntries(Object.entries(counts).map(([word, count]) => [word, String(count)])),
    );
    expect(words).toEqual(['little', 'herself', 'thought', 'rabbit']);
    await hand.untilDrawn(words);
    const lines = text.split('\n');
    for (const word of words) {
      const places = (await hand.read(`concordance/${word}.txt`)).trimEnd().split('\n');
      expect([word, places.length]).toEqual([word, counts[word] as number]);
      for (const place of places)
        expect(lines[Number.parseInt(place, 10) - 1]?.toLowerCase()).toContain(word);
    }
    const svg = await hand.read('output/atlas.svg');
    expect(svg).toContain(`>${wordsOf(text).length} words, ${merged.length} different ones`);
    expect(svg.match(/<rect /g)).toHaveLength(1 + 14 + words.length);
    expect(await hand.read('output/index.html')).toContain('<h2>rabbit</h2>');
    expect(await hand.read('output/summary.txt')).toContain('rabbit: 24 places');
  });

  test.skipIf(skip)("a text's own signs do not break the chart", async () => {
    const hand = await open(TINY);
    await hand.untilDrawn((await hand.untilPlanned('docker')).words);
    const svg = await hand.read('output/atlas.svg');
    expect(svg).toContain('THE RAVEN\'S "RAIN" &amp; SUN');
    expect(await hand.read('output/index.html')).toContain('<b>&lt;ravens&gt;,</b>');
  });

  test.skipIf(skip)('the step that plans adds Fireworks that a worker can run', async () => {
    for (const kind of ['docker', 'script'] as const) {
      const { words, detours } = await (await open()).untilPlanned(kind);
      expect(detours.map((firework) => firework.name)).toEqual(words.map((word) => `concordance of ${word}`));
      for (const firework of detours) checkWorkflow(firework, relative(atlas, kind));
    }
  });
});
