/**
 * VMs: each is a real fireworker process with a metadata address and a work folder of its own.
 *
 * States, as Compute's: PROVISIONING (accepted), STAGING (its folder and metadata are made), RUNNING (the process runs),
 * STOPPING (SIGTERM was sent; SIGKILL follows after the grace time), TERMINATED (the process has ended, the VM is still
 * listed), and gone (deleted).
 */
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Faults } from './faults.ts';
import { accountOf } from './instance_resource.ts';
import { JsonValue, Metadata, type Tree } from './metadata.ts';
import { identify, isAlive, type ProcessId, signalGroup } from './processes.ts';

export type VmState = 'PROVISIONING' | 'STAGING' | 'RUNNING' | 'STOPPING' | 'TERMINATED';

export interface VmWorld {
  /** vms/NAME/ below this. */
  dir: string;
  /** The worker's program with its first arguments. */
  fireworker: readonly string[];
  /** For every VM: endpoints, PATH, DOCKER_HOST... */
  env: Readonly<Record<string, string>>;
  /** The my_launchpad.yaml that the disk image would have. */
  launchpadFile: string;
  project: string;
  /** Where VMs are made when nobody says where. */
  zone: string;
  /** Between SIGTERM and SIGKILL at deletion (Compute: 90 s). */
  graceMs: number;
  /** The same for a spot VM that is preempted (Compute: 30 s). */
  preemptionMs: number;
  /** How long the notice of a maintenance event stands before the event (Compute: 60 s). */
  maintenanceMs: number;
  /** How long a second of maxRunDuration is. */
  runSecondMs: number;
}

/** What the metadata server tells of a VM from its resource in Compute. */
export interface VmFacts {
  zone: string;
  attributes: Record<string, string>;
  projectAttributes: Record<string, string>;
  machineType: string;
  tags: string[];
  preemptible: boolean;
  automaticRestart: boolean;
  onHostMaintenance: string;
}

export class Vm {
  state: VmState = 'PROVISIONING';
  #preempted = false;
  #maintenance = 'NONE';
  readonly #metadata: Metadata;
  #booting: Promise<void> = Promise.resolve();
  /** Nobody wants it to run any more. */
  #unwanted = false;
  #process: ProcessId | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly id: string,
    readonly facts: () => VmFacts,
    readonly world: VmWorld,
    faults: Faults,
    /** Told of every change of state. */
    readonly onState: (state: VmState) => void,
  ) {
    this.#metadata = new Metadata(() => this.#tree(), faults);
  }

  get dir(): string {
    return join(this.world.dir, 'vms', this.name);
  }

  get metadataHost(): string {
    return this.#metadata.host;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Wakes whoever waits for a change of the metadata. */
  metadataChanged(): void {
    this.#metadata.changed();
  }

  /** Makes the folder and starts the process. The VM is RUNNING when this returns, unless it was stopped meanwhile. */
  async boot(): Promise<void> {
    this.#booting = this.#boot();
    try {
      await this.#booting;
    } catch (thrown) {
      this.#become('TERMINATED');
      throw thrown;
    }
  }

  async #boot(): Promise<void> {
    if (this.#unwanted) return;
    this.#become('STAGING');
    // A new VM has a new disk. What an earlier one of this name left was there to be looked at until now.
    await rm(this.dir, { recursive: true, force: true });
    await mkdir(this.dir, { recursive: true });
    await writeFile(join(this.dir, 'my_launchpad.yaml'), this.world.launchpadFile, { mode: 0o600 });
    if (this.#unwanted) return this.#become('TERMINATED');
    const console_ = openSync(join(this.dir, 'console.log'), 'a');
    try {
      const child = Bun.spawn([...this.world.fireworker, '-l', 'my_launchpad.yaml'], {
        cwd: this.dir,
        env: {
          // As systemd/fireworker.service.
          BUN_GC_TIMER_DISABLE: '1',
          ...this.world.env,
          GCE_METADATA_HOST: this.#metadata.host,
          HOME: this.dir,
          HOSTNAME: this.name,
        },
        stdio: ['ignore', console_, console_],
        // A process group of its own: a signal to the VM reaches all of it, and Ctrl-C at the sandbox's terminal none.
        detached: true,
      });
      child.unref();
      this.#process = identify(child.pid);
      this.#ended = child.exited.then(() => this.#onExit(child.pid));
    } finally {
      closeSync(console_);
    }
    this.#become('RUNNING');
    // Whoever finds this after a crash of the sandbox ends the process: `sweepVms`.
    if (this.#process) await writeFile(join(this.dir, 'process.json'), JSON.stringify(this.#process));
  }

  async #onExit(pid: number): Promise<void> {
    // What the worker left behind is the VM's, and a VM that is off runs nothing.
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nothing was left.
    }
    this.#process = null;
    await this.#booting.catch(() => {});
    await rm(join(this.dir, 'process.json'), { force: true });
    this.#become('TERMINATED');
  }

  /** SIGTERM, then SIGKILL; returns when the VM is TERMINATED. A VM that is stopping already gets no second SIGTERM. */
  async stop(graceMs = this.world.graceMs): Promise<void> {
    this.#unwanted = true;
    await this.#booting.catch(() => {});
    const target = this.#process;
    if (!target) return await this.#ended;
    if (this.state !== 'STOPPING') {
      this.#become('STOPPING');
      // To the worker alone, as systemd's KillMode=mixed does: what becomes of its tasks is the worker's to decide.
      if (isAlive(target)) process.kill(target.pid, 'SIGTERM');
    }
    const timer = setTimeout(() => signalGroup(target, 'SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** What Google does to a spot VM: the notice, then the stop, in 30 s. */
  async preempt(): Promise<void> {
    this.#preempted = true;
    this.#metadata.changed();
    await this.stop(this.world.preemptionMs);
  }

  /** What Google does to another VM: the notice, then the move to another host, or (when it cannot move) the stop. */
  async maintain(terminate: boolean): Promise<void> {
    this.#maintenance = terminate ? 'TERMINATE_ON_HOST_MAINTENANCE' : 'MIGRATE_ON_HOST_MAINTENANCE';
    this.#metadata.changed();
    await Bun.sleep(this.world.maintenanceMs);
    if (terminate) await this.stop();
    this.#maintenance = 'NONE';
    this.#metadata.changed();
  }

  /** Ends the VM's own servers. After `stop`. */
  async close(): Promise<void> {
    await this.#metadata.stop();
  }

  #become(state: VmState): void {
    this.state = state;
    this.onState(state);
  }

  #tree(): Tree {
    const { project } = this.world;
    const facts = this.facts();
    const { zone } = facts;
    const number = 123456789012n;
    const yes = (value: boolean) => (value ? 'TRUE' : 'FALSE');
    const token = { access_token: `sandbox-${this.id}`, expires_in: 3599, token_type: 'Bearer' };
    const account = {
      aliases: ['default'],
      email: accountOf(project),
      scopes: ['https://www.googleapis.com/auth/cloud-platform'],
      token: new JsonValue(token, true),
    };
    return {
      instance: {
        attributes: facts.attributes,
        hostname: `${this.name}.${zone}.c.${project}.internal`,
        id: BigInt(this.id),
        'machine-type': `projects/${number}/machineTypes/${facts.machineType}`,
        'maintenance-event': this.#maintenance,
        name: this.name,
        preempted: yes(this.#preempted),
        scheduling: {
          'automatic-restart': yes(facts.automaticRestart),
          'on-host-maintenance': facts.onHostMaintenance,
          preemptible: yes(facts.preemptible),
        },
        'service-accounts': { default: account, [account.email]: account },
        tags: new JsonValue(facts.tags),
        zone: `projects/${number}/zones/${zone}`,
      },
      project: {
        attributes: facts.projectAttributes,
        'numeric-project-id': number,
        'project-id': project,
      },
    };
  }
}

/** Ends VM processes that an earlier sandbox in `dir` left when it was killed. Their identity was written down. */
export async function sweepVms(dir: string): Promise<number> {
  let ended = 0;
  for (const name of await readdir(join(dir, 'vms')).catch(() => [])) {
    const text = await readFile(join(dir, 'vms', name, 'process.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const id = JSON.parse(text) as ProcessId;
    if (isAlive(id)) {
      signalGroup(id, 'SIGKILL');
      ended++;
    }
    await rm(join(dir, 'vms', name, 'process.json'), { force: true });
  }
  return ended;
}
