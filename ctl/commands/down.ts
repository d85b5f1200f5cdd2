import { defineCommand } from 'citty';
import { confirm } from '../fleet/confirm.ts';
import { drain } from '../fleet/drain.ts';
import { asJson, dryRun, launchpadFile, place, prefix, range } from '../fleet/flags.ts';
import { actOn, openFleet, targets, vmCount } from '../fleet/fleet.ts';
import { type Flights, flightsOn, flightText } from '../fleet/in_flight.ts';
import { nameSpan } from '../fleet/names.ts';
import { note } from '../output.ts';

export const examples = [
  'borealisctl down demo',
  'borealisctl down demo --base 10 --count 5 --yes',
  'borealisctl down demo --drain',
];

/** So many VMs in flight are named before the question. */
const NAMED = 10;

export default defineCommand({
  meta: {
    name: 'down',
    description: 'deletes worker VMs at once, or with --drain when each has finished the task in flight',
  },
  args: {
    ...prefix,
    ...range,
    drain: { type: 'boolean', description: 'set quit=soon, wait until the workers have gone, then delete' },
    yes: { type: 'boolean', alias: 'y', description: 'do not ask' },
    ...dryRun,
    ...launchpadFile,
    ...place,
    ...asJson,
  },
  async run({ args: flags }) {
    const fleet = openFleet(flags);
    const vms = await targets(fleet, flags);
    const names = vms.map(({ name }) => name);
    if (vms.length > 0 && !fleet.requests) {
      const flights = await flightsOn(vms, flags.launchpad);
      if (flights) tellFlights(flights);
      const what = flags.drain ? 'What runs on them is finished.' : 'What runs on them is given back.';
      const question = `Delete ${vmCount(vms.length)}, ${nameSpan(names)}? ${what}`;
      if (!(await confirm(flags.yes, `down deletes ${nameSpan(names)}`, question))) return 1;
    }
    if (flags.drain && vms.length > 0) await drain(fleet, vms);
    return await actOn(
      fleet,
      vms,
      { doing: 'Deleting', done: 'Deleted' },
      flags.json ?? false,
      (compute, list, onDone) => compute.delete(list, onDone),
    );
  },
});

function tellFlights(flights: Flights): void {
  const flying = [...flights].slice(0, NAMED);
  for (const [name, its] of flying) note(`In flight: ${name} runs ${flightText(its)}`);
  if (flights.size > NAMED) note(`and ${flights.size - NAMED} more VMs are in flight`);
}
