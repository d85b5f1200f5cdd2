import { defineCommand } from 'citty';
import type { Vm } from '../../core/cloud/compute.ts';
import { duration } from '../fleet/duration.ts';
import { asJson, launchpadFile, place, prefix, range } from '../fleet/flags.ts';
import { fleetVms, openFleet } from '../fleet/fleet.ts';
import { flightsOn, flightText } from '../fleet/in_flight.ts';
import { rangeOf, vmNames } from '../fleet/names.ts';
import { costOf, dollars, hourlyPrice, readPrices } from '../fleet/prices.ts';
import { workerState } from '../fleet/worker_state.ts';
import { note, printJson, printTable } from '../output.ts';

export const examples = [
  'borealisctl ps',
  'borealisctl ps demo --json',
  'borealisctl ps demo --prices our_prices.json',
];

export default defineCommand({
  meta: { name: 'ps', description: "lists a fleet's VMs: what each flies, and about what it has cost" },
  args: {
    ...prefix,
    ...range,
    ...launchpadFile,
    prices: {
      type: 'string',
      valueHint: 'FILE',
      description: 'a table of prices instead of the one that comes along',
    },
    ...place,
    ...asJson,
  },
  async run({ args: flags }) {
    const fleet = openFleet(flags);
    const prices = readPrices(flags.prices);
    const { base, count } = rangeOf(flags.base, flags.count);
    const wanted =
      base === undefined && count === undefined
        ? null
        : new Set(vmNames(fleet.prefix, base ?? 0, count ?? 1));
    const vms = (await fleetVms(fleet)).filter(({ name }) => !wanted || wanted.has(name));
    const flights = vms.length > 0 ? await flightsOn(vms, flags.launchpad) : null;
    const rows = vms.map((vm) => {
      const flying = flights?.get(vm.name) ?? [];
      const ageMs = vm.created ? Date.now() - vm.created.getTime() : 0;
      const worker = workerState(vm, flights && flying);
      return { ...vm, flying, ageMs, worker, cost: costOf(hourlyPrice(vm, prices), ageMs) };
    });
    if (flags.json) {
      printJson(
        rows.map(({ metadata, fingerprint, flying, ageMs, cost, ...vm }) => ({
          ...vm,
          quit: metadata.quit ?? null,
          flying: flights && flying.map(({ fwId, name, since }) => ({ fw_id: fwId, name, since })),
          estimated_cost_usd: cost === null ? null : Number(cost.toFixed(4)),
        })),
      );
      return;
    }
    if (vms.length === 0) {
      note(`There are no VMs in fleet '${fleet.prefix}'`);
      return;
    }
    await printTable(rows, [
      { title: 'NAME', value: ({ name }) => name },
      { title: 'STATE', value: ({ status }) => status },
      { title: 'ZONE', value: ({ zone }) => zone },
      { title: 'MACHINE', value: ({ machineType, spot }: Vm) => machineType + (spot ? ' spot' : '') },
      { title: 'DATABASE', value: ({ metadata }) => metadata.db },
      { title: 'WORKER', value: ({ worker }) => worker },
      { title: 'FLIES', value: ({ flying }) => flightText(flying), shrinks: true },
      { title: 'AGE', value: ({ ageMs }) => duration(ageMs), align: 'right' },
      { title: 'COST', value: ({ cost }) => dollars(cost), align: 'right' },
    ]);
    const known = rows.flatMap(({ cost }) => cost ?? []);
    const total = known.reduce((sum, cost) => sum + cost, 0);
    const some = known.length < rows.length ? `; ${rows.length - known.length} without a price` : '';
    note(`About ${dollars(total)} so far${some}. An estimate: ${prices.about}`);
  },
});
