import { defineCommand } from 'citty';
import { everyValue } from '../command_line.ts';
import { confirm } from '../fleet/confirm.ts';
import { createVms } from '../fleet/create.ts';
import { asJson, dryRun, newVms, prefix } from '../fleet/flags.ts';
import { MANY, nameSpan, rangeOf, vmNames } from '../fleet/names.ts';
import { planOf } from '../fleet/plan.ts';

export const examples = [
  'borealisctl up --count 30',
  'borealisctl up demo --count 3 --spot -m db=analysis -o machine-type=n2-standard-4',
  'borealisctl up demo --count 50 --zone us-west1-b,us-west1-c --max-run-duration 12h --dry-run',
];

const args = {
  ...prefix,
  count: {
    type: 'string',
    alias: 'c',
    required: true,
    valueHint: 'N',
    description: 'how many VMs, 0 to 1000',
  },
  base: {
    type: 'string',
    alias: 'b',
    default: '0',
    valueHint: 'N',
    description: 'the number of the first VM',
  },
  ...newVms,
  yes: { type: 'boolean', alias: 'y', description: 'do not ask when there are more than 100' },
  ...dryRun,
  ...asJson,
} as const;

export default defineCommand({
  meta: { name: 'up', description: 'creates worker VMs: those of the fleet that are not there yet' },
  args,
  async run({ args: flags, rawArgs }) {
    const { base = 0, count = 1 } = rangeOf(flags.base, flags.count);
    const plan = planOf(flags, {
      options: everyValue(rawArgs, args, 'option'),
      metadata: everyValue(rawArgs, args, 'metadata'),
    });
    const creation = plan.creation(vmNames(plan.fleet.prefix, base, count));
    if (count > MANY && !flags['dry-run']) {
      const span = nameSpan(creation.names);
      const what = `up creates ${count} VMs, ${span}`;
      if (!(await confirm(flags.yes, what, `Create ${count} VMs, ${span}?`))) return 1;
    }
    return await createVms(plan.fleet, creation, flags.json ?? false);
  },
});
