import type { Document } from 'mongodb';
import { type LaunchPad, numberOf, type State } from '../../core/launchpad/index.ts';
import { countStates, type WorkflowProgress } from './progress.ts';

/** Names of running Fireworks that are looked up for one workflow: more do not fit a line. */
const MOST_NAMES = 5;

/** Reads how far the workflows are that a query names, with projections alone: no spec is ever fetched. */
export async function readProgress(launchpad: LaunchPad, query: Document): Promise<WorkflowProgress[]> {
  const projection = { name: 1, state: 1, fw_states: 1, nodes: 1 };
  const workflows: WorkflowProgress[] = [];
  for await (const document of launchpad.workflows.find(query, { projection }).sort({ _id: 1 })) {
    const states = Object.entries((document.fw_states ?? {}) as Record<string, State>);
    const running = states.filter(([, state]) => state === 'RUNNING').map(([id]) => Number(id));
    workflows.push({
      id: Math.min(...(document.nodes as unknown[]).map(numberOf)),
      name: String(document.name),
      state: document.state as State,
      counts: countStates(states.map(([, state]) => state)),
      total: states.length,
      running: await names(launchpad, running.slice(0, MOST_NAMES)),
    });
  }
  return workflows;
}

async function names(launchpad: LaunchPad, ids: number[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const found = await launchpad.fireworks
    .find({ fw_id: { $in: ids } }, { projection: { name: 1 } })
    .toArray();
  return found.map((document) => String(document.name));
}

export interface Failure {
  fwId: number;
  name: string;
  state: State;
  /** The last line of its exception. */
  why: string;
}

/** The Fireworks of a workflow that fizzled, with the last line of what they said. */
export async function readFailures(launchpad: LaunchPad, workflowId: number): Promise<Failure[]> {
  const workflow = await launchpad.workflows.findOne({ nodes: workflowId }, { projection: { nodes: 1 } });
  const query = { fw_id: { $in: workflow?.nodes ?? [] }, state: 'FIZZLED' };
  const failures: Failure[] = [];
  for await (const firework of launchpad.fireworks
    .find(query, { projection: { fw_id: 1, name: 1, state: 1, launches: 1 } })
    .limit(20)) {
    const launch = await launchpad.launches.findOne(
      { launch_id: { $in: firework.launches } },
      { projection: { 'action.stored_data._exception._stacktrace': 1 }, sort: { launch_id: -1 } },
    );
    const trace = String(launch?.action?.stored_data?._exception?._stacktrace ?? '').trim();
    failures.push({
      fwId: numberOf(firework.fw_id),
      name: String(firework.name),
      state: firework.state,
      why: trace.split('\n').at(-1) ?? '',
    });
  }
  return failures;
}
