import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { everyValue } from '../command_line.ts';
import { asJson, place, prefix, range } from '../fleet/flags.ts';
import { actOn, openFleet, targets } from '../fleet/fleet.ts';
import { parseMetadata } from '../fleet/pairs.ts';

export const examples = [
  'borealisctl set-metadata demo -m quit=when-idle',
  'borealisctl set-metadata demo --count 2 -m idle_for_rockets=60',
];

const args = {
  ...prefix,
  ...range,
  metadata: {
    type: 'string',
    alias: 'm',
    required: true,
    valueHint: 'KEY=VALUE',
    description: 'a metadata attribute; may be repeated',
  },
  ...place,
  ...asJson,
} as const;

export default defineCommand({
  meta: { name: 'set-metadata', description: 'sets metadata attributes of VMs; their other attributes stay' },
  args,
  async run({ args: flags, rawArgs }) {
    const set = parseMetadata(everyValue(rawArgs, args, 'metadata'));
    if (Object.keys(set).length === 0) throw new UsageError('set-metadata needs at least one -m KEY=VALUE');
    const fleet = openFleet(flags);
    const vms = await targets(fleet, flags);
    const words = { doing: 'Setting metadata of', done: 'Set metadata of' };
    return await actOn(fleet, vms, words, flags.json ?? false, (compute, names, onDone) =>
      compute.setMetadata(names, set, onDone),
    );
  },
});
