import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { everyValue } from '../command_line.ts';
import { asJson, dryRun, place, prefix, range } from '../fleet/flags.ts';
import { actOn, openFleet, targets } from '../fleet/fleet.ts';
import { parseMetadataChange } from '../fleet/pairs.ts';

export const examples = [
  'borealisctl set-metadata demo -m quit=when-idle',
  'borealisctl set-metadata demo --count 2 -m idle_for_rockets=60',
  'borealisctl set-metadata demo -m idle_for_rockets',
];

const args = {
  ...prefix,
  ...range,
  metadata: {
    type: 'string',
    alias: 'm',
    required: true,
    valueHint: 'KEY=VALUE',
    description: 'a metadata attribute, or KEY alone to remove it; may be repeated',
  },
  ...dryRun,
  ...place,
  ...asJson,
} as const;

export default defineCommand({
  meta: {
    name: 'set-metadata',
    description: 'sets or removes metadata attributes of VMs; their other attributes stay',
  },
  args,
  async run({ args: flags, rawArgs }) {
    const set = parseMetadataChange(everyValue(rawArgs, args, 'metadata'));
    if (Object.keys(set).length === 0) throw new UsageError('set-metadata needs at least one -m KEY=VALUE');
    const fleet = openFleet(flags);
    const vms = await targets(fleet, flags);
    const words = { doing: 'Setting metadata of', done: 'Set metadata of' };
    return await actOn(fleet, vms, words, flags.json ?? false, (compute, list, onDone) =>
      compute.setMetadata(list, set, onDone),
    );
  },
});
