import { printJson } from '../output.ts';
import { actOn, type Fleet } from './fleet.ts';
import { type FleetSpec, instanceBody } from './instance_body.ts';
import { redact } from './pairs.ts';

/** Creates the VMs `names` of a fleet, or with `dryRun` prints the request of the first without its secrets. */
export async function createVms(
  fleet: Fleet,
  names: readonly string[],
  spec: FleetSpec,
  o: { dryRun: boolean; json: boolean },
): Promise<number> {
  if (o.dryRun) {
    printJson({ names, request: instanceBody('NAME', { ...spec, metadata: redact(spec.metadata) }) });
    return 0;
  }
  // Made before anything is asked for: a bad option must not leave half a fleet.
  const bodies = names.map((name) => instanceBody(name, spec));
  const vms = names.map((name) => ({ name, zone: spec.zone }));
  return await actOn(fleet, vms, { doing: 'Creating', done: 'Created' }, o.json, (compute, _, onDone) =>
    compute.insert(bodies, onDone),
  );
}
