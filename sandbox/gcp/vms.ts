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
import { Metadata, type Tree } from './metadata.ts';
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
  zone: string;
  /** Between SIGTERM and SIGKILL at deletion (Compute: 90 s). */
  graceMs: number;
}

/** A spot VM has 30 s from the notice. */
const PREEMPTION_MS = 30_000;

export class Vm {
  state: VmState = 'PROVISIONING';
  preempted = false;
  maintenance = 'NONE';
  readonly #metadata: Metadata;
  #process: ProcessId | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly id: string,
    readonly attributes: () => Record<string, string>,
    readonly machineType: string,
    readonly world: VmWorld,
    /** Told of every change of state. */
    readonly onState: (vm: Vm) => void,
  ) {
    this.#metadata = new Metadata(() => this.#tree());
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

  /** Makes the folder and starts the process. The VM is RUNNING when this returns. */
  async boot(): Promise<void> {
    this.#become('STAGING');
    await mkdir(this.dir, { recursive: true });
    await writeFile(join(this.dir, 'my_launchpad.yaml'), this.world.launchpadFile, { mode: 0o600 });
    const console_ = openSync(join(this.dir, 'console.log'), 'a');
    try {
      const child = Bun.spawn([...this.world.fireworker, '-l', 'my_launchpad.yaml'], {
        cwd: this.dir,
        env: {
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
      if (this.#process) await writeFile(join(this.dir, 'process.json'), JSON.stringify(this.#process));
      this.#ended = child.exited.then(() => this.#onExit());
    } finally {
      closeSync(console_);
    }
    this.#become('RUNNING');
  }

  async #onExit(): Promise<void> {
    // What the worker left behind is the VM's, and a VM that is off runs nothing.
    if (this.#process) {
      try {
        process.kill(-this.#process.pid, 'SIGKILL');
      } catch {
        // Nothing was left.
      }
    }
    this.#process = null;
    await rm(join(this.dir, 'process.json'), { force: true });
    this.#become('TERMINATED');
  }

  /** SIGTERM, then SIGKILL; returns when the VM is TERMINATED. */
  async stop(graceMs = this.world.graceMs): Promise<void> {
    const target = this.#process;
    if (!target) return await this.#ended;
    this.#become('STOPPING');
    // To the worker alone, as systemd's KillMode=mixed does: what becomes of its tasks is the worker's to decide.
    if (isAlive(target)) process.kill(target.pid, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(target, 'SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** What Google does to a spot VM: the notice, then the stop, in 30 s. */
  async preempt(): Promise<void> {
    this.preempted = true;
    this.#metadata.changed();
    await this.stop(PREEMPTION_MS);
  }

  /** Ends the VM's own servers. After `stop`. */
  async close(): Promise<void> {
    await this.#metadata.stop();
  }

  #become(state: VmState): void {
    this.state = state;
    this.onState(this);
  }

  #tree(): Tree {
    const { project, zone } = this.world;
    const number = '123456789012';
    const account = {
      aliases: 'default',
      email: `sandbox@${project}.iam.gserviceaccount.com`,
      scopes: 'https://www.googleapis.com/auth/cloud-platform',
      // As text, for that is what a client parses.
      token: JSON.stringify({ access_token: `sandbox-${this.id}`, expires_in: 3599, token_type: 'Bearer' }),
    };
    return {
      instance: {
        id: Number(this.id),
        name: this.name,
        hostname: `${this.name}.${zone}.c.${project}.internal`,
        zone: `projects/${number}/zones/${zone}`,
        'machine-type': `projects/${number}/machineTypes/${this.machineType}`,
        attributes: this.attributes(),
        preempted: this.preempted ? 'TRUE' : 'FALSE',
        'maintenance-event': this.maintenance,
        'service-accounts': { default: account, [account.email]: account },
        tags: '[]',
      },
      project: { 'project-id': project, 'numeric-project-id': Number(number), attributes: {} },
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
