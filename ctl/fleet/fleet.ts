/** A fleet in Compute Engine: found, acted upon, and told about. */
import { Compute, type Vm, type VmResult } from '../../core/cloud/compute.ts';
import { type Env, readEndpoints, resolveProject, resolveZone } from '../../core/cloud/endpoints.ts';
import { BorealisError } from '../../core/errors.ts';
import { note, printJson, progress } from '../output.ts';
import { defaultPrefix, FLEET_LABEL, nameSpan, rangeOf, sanitizePrefix, vmNames } from './names.ts';

export interface FleetFlags {
  prefix?: string;
  project?: string;
  zone?: string;
  base?: string;
  count?: string;
}

export interface Fleet {
  prefix: string;
  compute: Compute;
}

/** The fleet that a command line names. Throws UsageError when no project or zone is configured. */
export function openFleet(flags: FleetFlags, env: Env = process.env): Fleet {
  const prefix = sanitizePrefix(flags.prefix ?? defaultPrefix(env));
  const compute = new Compute(
    resolveProject({ flag: flags.project, env }),
    resolveZone({ flag: flags.zone, env }),
    readEndpoints(env),
  );
  return { prefix, compute };
}

/** The fleet's VMs, found by their label. */
export async function fleetVms({ prefix, compute }: Fleet): Promise<Vm[]> {
  return await compute.list(`labels.${FLEET_LABEL}=${prefix}`);
}

/** The VMs that a command is about: those of --base and --count, else every VM of the fleet, which are never none. */
export async function targets(fleet: Fleet, flags: FleetFlags): Promise<{ name: string; zone: string }[]> {
  const { base, count } = rangeOf(flags.base, flags.count);
  if (base !== undefined || count !== undefined) {
    return vmNames(fleet.prefix, base ?? 0, count ?? 1).map((name) => ({ name, zone: fleet.compute.zone }));
  }
  const vms = await fleetVms(fleet);
  if (vms.length === 0)
    throw new BorealisError(
      `There are no VMs in fleet '${fleet.prefix}' of project ${fleet.compute.project}`,
    );
  return vms.map(({ name, zone }) => ({ name, zone }));
}

export type Action = (
  compute: Compute,
  names: string[],
  onDone: (result: VmResult) => void,
) => Promise<VmResult[]>;

/** Does something to many VMs, in whichever zones they are, and says of each what became of it. */
export async function changeVms(
  { compute }: Fleet,
  vms: readonly { name: string; zone: string }[],
  action: Action,
  onDone: (result: VmResult) => void = () => {},
): Promise<VmResult[]> {
  const results: VmResult[] = [];
  for (const zone of new Set(vms.map((vm) => vm.zone))) {
    const there = zone === compute.zone ? compute : new Compute(compute.project, zone, compute.endpoints);
    const names = vms.filter((vm) => vm.zone === zone).map(({ name }) => name);
    results.push(...(await action(there, names, onDone)));
  }
  return results;
}

/**
 * `changeVms` with progress; tells the outcome: one line for what was done, one for each VM that refused. Returns the exit
 * code: 1 when any did.
 */
export async function actOn(
  fleet: Fleet,
  vms: readonly { name: string; zone: string }[],
  words: { doing: string; done: string },
  json: boolean,
  action: Action,
): Promise<number> {
  if (vms.length === 0) {
    if (json) printJson([]);
    note('--count 0: there is nothing to do');
    return 0;
  }
  const line = progress();
  let finished = 0;
  const count = `${vms.length} VM${vms.length === 1 ? '' : 's'}`;
  line.update(`${words.doing} ${count}: ${nameSpan(vms.map(({ name }) => name))}`);
  const onDone = () => {
    finished++;
    if (process.stderr.isTTY) line.update(`${words.doing} VMs: ${finished} of ${vms.length}`);
  };
  const results = await changeVms(fleet, vms, action, onDone).finally(() => line.done());
  return tell(results, words.done, json);
}

function tell(results: readonly VmResult[], done: string, json: boolean): number {
  const failed = results.filter(({ error }) => error);
  const fine = results.filter(({ error }) => !error).map(({ name }) => name);
  if (json)
    printJson(
      results.map(({ name, error }) => ({ name, ok: !error, ...(error && { error: error.message }) })),
    );
  if (fine.length > 0) note(`${done} ${fine.length} VM${fine.length === 1 ? '' : 's'}: ${nameSpan(fine)}`);
  for (const { error } of failed) note(`error: ${error?.message}`);
  return failed.length > 0 ? 1 : 0;
}
