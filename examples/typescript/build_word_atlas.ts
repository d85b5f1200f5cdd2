/**
 * Builds the workflow of ../word-atlas/workflow.docker.yaml in TypeScript, for who would rather write loops than YAML.
 *
 *     npx bun examples/typescript/build_word_atlas.ts              prints it as YAML, which `borealisctl lpad add` reads
 *     npx bun examples/typescript/build_word_atlas.ts --add        adds it to the LaunchPad that `lpad` finds
 *     npx bun examples/typescript/build_word_atlas.ts --add -l my_launchpad.yaml
 */
import { parseArgs } from 'node:util';
import { type DockerTaskParams, dockerTask, Firework, LaunchPad, Workflow } from 'borealis';

const PARTS = 8;

interface Step extends Pick<DockerTaskParams, 'outputs' | 'fwaction'> {
  arguments?: string[];
  inputs?: string[];
  parents?: Firework | Firework[];
}

/** A Firework that runs one of ../word-atlas/input/steps in a container; /work/x there is gs://sandbox/word-atlas/x. */
function step(name: string, script: string, o: Step): Firework {
  const program = `/work/input/steps/${script}`;
  const task = dockerTask({
    name,
    image: 'borealis-demo:1',
    pull: 'missing',
    timeout: 120,
    internal_prefix: '/work',
    storage_prefix: 'sandbox/word-atlas',
    inputs: [...(o.inputs ?? []), program],
    outputs: o.outputs ?? [],
    command: ['sh', program, '/work', ...(o.arguments ?? [])],
    fwaction: o.fwaction,
  });
  return new Firework(task, { name, parents: o.parents });
}

export function buildWorkflow(): Workflow {
  const split = step('split', 'split.sh', { inputs: ['/work/input/text.txt'], outputs: ['/work/parts/'] });
  const counts = Array.from({ length: PARTS }, (_, part) =>
    step(`count ${part}`, 'count.sh', {
      arguments: [String(part)],
      inputs: [`/work/parts/part-${part}.txt`],
      outputs: [`>/work/counts/${part}.txt`],
      parents: split,
    }),
  );
  const merge = step('merge', 'merge.sh', {
    inputs: ['/work/counts/'],
    outputs: ['/work/merged.txt'],
    parents: counts,
  });
  const plan = step('plan', 'plan.sh', {
    arguments: ['/work/FWAction.json', 'docker'],
    inputs: ['/work/merged.txt'],
    fwaction: '/work/FWAction.json',
    parents: merge,
  });
  const draw = step('draw', 'draw.sh', {
    inputs: ['/work/merged.txt', '/work/concordance/', '/work/input/text.txt'],
    outputs: ['/work/output/', '>>/work/logs/draw.log'],
    parents: plan,
  });
  return new Workflow([split, ...counts, merge, plan, draw], {
    name: 'word atlas',
    metadata: { example: 'word-atlas' },
  });
}

if (import.meta.main) {
  const options = { add: { type: 'boolean' }, launchpad: { type: 'string', short: 'l' } } as const;
  const { values } = parseArgs({ options });
  const workflow = buildWorkflow();
  if (!values.add) process.stdout.write(workflow.toYaml());
  else {
    await using launchpad = await LaunchPad.connect(values.launchpad);
    const ids = await launchpad.add(workflow);
    console.log(`Added '${workflow.name}' as Fireworks ${ids[0]} to ${ids.at(-1)}. Next: borealisctl watch`);
  }
}
