import { defineCommand } from 'citty';
import { confirm } from '../fleet/confirm.ts';
import { asJson, place, prefix, range } from '../fleet/flags.ts';
import { actOn, openFleet, targets } from '../fleet/fleet.ts';
import { nameSpan } from '../fleet/names.ts';

export const examples = ['borealisctl down demo', 'borealisctl down demo --base 10 --count 5 --yes'];

export default defineCommand({
  meta: { name: 'down', description: 'deletes worker VMs at once; quit-soon lets them finish first' },
  args: {
    ...prefix,
    ...range,
    yes: { type: 'boolean', alias: 'y', description: 'do not ask' },
    ...place,
    ...asJson,
  },
  async run({ args: flags }) {
    const fleet = openFleet(flags);
    const vms = await targets(fleet, flags);
    const names = vms.map(({ name }) => name);
    const question = `Delete ${vms.length} VMs, ${nameSpan(names)}? What runs on them is given back.`;
    if (vms.length > 0 && !(await confirm(flags.yes, `down deletes ${nameSpan(names)}`, question))) return 1;
    return await actOn(
      fleet,
      vms,
      { doing: 'Deleting', done: 'Deleted' },
      flags.json ?? false,
      (compute, list, onDone) => compute.delete(list, onDone),
    );
  },
});
