/** What new VMs a command line asks for. */
import type { Where } from '../../core/cloud/compute.ts';
import { UsageError } from '../../core/errors.ts';
import type { Creation } from './create.ts';
import { type Fleet, openFleet, regionOf, zonesOf } from './fleet.ts';
import { instanceProperties, textOf } from './instance_properties.ts';
import { launchPadMetadata, requireDatabase } from './metadata.ts';
import { checkOptions } from './options.ts';
import { parseMetadata, parsePairs } from './pairs.ts';

/** The flags of `newVms`, and the fleet's name. */
export interface NewVmFlags {
  prefix?: string;
  family: string;
  launchpad?: string;
  spot?: boolean;
  'max-run-duration'?: string;
  'startup-script'?: string;
  project?: string;
  zone?: string;
  region?: string;
  'any-zone'?: boolean;
  'dry-run'?: boolean;
}

export interface Plan {
  fleet: Fleet;
  /** VMs of these names. */
  creation: (names: readonly string[]) => Creation;
  /** The workers' database, when it is said. */
  database: string | undefined;
}

/** `options` and `metadata` are the values of -o and -m. Throws UsageError for what cannot be asked for. */
export function planOf(
  flags: NewVmFlags,
  given: { options: readonly string[]; metadata: readonly string[] },
): Plan {
  const { 'max-run-duration': maxRunDuration, 'startup-script': script } = flags;
  const options: Record<string, string> = {
    ...parsePairs('-o', given.options),
    ...(maxRunDuration !== undefined && { 'max-run-duration': maxRunDuration }),
  };
  checkOptions(options);
  const metadata: Record<string, string> = {
    ...launchPadMetadata(flags.launchpad),
    ...(script !== undefined && { 'startup-script': textOf(script) }),
    ...parseMetadata(given.metadata),
  };
  if (flags.family === 'fireworker') requireDatabase(metadata);
  const asked: NewVmFlags = {
    ...flags,
    project: flags.project ?? options.project,
    zone: flags.zone ?? options.zone,
  };
  const fleet = openFleet(asked);
  const places = placesOf(asked);
  const spec = {
    project: fleet.compute.project,
    prefix: fleet.prefix,
    family: flags.family,
    options,
    metadata,
    spot: flags.spot ?? false,
  };
  // Once before anything is asked for: it throws for what Compute would refuse.
  instanceProperties(spec, 'region');
  return {
    fleet,
    creation: (names) => ({ names, spec, places }),
    database: metadata.db,
  };
}

function placesOf(flags: NewVmFlags): Where[] {
  const { region, zone, 'any-zone': anyZone = false } = flags;
  if (region !== undefined && zone !== undefined)
    throw new UsageError('--region and --zone exclude each other: Google chooses a zone of the region');
  if (region === undefined && !anyZone) return zonesOf(flags).map((zone) => ({ zone }));
  return [{ region: region ?? regionOf(zonesOf(flags)[0] as string), anyZone }];
}
