import { defineCommand } from 'citty';
import { everyValue } from '../command_line.ts';
import { confirm } from '../fleet/confirm.ts';
import { createVms } from '../fleet/create.ts';
import { asJson, place, prefix } from '../fleet/flags.ts';
import { openFleet } from '../fleet/fleet.ts';
import { checkOptions } from '../fleet/instance_body.ts';
import { launchPadMetadata, requireDatabase } from '../fleet/metadata.ts';
import { MANY, nameSpan, rangeOf, vmNames } from '../fleet/names.ts';
import { parseMetadata, parsePairs } from '../fleet/pairs.ts';

export const examples = [
  'borealisctl up --count 30',
  'borealisctl up demo --count 3 --spot -m db=analysis -o machine-type=n2-standard-4',
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
  family: { type: 'string', alias: 'f', default: 'fireworker', description: 'the image family to boot' },
  launchpad: {
    type: 'string',
    alias: 'l',
    valueHint: 'FILE',
    description: "the LaunchPad file whose database, user and password the workers get ('' for none)",
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
    description: 'an option of gcloud compute instances create; may be repeated',
  },
  spot: { type: 'boolean', description: 'spot VMs: far cheaper, and Google may take them back' },
  yes: { type: 'boolean', alias: 'y', description: 'do not ask when there are more than 100' },
  'dry-run': { type: 'boolean', alias: 'd', description: 'show what would be asked for' },
  ...place,
  ...asJson,
} as const;

export default defineCommand({
  meta: { name: 'up', description: 'creates worker VMs' },
  args,
  async run({ args: flags, rawArgs }) {
    const options = parsePairs('-o', everyValue(rawArgs, args, 'option'));
    checkOptions(options);
    const { base = 0, count = 1 } = rangeOf(flags.base, flags.count);
    const metadata = {
      ...launchPadMetadata(flags.launchpad),
      ...parseMetadata(everyValue(rawArgs, args, 'metadata')),
    };
    if (flags.family === 'fireworker') requireDatabase(metadata);
    const fleet = openFleet({
      ...flags,
      project: flags.project ?? options.project,
      zone: flags.zone ?? options.zone,
    });
    const { project, zone } = fleet.compute;
    const spec = {
      project,
      zone,
      prefix: fleet.prefix,
      family: flags.family,
      options,
      metadata,
      spot: flags.spot ?? false,
    };
    const names = vmNames(fleet.prefix, base, count);
    const dryRun = flags['dry-run'] ?? false;
    if (count > MANY && !dryRun) {
      const what = `up creates ${count} VMs, ${nameSpan(names)}`;
      if (!(await confirm(flags.yes, what, `Create ${count} VMs, ${nameSpan(names)}?`))) return 1;
    }
    return await createVms(fleet, names, spec, { dryRun, json: flags.json ?? false });
  },
});
