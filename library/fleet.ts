/** A fleet of worker VMs, from a program: what `borealisctl up`, `ps`, `quit-soon` and `down` do. */
import type { Vm, VmResult } from '../core/cloud/compute.ts';
import { BorealisError, UsageError } from '../core/errors.ts';
import { sleep } from '../core/wait.ts';
import { makeVms } from '../ctl/fleet/create.ts';
import { type Action, fleetVms, openFleet, type Fleet as Place } from '../ctl/fleet/fleet.ts';
import { launchPadMetadata, requireDatabase, settingsMetadata } from '../ctl/fleet/metadata.ts';
import { MOST_AT_ONCE, vmNames } from '../ctl/fleet/names.ts';
import { checkOptions, type OptionName } from '../ctl/fleet/options.ts';
import type { LaunchPad } from './launchpad.ts';

/** Which fleet. Where Compute Engine is, and who asks, is as for `borealisctl`. */
export interface FleetPlace {
  /** Begins the names of its VMs. `fireworker-$USER` when left out. */
  prefix?: string;
  /** As gcloud is configured, or CLOUDSDK_CORE_PROJECT, when left out. */
  project?: string;
  /** As gcloud is configured, or CLOUDSDK_COMPUTE_ZONE, when left out. */
  zone?: string;
  /** The variables that say all this; `process.env` when left out. */
  env?: Readonly<Record<string, string | undefined>>;
}

export interface NewVms extends FleetPlace {
  /** How many, at least 1. */
  count: number;
  /** The number of the first. 0 when left out. */
  base?: number;
  /** Whose Fireworks they run: a connection, or a LaunchPad file ('' for none). The file that `lpad` finds when left out. */
  launchpad?: LaunchPad | string;
  /** The image family to boot. `fireworker` when left out. */
  family?: string;
  /** Metadata attributes: settings of the workers. */
  metadata?: Readonly<Record<string, string>>;
  /** Options of `gcloud compute instances create`: `{ 'machine-type': 'n2-standard-4' }`. */
  options?: Readonly<Partial<Record<Exclude<OptionName, 'project' | 'zone'>, string>>>;
  /** Far cheaper, and Google may take them back. */
  spot?: boolean;
}

/** Some VMs refused; what was asked for has been done to the others. */
export class FleetError extends BorealisError {
  override readonly name = 'FleetError';
  constructor(
    /** The VMs that refused, with the reasons. */
    readonly refused: readonly { name: string; error: BorealisError }[],
    /** The names of the others. */
    readonly done: readonly string[],
  ) {
    const all = refused.length + done.length;
    super(`${refused.length} of ${all} VMs refused: ${refused.map(({ error }) => error.message).join('\n')}`);
  }
}

/**
 * The VMs that carry a fleet's label. They outlive the program: workers go home when there is nothing left to do, or when
 * they are told to. Methods throw FleetError when some VMs refuse, BorealisError when Compute Engine does.
 */
export class Fleet {
  readonly #place: Place;

  /** A fleet that may have VMs already. Throws UsageError for a bad prefix, or when no project or zone is configured. */
  constructor(place: FleetPlace = {}) {
    this.#place = openFleet(place, place.env);
  }

  /** Creates those of the VMs that are not there yet, and waits until they boot. Throws UsageError for what cannot be asked for, before anything is. */
  static async up(vms: NewVms): Promise<Fleet> {
    const { count, base = 0, family = 'fireworker', spot = false } = vms;
    if (!Number.isInteger(count) || count < 1 || count > MOST_AT_ONCE)
      throw new UsageError(`count ${count}: must be a whole number from 1 to ${MOST_AT_ONCE}`);
    if (!Number.isInteger(base) || base < 0)
      throw new UsageError(`base ${base}: must be a whole number, at least 0`);
    const options = (vms.options as Record<string, string> | undefined) ?? {};
    checkOptions(options);
    const metadata = { ...metadataOf(vms.launchpad, vms.env), ...vms.metadata };
    if (family === 'fireworker') requireDatabase(metadata);
    const fleet = new Fleet(vms);
    const { project, zone } = fleet.#place.compute;
    const spec = { project, prefix: fleet.prefix, family, options, metadata, spot };
    const names = vmNames(fleet.prefix, base, count);
    outcome(await makeVms(fleet.#place, { names, spec, places: [{ zone }] }, () => {}));
    return fleet;
  }

  /** As Compute Engine has it: lower case. */
  get prefix(): string {
    return this.#place.prefix;
  }

  /** Its VMs, in the order of their names. */
  async list(): Promise<Vm[]> {
    return await fleetVms(this.#place);
  }

  /** Lets the workers finish the task in flight; then they stop and delete their VMs. Returns the names of the VMs. */
  async quitSoon(): Promise<string[]> {
    return await this.setMetadata({ quit: 'soon' });
  }

  /** The same when nothing is READY for them. */
  async quitWhenIdle(): Promise<string[]> {
    return await this.setMetadata({ quit: 'when-idle' });
  }

  /** Sets metadata attributes; others stay. Returns the names of the VMs. */
  async setMetadata(set: Readonly<Record<string, string>>): Promise<string[]> {
    return await this.#all((compute, vms, onDone) => compute.setMetadata(vms, set, onDone));
  }

  /** Deletes its VMs at once. What runs on them is given back. Returns the names of the VMs. */
  async down(): Promise<string[]> {
    return await this.#all((compute, vms, onDone) => compute.delete(vms, onDone));
  }

  /** Waits until it has no VM any more: after `quitSoon` or `down`. Throws the signal's reason when it aborts. */
  async gone({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    while ((await this.list()).length > 0) {
      await sleep(1000, signal);
      signal?.throwIfAborted();
    }
  }

  async #all(action: Action): Promise<string[]> {
    return outcome(await action(this.#place.compute, await this.list(), () => {}));
  }
}

function metadataOf(launchpad: NewVms['launchpad'], env: NewVms['env']): Record<string, string> {
  return typeof launchpad === 'object'
    ? settingsMetadata(launchpad.settings)
    : launchPadMetadata(launchpad, env);
}

/** The names of the VMs. Throws FleetError when some refused. */
function outcome(results: readonly VmResult[]): string[] {
  const done = results.flatMap(({ name, error }) => (error ? [] : [name]));
  const refused = results.flatMap(({ name, error }) => (error ? [{ name, error }] : []));
  if (refused.length > 0) throw new FleetError(refused, done);
  return done;
}
