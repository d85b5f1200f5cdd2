/** Upstream's `gce`, with its flags, for scripts that use it. */
import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { everyValue } from '../command_line.ts';
import { createVms } from '../fleet/create.ts';
import { actOn, named } from '../fleet/fleet.ts';
import { MANY, rangeOf, vmNames } from '../fleet/names.ts';
import { parseMetadata } from '../fleet/pairs.ts';
import { planOf } from '../fleet/plan.ts';

export const examples = ['gce grace-wcm -c3 -m db=analysis', 'gce grace-wcm -c3 --set-metadata -m quit=soon'];

const args = {
  'name-prefix': { type: 'positional', required: true, description: "the VMs' name prefix" },
  delete: { type: 'boolean', description: 'delete VMs instead of creating them' },
  // Upstream's argument parser takes any beginning of a flag that is plain; its own examples use --set.
  'set-metadata': { type: 'boolean', alias: 'set', description: 'set metadata of existing VMs' },
  'quit-soon': { type: 'boolean', alias: 'quit', description: 'the same as --set-metadata -m quit=soon' },
  'dry-run': { type: 'boolean', alias: 'd', description: 'show what would be done' },
  base: { type: 'string', alias: 'b', default: '0', description: 'the number of the first VM' },
  count: { type: 'string', alias: 'c', default: '1', description: 'how many VMs' },
  family: { type: 'string', alias: 'f', default: 'fireworker', description: 'the image family' },
  launchpad: {
    type: 'string',
    alias: 'l',
    valueHint: 'FILE',
    description: "the LaunchPad file ('' for none)",
  },
  metadata: {
    type: 'string',
    alias: 'm',
    valueHint: 'KEY=VALUE',
    description: 'a metadata attribute; may be repeated',
  },
  option: {
    type: 'string',
    alias: 'o',
    valueHint: 'KEY=VALUE',
    description: 'a gcloud option; may be repeated',
  },
} as const;

export default defineCommand({
  meta: { name: 'gce', description: "upstream's gce: creates, deletes or changes worker VMs" },
  args,
  async run({ args: flags, rawArgs }) {
    const actions = [flags.delete, flags['set-metadata'], flags['quit-soon']].filter(Boolean).length;
    if (actions > 1) throw new UsageError('gce: --delete, --set-metadata and --quit-soon exclude each other');
    const create = actions === 0;
    const { base = 0, count = 1 } = rangeOf(flags.base, flags.count, MANY);
    const given = everyValue(rawArgs, args, 'metadata');
    // As upstream: only new VMs get what the LaunchPad file says.
    const { fleet, creation } = planOf(
      {
        prefix: flags['name-prefix'],
        family: create ? flags.family : '',
        launchpad: create ? flags.launchpad : '',
        'dry-run': flags['dry-run'],
      },
      { options: everyValue(rawArgs, args, 'option'), metadata: given },
    );
    const names = vmNames(fleet.prefix, base, count);
    if (create) return await createVms(fleet, creation(names), false);
    const vms = await named(fleet, names);
    if (flags.delete)
      return await actOn(fleet, vms, { doing: 'Deleting', done: 'Deleted' }, false, (compute, list, onDone) =>
        compute.delete(list, onDone),
      );
    const set = { ...parseMetadata(given), ...(flags['quit-soon'] && { quit: 'soon' }) };
    if (Object.keys(set).length === 0)
      throw new UsageError('gce: --set-metadata needs at least one -m KEY=VALUE');
    return await actOn(
      fleet,
      vms,
      { doing: 'Setting metadata of', done: 'Set metadata of' },
      false,
      (compute, list, onDone) => compute.setMetadata(list, set, onDone),
    );
  },
});
