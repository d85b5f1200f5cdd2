/** A fleet in Compute Engine: found, acted upon, and told about. */
import { Compute, namesFilter, type Vm, type VmPlace, type VmResult } from '../../core/cloud/compute.ts';
import type { ApiRequest } from '../../core/cloud/compute_requests.ts';
import { type Env, readEndpoints, resolveProject, resolveZone } from '../../core/cloud/endpoints.ts';
import { BorealisError, UsageError } from '../../core/errors.ts';
import { note, printJson, progress } from '../output.ts';
import { defaultPrefix, FLEET_LABEL, nameSpan, rangeOf, sanitizePrefix, vmNames } from './names.ts';
import { listOf } from './options.ts';
import { maskRequest } from './pairs.ts';

export interface FleetFlags {
  prefix?: string;
  project?: string;
  /** One, or several with commas between them. */
  zone?: string;
  region?: string;
  base?: string;
  count?: string;
  'dry-run'?: boolean;
}

export interface Fleet {
  prefix: string;
  compute: Compute;
  /** In a dry run: what would be asked for. Null when it is meant. */
  requests: ApiRequest[] | null;
}

/** The fleet that a command line names. Throws UsageError when no project or zone is configured. */
export function openFleet(flags: FleetFlags, env: Env = process.env): Fleet {
  const prefix = sanitizePrefix(flags.prefix ?? defaultPrefix(env));
  const requests: ApiRequest[] | null = flags['dry-run'] ? [] : null;
  const compute = new Compute(
    resolveProject({ flag: flags.project, env }),
    zonesOf(flags, env)[0] as string,
    readEndpoints(env),
    requests ? { dryRun: (request) => requests.push(request) } : {},
  );
  return { prefix, compute, requests };
}

/** The zones that a command line names, in their order: at least one. A region alone stands for its first zone. */
export function zonesOf({ zone, region }: FleetFlags, env: Env = process.env): string[] {
  if (zone === undefined && region !== undefined) return [`${region}-a`];
  const zones = zone === undefined ? [resolveZone({ env })] : listOf(zone);
  const wrong = zones.find((one) => !/^[a-z]+-[a-z0-9-]+-[a-z]$/.test(one));
  if (wrong !== undefined || zones.length === 0)
    throw new UsageError(`--zone ${zone ?? wrong}: a zone looks like us-west1-b`);
  return zones;
}

/** `us-west1` of `us-west1-b`. */
export const regionOf = (zone: string) => zone.replace(/-[a-z]$/, '');

/** The fleet's VMs, found by their label. */
export async function fleetVms({ prefix, compute }: Fleet): Promise<Vm[]> {
  return await compute.list(`labels.${FLEET_LABEL}=${prefix}`);
}

/** VMs that a command is about; of those that are not there only the place is known, and Compute will say so. */
export type Target = VmPlace & Partial<Vm>;

/**
 * The VMs of --base and --count, whoever made them and in whichever zones they are; else every VM of the fleet, which are
 * never none.
 */
export async function targets(fleet: Fleet, flags: FleetFlags): Promise<Target[]> {
  const { base, count } = rangeOf(flags.base, flags.count);
  if (base !== undefined || count !== undefined)
    return await named(fleet, vmNames(fleet.prefix, base ?? 0, count ?? 1));
  const vms = await fleetVms(fleet);
  if (vms.length > 0) return vms;
  throw new BorealisError(`There are no VMs in fleet '${fleet.prefix}' of project ${fleet.compute.project}`);
}

/** VMs by their names. */
export async function named({ compute }: Fleet, names: readonly string[]): Promise<Target[]> {
  if (names.length === 0) return [];
  const there = new Map((await compute.list(namesFilter(names))).map((vm) => [vm.name, vm]));
  return names.map((name) => there.get(name) ?? { name, zone: compute.zone });
}

export type Action = (
  compute: Compute,
  vms: readonly Target[],
  onDone: (result: VmResult) => void,
) => Promise<VmResult[]>;

/** Says what a dry run would have asked for, without its secrets. Returns the exit code. */
export function tellRequests(requests: readonly ApiRequest[]): number {
  printJson({ requests: requests.map(maskRequest) });
  return 0;
}

/**
 * Does something to many VMs with progress, and tells the outcome: one line for what was done, one for each VM that refused.
 * Returns the exit code: 1 when any did. In a dry run the requests are told instead.
 */
export async function actOn(
  fleet: Fleet,
  vms: readonly Target[],
  words: { doing: string; done: string },
  json: boolean,
  action: Action,
): Promise<number> {
  if (vms.length === 0) {
    if (json) printJson([]);
    note('--count 0: there is nothing to do');
    return 0;
  }
  if (fleet.requests) {
    await action(fleet.compute, vms, () => {});
    return tellRequests(fleet.requests);
  }
  const line = progress();
  let finished = 0;
  line.update(`${words.doing} ${vmCount(vms.length)}: ${nameSpan(vms.map(({ name }) => name))}`);
  const onDone = () => {
    finished++;
    if (process.stderr.isTTY) line.update(`${words.doing} VMs: ${finished} of ${vms.length}`);
  };
  const results = await action(fleet.compute, vms, onDone).finally(() => line.done());
  return tell(results, words.done, json);
}

export const vmCount = (count: number) => `${count} VM${count === 1 ? '' : 's'}`;

function tell(results: readonly VmResult[], done: string, json: boolean): number {
  const failed = results.filter(({ error }) => error);
  const fine = results.filter(({ error }) => !error).map(({ name }) => name);
  if (json)
    printJson(
      results.map(({ name, error }) => ({ name, ok: !error, ...(error && { error: error.message }) })),
    );
  if (fine.length > 0) note(`${done} ${vmCount(fine.length)}: ${nameSpan(fine)}`);
  for (const { error } of failed) note(`error: ${error?.message}`);
  return failed.length > 0 ? 1 : 0;
}
