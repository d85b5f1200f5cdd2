/** Does a stored workflow agree with itself, with its Fireworks, and do these get their inputs? */
import { BorealisError, messageOf } from '../../core/errors.ts';
import { type Doc, type LaunchPad, newWorkflow, numberOf } from '../../core/launchpad/index.ts';
import { dataflowFaults, type Step } from './dataflow.ts';

/** What is wrong with the workflow of Firework `fwId`, a sentence each; nothing when it is sound. */
export async function faultsOf(launchpad: LaunchPad, fwId: number): Promise<string[]> {
  const workflow = await launchpad.workflows.findOne({ nodes: fwId });
  if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
  const nodes = (workflow.nodes as unknown[]).map(numberOf);
  const steps = await stepsOf(launchpad, nodes, workflow);
  const states = new Map(steps.map(({ id, state }) => [id, state]));
  return [
    ...faultsOfLinks(nodes, workflow),
    ...faultsOfStates(nodes, workflow, states),
    ...dataflowFaults(steps),
  ];
}

/** The Fireworks of the workflow. Of their specs, which may be large, only the Firetasks and the names of the keys are kept. */
async function stepsOf(launchpad: LaunchPad, nodes: readonly number[], workflow: Doc) {
  const links = (workflow.links ?? {}) as Record<string, unknown[]>;
  const projection = { fw_id: 1, state: 1, name: 1, spec: 1, _id: 0 };
  const steps: (Step & { state: string })[] = [];
  for await (const { fw_id, name, state, spec } of launchpad.fireworks.find(
    { fw_id: { $in: [...nodes] } },
    { projection },
  )) {
    const id = numberOf(fw_id);
    const keys = Object.fromEntries(Object.keys(spec ?? {}).map((key) => [key, true]));
    const children = (links[id] ?? []).map(numberOf);
    steps.push({ id, name: String(name), state, spec: { ...keys, _tasks: spec?._tasks }, children });
  }
  return steps;
}

function faultsOfLinks(nodes: readonly number[], workflow: Doc): string[] {
  const links = (workflow.links ?? {}) as Record<string, unknown[]>;
  const parents = (workflow.parent_links ?? {}) as Record<string, unknown[]>;
  const faults: string[] = [];
  try {
    newWorkflow({ fws: nodes.map((fw_id) => ({ fw_id, spec: { _tasks: [] } })), links });
  } catch (thrown) {
    faults.push(messageOf(thrown));
  }
  const pairs = (from: Record<string, unknown[]>, turned: boolean) =>
    new Set(
      Object.entries(from).flatMap(([id, others]) =>
        others.map((other) => (turned ? `${numberOf(other)} -> ${id}` : `${id} -> ${numberOf(other)}`)),
      ),
    );
  const [down, up] = [pairs(links, false), pairs(parents, true)];
  for (const pair of down) if (!up.has(pair)) faults.push(`links has ${pair}, parent_links has not`);
  for (const pair of up) if (!down.has(pair)) faults.push(`parent_links has ${pair}, links has not`);
  return faults;
}

function faultsOfStates(
  nodes: readonly number[],
  workflow: Doc,
  states: ReadonlyMap<number, string>,
): string[] {
  const known = (workflow.fw_states ?? {}) as Record<string, string>;
  return nodes.flatMap((id) => {
    const state = states.get(id);
    if (state === undefined) return [`Firework ${id} is named by the workflow but is not in the database`];
    if (known[id] === state) return [];
    return [`Firework ${id} is ${state}, but the workflow has it as ${known[id] ?? 'unknown'}`];
  });
}
