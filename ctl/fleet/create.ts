/** New VMs of a fleet: those that are missing, in the first place that has room. */
import { namesFilter, type VmResult, type Where } from '../../core/cloud/compute.ts';
import { BorealisError } from '../../core/errors.ts';
import { note, printJson, progress, tableText } from '../output.ts';
import { type Fleet, regionOf, tellRequests, vmCount } from './fleet.ts';
import { type FleetSpec, instanceProperties } from './instance_properties.ts';
import { FLEET_LABEL, nameSpan } from './names.ts';

export interface NewVm extends VmResult {
  /** It was there before. */
  existed?: boolean;
}

export interface Creation {
  names: readonly string[];
  spec: FleetSpec;
  /** Where room is looked for, one place after the other. */
  places: readonly Where[];
}

/**
 * Creates those of the VMs that are not there yet, and says of each what became of it. `say` hears what goes on, such as a
 * zone that has no room. Throws UsageError for what cannot be asked for, before anything is.
 */
export async function makeVms(
  fleet: Fleet,
  { names, spec, places }: Creation,
  say: (text: string) => void,
): Promise<NewVm[]> {
  const { compute } = fleet;
  // All made first: a bad option must not leave half a fleet.
  const asked = places.map((where) => ({
    where,
    properties: instanceProperties(spec, 'zone' in where ? regionOf(where.zone) : where.region),
  }));
  const results = new Map<string, NewVm>();
  for (const vm of await compute.list(namesFilter(names))) {
    const error = refusalOf(vm.name, vm.status, vm.labels[FLEET_LABEL] === fleet.prefix);
    if (names.includes(vm.name))
      results.set(vm.name, { name: vm.name, zone: vm.zone, ...(error ? { error } : { existed: true }) });
  }
  const there = names.filter((name) => results.get(name)?.existed);
  if (there.length > 0) say(`There already: ${nameSpan(there)}`);
  let missing = names.filter((name) => !results.has(name));
  for (const [i, { where, properties }] of asked.entries()) {
    if (missing.length === 0) break;
    say(`Creating ${vmCount(missing.length)}: ${nameSpan(missing)}${i > 0 ? ` in ${placeName(where)}` : ''}`);
    for (const result of await compute.create(missing, properties, where)) results.set(result.name, result);
    const failed = missing.filter((name) => results.get(name)?.elsewhere);
    const next = asked[i + 1];
    const [why] = failed.map((name) => results.get(name)?.error?.message.replace(/^[^:]*: /, ''));
    if (next && failed.length > 0)
      say(`${vmCount(failed.length)} could not be had in ${placeName(where)}: ${why}`);
    missing = failed;
  }
  return names.map((name) => results.get(name) as NewVm);
}

const placeName = (where: Where) => ('zone' in where ? where.zone : where.region);

/** Why a VM that is there is none of the new ones. */
function refusalOf(name: string, status: string, ours: boolean): BorealisError | null {
  if (!ours)
    return new BorealisError(
      `${name} exists already and is no VM of this fleet. Choose other numbers with --base, or another PREFIX`,
    );
  if (/^(STOPPING|STOPPED|SUSPEND\w+|TERMINATED)$/.test(status))
    return new BorealisError(
      `${name} is ${status}: delete it (borealisctl down) and run the same command again`,
    );
  return null;
}

/** `makeVms` with progress; tells the outcome. Returns the exit code: 1 when a VM is missing. */
export async function createVms(fleet: Fleet, creation: Creation, json: boolean): Promise<number> {
  if (creation.names.length === 0) {
    if (json) printJson([]);
    note('--count 0: there is nothing to do');
    return 0;
  }
  const line = progress();
  const results = await makeVms(fleet, creation, (text) => {
    // In a dry run nothing is created, and the requests say all.
    if (!fleet.requests) line.update(text);
  }).finally(() => line.done());
  if (fleet.requests) return tellRequests(fleet.requests);
  return await tellCreated(results, json);
}

/** Tells what became of new VMs: a line, or when some are missing a table. Returns the exit code. */
export async function tellCreated(results: readonly NewVm[], json: boolean): Promise<number> {
  const made = results.filter(({ error, existed }) => !error && !existed).map(({ name }) => name);
  const failed = results.filter(({ error }) => error);
  if (json) printJson(results.map(asJson));
  if (made.length > 0) note(`Created ${vmCount(made.length)}: ${nameSpan(made)}`);
  if (failed.length === 0) return 0;
  const reasons = new Set(failed.map(({ name, error }) => why(name, error)));
  if (failed.length === results.length && reasons.size === 1)
    note(`error: ${nameSpan(failed.map(({ name }) => name))}: ${[...reasons][0]}`);
  else
    note(
      await tableText<NewVm>(
        results,
        [
          { title: 'VM', value: ({ name }) => name },
          {
            title: 'STATE',
            value: ({ error, existed }) => (error ? 'missing' : existed ? 'there' : 'created'),
          },
          { title: 'WHY', value: ({ name, error }) => why(name, error) },
        ],
        Number.POSITIVE_INFINITY,
      ),
    );
  note(
    `${failed.length} of ${vmCount(results.length)} are missing. The same command again asks for those alone.`,
  );
  return 1;
}

const why = (name: string, error: BorealisError | undefined) =>
  (error?.message ?? '').replace(new RegExp(`^${name}:? `), '');

const asJson = ({ name, zone, error, existed }: NewVm) => ({
  name,
  ok: !error,
  ...(zone && { zone }),
  ...(existed && { existed }),
  ...(error && { error: error.message }),
});
