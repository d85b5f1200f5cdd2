/**
 * What must be true of every workflow in a LaunchPad while nobody is changing it: the documents agree with each other, and
 * every state follows from the rules of states.ts. Tests call it after all they do; it repairs nothing.
 */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import type { State } from './model.ts';
import { isHeld, type LaunchState, parentLinks, refreshedState, workflowState } from './states.ts';
import { numberOf } from './values.ts';

interface Firework {
  state: State;
  launches: number[];
  allowFizzledParents: boolean;
}

const sorted = (ids: readonly number[]) => [...new Set(ids)].sort((a, b) => a - b).join(' ');

/** Every broken invariant as a sentence; none: all is well. Reads the workflows one by one, with their Fireworks. */
export async function violations(launchpad: LaunchPad): Promise<string[]> {
  const found: string[] = [];
  const owner = new Map<number, number>();
  for await (const workflow of launchpad.workflows.find({})) {
    const ids = (workflow.nodes as unknown[]).map(numberOf);
    const name = `workflow of ${Math.min(...ids)}`;
    for (const id of ids) {
      if (owner.has(id)) found.push(`Firework ${id} is in the ${name} and in that of ${owner.get(id)}`);
      owner.set(id, Math.min(...ids));
    }
    for (const line of await ofWorkflow(launchpad, workflow, ids)) found.push(`${name}: ${line}`);
  }
  for await (const { fw_id } of launchpad.fireworks.find({}, { projection: { fw_id: 1 } }))
    if (!owner.has(numberOf(fw_id))) found.push(`Firework ${fw_id} is in no workflow`);
  return found;
}

async function ofWorkflow(launchpad: LaunchPad, workflow: Document, ids: number[]): Promise<string[]> {
  const found: string[] = [];
  const links = workflow.links as Record<string, number[]>;
  const parents = workflow.parent_links as Record<string, number[]>;
  const states = workflow.fw_states as Record<string, State>;
  const expect = (what: string, there: unknown, wanted: unknown) => {
    if (there !== wanted) found.push(`${what} is ${there}, not ${wanted}`);
  };
  if (workflow.locked) found.push('it is locked');
  expect('keys of links', sorted(Object.keys(links).map(Number)), sorted(ids));
  expect('keys of fw_states', sorted(Object.keys(states).map(Number)), sorted(ids));
  const inverse = parentLinks(links);
  for (const id of ids) expect(`parent_links of ${id}`, sorted(parents[id] ?? []), sorted(inverse[id] ?? []));

  const fireworks = await fireworksOf(launchpad, ids);
  const launches = await launchesOf(
    launchpad,
    [...fireworks.values()].flatMap((firework) => firework.launches),
  );
  for (const id of ids) {
    const firework = fireworks.get(id);
    if (!firework) {
      found.push(`Firework ${id} has no document`);
      continue;
    }
    expect(`fw_states of ${id}`, states[id], firework.state);
    for (const launch of firework.launches)
      if (!launches.has(launch)) found.push(`launch ${launch} of ${id} has no document`);
    if (isHeld(firework.state)) continue;
    const rule = refreshedState({
      ...firework,
      parents: (inverse[id] ?? []).flatMap((parent) => fireworks.get(parent)?.state ?? []),
      launches: firework.launches.flatMap((launch) => launches.get(launch) ?? []),
    });
    // A detour can be put in front of what failed already: FireWorks looks at that again when the detour ends.
    if (rule === 'WAITING' && firework.state === 'FIZZLED') continue;
    expect(`the state of ${id}`, firework.state, rule);
  }
  const overall = workflowState({
    states: new Set([...fireworks.values()].map(({ state }) => state)),
    leavesCompleted: ids.every((id) => links[id]?.length !== 0 || fireworks.get(id)?.state === 'COMPLETED'),
    childrenOfFizzled: ids
      .filter((id) => fireworks.get(id)?.state === 'FIZZLED')
      .map((id) => (links[id] ?? []).map((child) => fireworks.get(child)?.allowFizzledParents === true)),
  });
  expect('its state', workflow.state, overall);
  return found;
}

async function fireworksOf({ fireworks }: LaunchPad, ids: number[]): Promise<Map<number, Firework>> {
  const projection = { fw_id: 1, state: 1, launches: 1, 'spec._allow_fizzled_parents': 1 };
  const result = new Map<number, Firework>();
  for await (const { fw_id, state, launches, spec } of fireworks.find(
    { fw_id: { $in: ids } },
    { projection },
  ))
    result.set(numberOf(fw_id), {
      state,
      launches: launches.map(numberOf),
      allowFizzledParents: Boolean(spec?._allow_fizzled_parents),
    });
  return result;
}

async function launchesOf({ launches }: LaunchPad, ids: number[]): Promise<Map<number, LaunchState>> {
  const projection = { launch_id: 1, state: 1 };
  const result = new Map<number, LaunchState>();
  for await (const { launch_id, state } of launches.find({ launch_id: { $in: ids } }, { projection }))
    result.set(numberOf(launch_id), { launch_id: numberOf(launch_id), state });
  return result;
}
