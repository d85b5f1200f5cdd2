/** Compute Engine: the VMs of a fleet. https://cloud.google.com/compute/docs/reference/rest/v1/instances */
import type { InstancesClient, protos, ZoneOperationsClient } from '@google-cloud/compute';
import { BorealisError } from '../errors.ts';
import { type RetryPolicy, type RetryWorld, retry } from '../retry.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { answerOf, cloudError, isConflict, isNotFound, isPassing, statusOf } from './api_error.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';

export type InstanceBody = protos.google.cloud.compute.v1.IInstance;

/** A VM as the API tells of it. */
export interface Vm {
  name: string;
  zone: string;
  status: string;
  machineType: string;
  created: Date | null;
  labels: Record<string, string>;
  metadata: Record<string, string>;
  spot: boolean;
}

/**
 * What became of one VM of many: done, or why not. Requests that change something carry a requestId: asked again after a
 * broken connection, Compute does nothing twice.
 */
export interface VmResult {
  name: string;
  error?: BorealisError;
}

const PASSING: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: 8 * SECOND,
  deadlineMs: MINUTE,
};
/** Somebody else changed the metadata between our reading and our writing. */
const CONFLICTS: RetryPolicy = {
  retryable: (e) => isConflict(e) || isPassing(e),
  firstDelayMs: 100,
  longestDelayMs: 2 * SECOND,
  deadlineMs: 30 * SECOND,
};
/** Requests under way at once: a fleet of 100 is made in a few seconds without running into the API's rate limit. */
const AT_ONCE = 20;

export class Compute {
  #instances: InstancesClient | null = null;
  #operations: ZoneOperationsClient | null = null;

  constructor(
    readonly project: string,
    readonly zone: string,
    readonly endpoints: Endpoints,
    readonly world: RetryWorld = {},
  ) {}

  // These two files alone, and each when it is needed: the package's own index loads a hundred other clients, which costs a
  // binary 0.2 s of start, and each client reads the description of the whole API.
  async #client(): Promise<InstancesClient> {
    if (this.#instances) return this.#instances;
    const { InstancesClient } = await import('@google-cloud/compute/build/src/v1/instances_client.js');
    const options = await clientOptions(this.endpoints.compute, this.project);
    this.#instances ??= new InstancesClient(options);
    return this.#instances;
  }

  async #operationsClient(): Promise<ZoneOperationsClient> {
    if (this.#operations) return this.#operations;
    const { ZoneOperationsClient } = await import(
      '@google-cloud/compute/build/src/v1/zone_operations_client.js'
    );
    const options = await clientOptions(this.endpoints.compute, this.project);
    this.#operations ??= new ZoneOperationsClient(options);
    return this.#operations;
  }

  get #where() {
    return { project: this.project, zone: this.zone };
  }

  /** The VMs that a filter names (`labels.x=y`) in all zones, in the order of their names. One request for each page. */
  async list(filter: string, pageSize = 500): Promise<Vm[]> {
    const client = await this.#client();
    const vms: Vm[] = [];
    try {
      await retry(
        PASSING,
        async () => {
          vms.length = 0;
          const request = { project: this.project, filter, maxResults: pageSize };
          // Said although it is so: the client warns otherwise.
          for await (const [, scoped] of client.aggregatedListAsync(request, { autoPaginate: false }))
            vms.push(...(scoped.instances ?? []).map(vmOf));
        },
        this.world,
      );
    } catch (thrown) {
      throw cloudError(`list the VMs of project ${this.project}`, thrown);
    }
    return vms.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  }

  /** Creates VMs, several at a time, and says of each what became of it. `onDone` hears of each as it is decided. */
  async insert(bodies: readonly InstanceBody[], onDone?: (result: VmResult) => void): Promise<VmResult[]> {
    return await this.#each(
      'create',
      bodies.map((body) => [String(body.name), body]),
      onDone,
      async (client, name, body) => {
        const request = { ...this.#where, instanceResource: body, requestId: crypto.randomUUID() };
        const [answer] = await retry(PASSING, () => client.insert(request), this.world);
        await this.#wait(answer.latestResponse as { name?: string | null }, `create ${name}`);
      },
    );
  }

  /** Deletes VMs. One that is gone already counts as deleted. */
  async delete(names: readonly string[], onDone?: (result: VmResult) => void): Promise<VmResult[]> {
    return await this.#each(
      'delete',
      names.map((name) => [name, name]),
      onDone,
      async (client, name) => {
        const request = { ...this.#where, instance: name, requestId: crypto.randomUUID() };
        try {
          const [answer] = await retry(PASSING, () => client.delete(request), this.world);
          await this.#wait(answer.latestResponse as { name?: string | null }, `delete ${name}`);
        } catch (thrown) {
          if (!isNotFound(thrown)) throw thrown;
        }
      },
    );
  }

  /** Asks for the deletion of one VM and does not wait for it: what a worker does to itself. */
  async requestDelete(
    name: string,
    policy: RetryPolicy = { ...PASSING, deadlineMs: 10 * MINUTE },
  ): Promise<void> {
    const client = await this.#client();
    const request = { ...this.#where, instance: name, requestId: crypto.randomUUID() };
    try {
      await retry(policy, () => client.delete(request), this.world);
    } catch (thrown) {
      if (!isNotFound(thrown)) throw cloudError(`delete VM ${name}`, thrown);
    }
  }

  /** Sets metadata keys of VMs and leaves their other keys, whoever else changes them at the same time. */
  async setMetadata(
    names: readonly string[],
    set: Readonly<Record<string, string>>,
    onDone?: (result: VmResult) => void,
  ): Promise<VmResult[]> {
    return await this.#each(
      'set the metadata of',
      names.map((name) => [name, name]),
      onDone,
      async (client, name) => {
        const setOnce = async () => {
          const [vm] = await client.get({ ...this.#where, instance: name });
          const kept = (vm.metadata?.items ?? []).filter((item) => !(String(item.key) in set));
          const items = [...kept, ...Object.entries(set).map(([key, value]) => ({ key, value }))];
          const metadataResource = { fingerprint: vm.metadata?.fingerprint, items };
          const [answer] = await client.setMetadata({ ...this.#where, instance: name, metadataResource });
          return answer.latestResponse as { name?: string | null };
        };
        const operation = await retry(CONFLICTS, setOnce, this.world);
        await this.#wait(operation, `set the metadata of ${name}`);
      },
    );
  }

  /** Does `work` on many VMs, several at a time. `doing` is what it is, before a VM's name. */
  async #each<T>(
    doing: string,
    items: readonly (readonly [string, T])[],
    onDone: ((result: VmResult) => void) | undefined,
    work: (client: InstancesClient, name: string, item: T) => Promise<void>,
  ): Promise<VmResult[]> {
    const client = await this.#client();
    const results: VmResult[] = items.map(([name]) => ({ name }));
    let next = 0;
    const lane = async () => {
      for (let i = next++; i < items.length; i = next++) {
        const [name, item] = items[i] as readonly [string, T];
        const result = results[i] as VmResult;
        try {
          await work(client, name, item);
        } catch (thrown) {
          result.error = refusal(doing, name, this.zone, thrown);
        }
        onDone?.(result);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
    return results;
  }

  /** Waits for a zone operation. Throws what went wrong in it. */
  async #wait(operation: { name?: string | null }, doing: string): Promise<void> {
    const name = String(operation.name);
    for (const end = Date.now() + 5 * MINUTE; ; ) {
      const operations = await this.#operationsClient();
      const ask = () => operations.wait({ ...this.#where, operation: name });
      const [now] = await retry(PASSING, ask, this.world);
      if (now.status === 'DONE') {
        const [error] = now.error?.errors ?? [];
        if (error)
          throw Object.assign(new Error(error.message ?? String(error.code)), { reason: error.code });
        return;
      }
      if (Date.now() > end)
        throw new BorealisError(`It takes more than 5 minutes to ${doing}: look at operation ${name}`);
    }
  }
}

/** Why one VM could not be had, and what to do. Codes: Compute Engine's `error.errors[].code` of an operation. */
function refusal(doing: string, name: string, zone: string, thrown: unknown): BorealisError {
  const reason = String((thrown as { reason?: unknown }).reason ?? '');
  const { message } = answerOf(thrown);
  if (/QUOTA/.test(reason)) {
    return new BorealisError(
      `${name}: ${message} Use fewer or smaller VMs, or ask for more quota: https://console.cloud.google.com/iam-admin/quotas`,
      { cause: thrown },
    );
  }
  if (/RESOURCE_POOL_EXHAUSTED|STOCKOUT/.test(reason)) {
    return new BorealisError(
      `${name}: zone ${zone} has no such machine left now (${reason}). Try another zone (--zone), another machine type (-o machine-type=...), or later`,
      { cause: thrown },
    );
  }
  if (statusOf(thrown) === 409)
    return new BorealisError(
      `${name} exists already. Choose other numbers with --base, or delete it: borealisctl down`,
      { cause: thrown },
    );
  if (isNotFound(thrown) && /images/.test(message)) {
    return new BorealisError(`${name}: ${message}. Build the disk image, or name another with --family`, {
      cause: thrown,
    });
  }
  if (isNotFound(thrown))
    return new BorealisError(`${name}: there is no such VM in zone ${zone}`, { cause: thrown });
  return cloudError(`${doing} ${name}`, thrown);
}

function vmOf(instance: InstanceBody): Vm {
  const last = (url: unknown) =>
    String(url ?? '')
      .split('/')
      .at(-1) ?? '';
  return {
    name: String(instance.name),
    zone: last(instance.zone),
    status: String(instance.status ?? ''),
    machineType: last(instance.machineType),
    created: instance.creationTimestamp ? new Date(instance.creationTimestamp) : null,
    labels: (instance.labels ?? {}) as Record<string, string>,
    metadata: Object.fromEntries(
      (instance.metadata?.items ?? []).map((item) => [String(item.key), String(item.value ?? '')]),
    ),
    spot: instance.scheduling?.provisioningModel === 'SPOT',
  };
}
