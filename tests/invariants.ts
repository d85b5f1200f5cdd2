/** What must be true of any LaunchPad on which nothing runs, whoever worked on it. */
import type { Document } from 'mongodb';
import { type LaunchPad, numberOf, timeOf } from '../core/launchpad/index.ts';

const numbers = (list: unknown) => (list as unknown[]).map(numberOf);

/** Everything that is wrong in the database, a sentence each. */
export async function faultsIn(launchpad: LaunchPad): Promise<string[]> {
  const [workflows, fireworks, launches, ids] = await Promise.all([
    launchpad.workflows.find().toArray(),
    launchpad.fireworks.find().toArray(),
    launchpad.launches.find().toArray(),
    launchpad.ids.findOne(),
  ]);
  const faults: string[] = [];
  const check = (holds: boolean, fault: string) => void (holds || faults.push(fault));

  const byId = new Map(fireworks.map((firework) => [numberOf(firework.fw_id), firework]));
  const launchById = new Map(launches.map((launch) => [numberOf(launch.launch_id), launch]));
  check(byId.size === fireworks.length, 'a fw_id is given twice');
  check(launchById.size === launches.length, 'a launch_id is given twice');
  check(Math.max(0, ...byId.keys()) < numberOf(ids?.next_fw_id), 'next_fw_id is in use');
  check(Math.max(0, ...launchById.keys()) < numberOf(ids?.next_launch_id), 'next_launch_id is in use');

  const seen = new Map<number, number>();
  for (const workflow of workflows) {
    for (const id of numbers(workflow.nodes)) seen.set(id, (seen.get(id) ?? 0) + 1);
    faults.push(...faultsOfWorkflow(workflow, byId, launchById));
  }
  for (const id of byId.keys())
    check(seen.get(id) === 1, `Firework ${id} is in ${seen.get(id) ?? 0} workflows`);

  const named = new Set(
    fireworks.flatMap((fw) => [...numbers(fw.launches), ...numbers(fw.archived_launches)]),
  );
  for (const [id, launch] of launchById) {
    check(named.has(id), `launch ${id} belongs to no Firework`);
    check(launch.state !== 'RUNNING', `launch ${id} is RUNNING`);
    const history = (launch.state_history as { state: string }[]).map(({ state }) => state);
    check(history.at(-1) === launch.state, `launch ${id} is ${launch.state}, its history says ${history}`);
  }
  return faults;
}

function faultsOfWorkflow(
  workflow: Document,
  byId: ReadonlyMap<number, Document>,
  launchById: ReadonlyMap<number, Document>,
): string[] {
  const faults: string[] = [];
  const check = (holds: boolean, fault: string) => void (holds || faults.push(fault));
  const nodes = numbers(workflow.nodes);
  const name = `workflow '${workflow.name}'`;
  check(!('locked' in workflow), `${name} is locked`);
  const keys = (field: string) => Object.keys(workflow[field]).map(Number).sort();
  check(String(keys('links')) === String([...nodes].sort()), `${name}: links and nodes differ`);
  check(String(keys('fw_states')) === String([...nodes].sort()), `${name}: fw_states and nodes differ`);

  const parents = new Map<number, number[]>();
  for (const [from, to] of Object.entries(workflow.links))
    for (const child of numbers(to)) parents.set(child, [...(parents.get(child) ?? []), Number(from)]);
  const stored = Object.entries(workflow.parent_links as Document);
  check(stored.length === parents.size, `${name}: parent_links and links differ`);
  for (const [child, list] of stored)
    check(
      String(numbers(list).sort()) === String([...(parents.get(Number(child)) ?? [])].sort()),
      `${name}: parent_links of ${child}`,
    );

  for (const id of nodes) {
    const firework = byId.get(id);
    if (!firework) {
      faults.push(`Firework ${id} of ${name} is not there`);
      continue;
    }
    check(
      workflow.fw_states[id] === firework.state,
      `Firework ${id} is ${firework.state}, its workflow says ${workflow.fw_states[id]}`,
    );
    const own = numbers(firework.launches).flatMap((launchId) => launchById.get(launchId) ?? []);
    check(own.length === firework.launches.length, `a launch of Firework ${id} is not there`);
    if (firework.state === 'COMPLETED' || firework.state === 'FIZZLED') {
      check(own.length === 1, `Firework ${id} is ${firework.state} with ${own.length} launches`);
      check(
        own[0]?.state === firework.state,
        `Firework ${id} is ${firework.state}, its launch ${own[0]?.state}`,
      );
    }
    // A child starts after all its parents have ended.
    const start = timeOf(own[0]?.time_start);
    for (const parent of parents.get(id) ?? []) {
      const [last] = numbers(byId.get(parent)?.launches ?? []).slice(-1);
      const end = timeOf(launchById.get(last ?? -1)?.time_end);
      check(
        !start || (end !== null && end <= start),
        `Firework ${id} started before its parent ${parent} ended`,
      );
    }
  }
  return faults;
}
