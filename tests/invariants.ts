/** What must be true of a LaunchPad on which nothing runs any more, whoever worked on it. */

import { type LaunchPad, numberOf, timeOf } from '../core/launchpad/index.ts';
import { violations } from '../core/launchpad/invariants.ts';

const numbers = (list: unknown) => (list as unknown[]).map(numberOf);

/** Everything that is wrong, a sentence each: in the workflows, with the launches, and in the order of what ran. */
export async function faultsIn(launchpad: LaunchPad): Promise<string[]> {
  const faults = await violations(launchpad);
  const check = (holds: boolean, fault: string) => void (holds || faults.push(fault));
  const fireworks = await launchpad.fireworks.find().toArray();
  const launches = await launchpad.launches.find().toArray();
  const byId = new Map(launches.map((launch) => [numberOf(launch.launch_id), launch]));
  check(byId.size === launches.length, 'a launch_id is given twice');

  const named = fireworks.flatMap((fw) => [...numbers(fw.launches), ...numbers(fw.archived_launches)]);
  for (const [id, launch] of byId) {
    const holders = named.filter((other) => other === id).length;
    // When a worker or the server dies in the middle of a claim, its launch may be written and the Firework not name it.
    const unborn = launch.state === 'FIZZLED' && launch.action === null;
    check(holders === 1 || (holders === 0 && unborn), `launch ${id} belongs to no Firework, or to two`);
    check(launch.state !== 'RUNNING', `launch ${id} is RUNNING`);
    const history = (launch.state_history as { state: string }[]).map(({ state }) => state);
    check(history.at(-1) === launch.state, `launch ${id} is ${launch.state}, its history says ${history}`);
  }

  /** The launch that counts: there is one at most, for archived ones do not. */
  const launchOf = new Map(
    fireworks.map((fw) => [numberOf(fw.fw_id), byId.get(numbers(fw.launches)[0] ?? -1)]),
  );
  for (const fw of fireworks)
    check(fw.launches.length <= 1, `Firework ${fw.fw_id} has ${fw.launches.length} launches`);
  for await (const { links } of launchpad.workflows.find()) {
    for (const [parent, children] of Object.entries(links)) {
      const ended = timeOf(launchOf.get(Number(parent))?.time_end);
      for (const child of numbers(children)) {
        const started = timeOf(launchOf.get(child)?.time_start);
        const early = started !== null && (ended === null || started < ended);
        check(!early, `Firework ${child} started before its parent ${parent} had ended`);
      }
    }
  }
  return faults;
}
