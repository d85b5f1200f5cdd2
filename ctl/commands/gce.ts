/** Upstream's `gce`, with its flags, for scripts that use it. */
import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { everyValue } from '../command_line.ts';
import { createVms } from '../fleet/create.ts';
import { actOn, openFleet } from '../fleet/fleet.ts';
import { checkOptions } from '../fleet/instance_body.ts';
import { launchPadMetadata, requireDatabase } from '../fleet/metadata.ts';
import { MANY, rangeOf, vmNames } from '../fleet/names.ts';
import { parseMetadata, parsePairs, redact } from '../fleet/pairs.ts';
import { printJson } from '../output.ts';

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
    const options = parsePairs('-o', everyValue(rawArgs, args, 'option'));
    checkOptions(options);
    const given = parseMetadata(everyValue(rawArgs, args, 'metadata'));
    const { base = 0, count = 1 } = rangeOf(flags.base, flags.count, MANY);
    const fleet = openFleet({ prefix: flags['name-prefix'], project: options.project, zone: options.zone });
    const { project, zone } = fleet.compute;
    const names = vmNames(fleet.prefix, base, count);
    const vms = names.map((name) => ({ name, zone }));
    const dryRun = flags['dry-run'] ?? false;
    if (flags.delete) {
      if (dryRun) return printJson({ delete: names });
      return await actOn(fleet, vms, { doing: 'Deleting', done: 'Deleted' }, false, (compute, list, onDone) =>
        compute.delete(list, onDone),
      );
    }
    if (flags['set-metadata'] || flags['quit-soon']) {
      const set = { ...given, ...(flags['quit-soon'] && { quit: 'soon' }) };
      if (Object.keys(set).length === 0)
        throw new UsageError('gce: --set-metadata needs at least one -m KEY=VALUE');
      if (dryRun) return printJson({ setMetadata: names, metadata: redact(set) });
      return await actOn(
        fleet,
        vms,
        { doing: 'Setting metadata of', done: 'Set metadata of' },
        false,
        (compute, list, onDone) => compute.setMetadata(list, set, onDone),
      );
    }
    const metadata = { ...launchPadMetadata(flags.launchpad), ...given };
    if (flags.family === 'fireworker') requireDatabase(metadata);
    return await createVms(
      fleet,
      names,
      { project, zone, prefix: fleet.prefix, family: flags.family, options, metadata, spot: false },
      { dryRun, json: false },
    );
  },
});
