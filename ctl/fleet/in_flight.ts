/** What a fleet's workers fly, from the LaunchPad: it is the only truth about work. */
import type { VmPlace } from '../../core/cloud/compute.ts';
import { messageOf } from '../../core/errors.ts';
import {
  findLaunchPadFile,
  LaunchPad,
  launchPadSettings,
  numberOf,
  readLaunchPadFile,
  timeOf,
} from '../../core/launchpad/index.ts';
import { note } from '../output.ts';

/** A Firework that is RUNNING on a worker. */
export interface Flight {
  fwId: number;
  name: string;
  since: Date | null;
}

/** Flights by the names of the VMs. */
export type Flights = ReadonlyMap<string, readonly Flight[]>;

/** Long enough for a database far away, short enough for somebody who waits for `ps`. */
const FIND_MS = 4000;

/**
 * What is RUNNING on the VMs. Null, after a line that says why, when the LaunchPad cannot be asked, and without a line when
 * there is no LaunchPad file or `file` is ''. The VMs' own database is asked, on the file's server.
 */
export async function flightsOn(
  vms: readonly (VmPlace & { metadata?: Record<string, string> })[],
  file: string | undefined,
): Promise<Flights | null> {
  if (file === '') return null;
  const path = findLaunchPadFile(file, process.env);
  if (!path) return null;
  const settings = launchPadSettings(readLaunchPadFile(path), path);
  const databases = new Set(vms.map(({ metadata }) => metadata?.db || settings.name));
  const flights = new Map<string, readonly Flight[]>();
  try {
    for (const name of databases) {
      await using launchpad = await LaunchPad.open(
        { ...settings, name },
        { appName: 'borealisctl', serverSelectionTimeoutMs: FIND_MS },
      );
      const there = vms.filter(({ metadata }) => (metadata?.db || settings.name) === name);
      for (const [vm, flying] of await running(launchpad, there)) flights.set(vm, flying);
    }
    return flights;
  } catch (thrown) {
    note(`What the workers fly is not known: ${messageOf(thrown).split('\n')[0]}`);
    return null;
  }
}

/** Two questions, however large the fleet is. */
async function running(launchpad: LaunchPad, vms: readonly VmPlace[]): Promise<Map<string, Flight[]>> {
  const launches = await launchpad.launches
    .find(
      { 'fworker.name': { $in: vms.map(({ name }) => name) }, state: 'RUNNING' },
      { projection: { fw_id: 1, time_start: 1, 'fworker.name': 1 } },
    )
    .toArray();
  const fireworks = await launchpad.fireworks
    .find({ fw_id: { $in: launches.map(({ fw_id }) => fw_id) } }, { projection: { fw_id: 1, name: 1 } })
    .toArray();
  const names = new Map(fireworks.map(({ fw_id, name }) => [numberOf(fw_id), String(name ?? 'Firework')]));
  const flights = new Map<string, Flight[]>();
  for (const { fw_id, time_start, fworker } of launches) {
    const fwId = numberOf(fw_id);
    const flight = { fwId, name: names.get(fwId) ?? 'Firework', since: timeOf(time_start) };
    flights.set(fworker.name, [...(flights.get(fworker.name) ?? []), flight]);
  }
  return flights;
}

/** `count 3--5`, as other lists name Fireworks; of several the first, and how many more. */
export function flightText(flights: readonly Flight[]): string {
  const [first, ...more] = flights;
  if (!first) return '';
  return `${first.name}--${first.fwId}${more.length > 0 ? ` and ${more.length} more` : ''}`;
}
