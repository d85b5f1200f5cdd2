import { defineCommand } from 'citty';
import type { Vm } from '../../core/cloud/compute.ts';
import { duration } from '../fleet/duration.ts';
import { asJson, place, prefix, range } from '../fleet/flags.ts';
import { fleetVms, openFleet } from '../fleet/fleet.ts';
import { rangeOf, vmNames } from '../fleet/names.ts';
import { note, printJson, printTable } from '../output.ts';

export const examples = ['borealisctl ps', 'borealisctl ps demo --json'];

export default defineCommand({
  meta: { name: 'ps', description: "lists a fleet's VMs" },
  args: { ...prefix, ...range, ...place, ...asJson },
  async run({ args: flags }) {
    const fleet = openFleet(flags);
    const { base, count } = rangeOf(flags.base, flags.count);
    const wanted =
      base === undefined && count === undefined
        ? null
        : new Set(vmNames(fleet.prefix, base ?? 0, count ?? 1));
    const vms = (await fleetVms(fleet)).filter(({ name }) => !wanted || wanted.has(name));
    if (flags.json) {
      printJson(vms.map(({ metadata, labels, ...vm }) => ({ ...vm, labels, quit: metadata.quit ?? null })));
      return;
    }
    if (vms.length === 0) {
      note(`There are no VMs in fleet '${fleet.prefix}'`);
      return;
    }
    await printTable<Vm>(vms, [
      { title: 'NAME', value: ({ name }) => name, shrinks: true },
      { title: 'STATE', value: ({ status }) => status },
      { title: 'ZONE', value: ({ zone }) => zone },
      { title: 'MACHINE', value: ({ machineType, spot }) => machineType + (spot ? ' spot' : '') },
      { title: 'DATABASE', value: ({ metadata }) => metadata.db },
      { title: 'QUIT', value: ({ metadata }) => metadata.quit },
      {
        title: 'AGE',
        value: ({ created }) => (created ? duration(Date.now() - created.getTime()) : ''),
        align: 'right',
      },
    ]);
  },
});
