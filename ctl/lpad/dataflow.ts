/**
 * The flow of data in a workflow, checked as FireWorks' `DAGFlow` does: Firetasks that name `inputs` and `outputs` tell where
 * each value comes from, and every input must come from one place.
 */
import type { NewWorkflow } from '../../core/launchpad/index.ts';
import { type Doc, isDoc } from '../../core/launchpad/index.ts';

/** A Firework as far as the flow of data goes. */
export interface Step {
  id: number;
  name: string;
  state?: string;
  spec: Doc;
  children: readonly number[];
}

/** Firetasks whose inputs and outputs are keys of specs. */
const TASKS = ['PyTask', 'CommandLineTask', 'ForeachTask', 'JoinDictTask', 'JoinListTask'];

interface Flow {
  step: Step;
  tasks: Doc[];
  parents: Flow[];
  inputs: Set<string>;
  outputs: string[];
  /** Inputs that its own spec has. */
  given: Set<string>;
  /** One of several that do the same to parts of a list: what it puts out is not whole. */
  partial: boolean;
}

export const stepsOf = ({ fireworks, links }: NewWorkflow): Step[] =>
  fireworks.map(({ fwId, name, spec }) => ({ id: fwId, name, spec, children: links.get(fwId) ?? [] }));

/** What is wrong with the flow of data, a sentence each. */
export function dataflowFaults(steps: readonly Step[]): string[] {
  const faults: string[] = [];
  const flows = new Map(steps.map((step) => [step.id, flowOf(step, faults)]));
  for (const flow of flows.values())
    for (const child of new Set(flow.step.children)) flows.get(child)?.parents.push(flow);
  if (!connected(steps)) faults.push('the workflow is not connected: it falls into parts without a link');
  for (const { step, outputs } of flows.values()) {
    const twice = new Set(outputs.filter((name, i) => outputs.indexOf(name) < i));
    for (const name of twice) faults.push(`${told(step)}: several Firetasks have the output '${name}'`);
  }
  for (const flow of flows.values()) {
    for (const name of flow.inputs) {
      const sources = sourcesOf(flow, name);
      if (sources.length === 1) continue;
      const where = sources.length === 0 ? 'comes from nowhere' : `comes from ${sources.join(' and ')}`;
      faults.push(`${told(flow.step)}: the input '${name}' ${where}: it needs one source`);
    }
  }
  return faults;
}

const told = ({ id, name }: Step) => `Firework ${id} (${name})`;

function flowOf(step: Step, faults: string[]): Flow {
  const all = Array.isArray(step.spec._tasks) ? (step.spec._tasks as Doc[]) : [];
  const tasks = all.filter((task) => TASKS.includes(String(task._fw_name)));
  const flow: Flow = {
    step,
    tasks,
    parents: [],
    inputs: new Set(),
    outputs: [],
    given: new Set(),
    partial: false,
  };
  for (const task of tasks) {
    // A ForeachTask does another task many times.
    const inner = isDoc(task.task) ? task.task : task;
    for (const key of ['inputs', 'outputs'])
      if (key in inner && !Array.isArray(inner[key])) faults.push(`${told(step)}: ${key} must be a list`);
    for (const name of listOf(inner.inputs)) flow.inputs.add(name);
    flow.outputs.push(...listOf(inner.outputs), ...listOf(inner.output));
    for (const name of givenIn(inner, step, faults)) flow.given.add(name);
    flow.partial = 'chunk_number' in task;
  }
  return flow;
}

const listOf = (value: unknown): string[] =>
  (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]).map(String);

/** The inputs of a Firetask that the spec holds already. */
function givenIn(task: Doc, step: Step, faults: string[]): string[] {
  const { spec } = step;
  const command = task.command_spec;
  if (!isDoc(command)) return listOf(task.inputs).filter((name) => name in spec);
  return listOf(task.inputs).flatMap((name): string[] => {
    const input = command[name];
    if (input === undefined) {
      faults.push(`${told(step)}: command_spec has no '${name}', which is one of its inputs`);
      return [];
    }
    if (typeof input === 'string') return input in spec ? [input] : [];
    if (!isDoc(input)) return [];
    const { source } = input;
    if (source === undefined) faults.push(`${told(step)}: command_spec.${name} has no source`);
    return isDoc(source) || (typeof source === 'string' && source in spec) ? [name] : [];
  });
}

/** Where an input comes from: a parent, the spec, or a Firetask before it in the same Firework. */
function sourcesOf(flow: Flow, name: string): string[] {
  const { parents, tasks, given, step } = flow;
  const sources = parents
    .filter(({ outputs, partial }) => outputs.includes(name) && !partial)
    .map((parent) => told(parent.step));
  // What a parent that has run put out is in the spec by now: that is one source, not two.
  const brought = parents.some(
    (parent) => parent.step.state === 'COMPLETED' && parent.outputs.includes(name),
  );
  if (given.has(name) && !brought) sources.push('its own spec');
  const first = tasks.findIndex((task) => [...listOf(task.outputs), ...listOf(task.output)].includes(name));
  if (first >= 0 && tasks.slice(first).some((task) => listOf(task.inputs).includes(name)))
    sources.push(`a Firetask of Firework ${step.id} itself`);
  return sources;
}

/** Whether links lead, up or down, from the first Firework to every other. */
function connected(steps: readonly Step[]): boolean {
  const [first] = steps;
  if (!first) return true;
  const neighbours = new Map<number, number[]>(steps.map(({ id }) => [id, []]));
  for (const { id, children } of steps) {
    for (const child of children) {
      neighbours.get(id)?.push(child);
      neighbours.get(child)?.push(id);
    }
  }
  const seen = new Set([first.id]);
  for (const id of seen) for (const other of neighbours.get(id) ?? []) seen.add(other);
  return seen.size === steps.length;
}
