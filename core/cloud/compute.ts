/** Compute Engine: the VMs of a fleet. https://cloud.google.com/compute/docs/reference/rest/v1/instances */
import type {
  InstancesClient,
  protos,
  RegionInstancesClient,
  RegionOperationsClient,
  ZoneOperationsClient,
} from '@google-cloud/compute';
import { BorealisError } from '../errors.ts';
import { type RetryPolicy, type RetryWorld, retry } from '../retry.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { answerOf, cloudError, isConflict, isNotFound, isPassing, statusOf } from './api_error.ts';
import { type ComputeClient, computeClient } from './compute_api.ts';
import { type ApiRequest, apiRequest, type Requests } from './compute_requests.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';
import { pace } from './pace.ts';

export type InstanceBody = protos.google.cloud.compute.v1.IInstance;
export type InstanceProperties = protos.google.cloud.compute.v1.IInstanceProperties;
type Operation = protos.google.cloud.compute.v1.IOperation;

/** Which VM. */
export interface VmPlace {
  name: string;
  zone: string;
}

/** A VM as the API tells of it. */
export interface Vm extends VmPlace {
  status: string;
  machineType: string;
  created: Date | null;
  labels: Record<string, string>;
  metadata: Record<string, string>;
  /** Of the metadata: a change that gives it is refused when somebody else made one meanwhile. */
  fingerprint: string;
  spot: boolean;
  /** Of all its disks. */
  diskGb: number;
  /** Names of accelerator types with how many of each. */
  accelerators: Record<string, number>;
}

/**
 * What became of one VM of many: done, or why not. Requests that change something carry a requestId: asked again after a
 * broken connection, Compute does nothing twice.
 */
export interface VmResult extends VmPlace {
  error?: BorealisError;
  /** Another zone may have what this one has not: stock-out, or quota. */
  elsewhere?: boolean;
}

type OnDone = (result: VmResult) => void;

/** Where VMs are made: in a zone; or where there is room in a region, all in one zone or each in any. */
export type Where = { zone: string } | { region: string; anyZone: boolean };

export interface ComputeWorld extends RetryWorld {
  /** Instead of being sent, requests that change something are told here. What is asked only to know is asked all the same. */
  dryRun?: (request: ApiRequest) => void;
}

const PASSING: RetryPolicy = {
  retryable: isPassing,
  firstDelayMs: 500,
  longestDelayMs: 8 * SECOND,
  deadlineMs: MINUTE,
};
/** Somebody else changed the metadata between our reading and our writing. */
const CONFLICTS: RetryPolicy = {
  retryable: isConflict,
  firstDelayMs: 100,
  longestDelayMs: 2 * SECOND,
  deadlineMs: 30 * SECOND,
};
/** Requests under way at once; and how many may start at once, and after that in a second: Compute takes 1500 a minute. */
const AT_ONCE = 20;
const BURST = 100;
const PER_SECOND = 20;
/** A fleet of 1000 is made in a minute or two. */
const LONGEST_OPERATION_MS = 10 * MINUTE;

export class Compute {
  readonly #clients = new Map<string, Promise<unknown>>();
  readonly #turn = pace(BURST, PER_SECOND);

  constructor(
    readonly project: string,
    /** Where a VM is when nobody says where. */
    readonly zone: string,
    readonly endpoints: Endpoints,
    readonly world: ComputeWorld = {},
  ) {}

  // These files alone, and each when it is needed: the package's own index loads a hundred other clients, which costs a
  // binary 0.2 s of start.
  #load<C>(name: string, load: () => Promise<ComputeClient<C>>): Promise<C> {
    const make = async () =>
      computeClient(await load(), await clientOptions(this.endpoints.compute, this.project));
    const client = this.#clients.get(name) ?? make();
    this.#clients.set(name, client);
    return client as Promise<C>;
  }

  #instances(): Promise<InstancesClient> {
    const file = () => import('@google-cloud/compute/build/src/v1/instances_client.js');
    return this.#load('instances', async () => (await file()).InstancesClient);
  }

  #regionInstances(): Promise<RegionInstancesClient> {
    const file = () => import('@google-cloud/compute/build/src/v1/region_instances_client.js');
    return this.#load('regionInstances', async () => (await file()).RegionInstancesClient);
  }

  #zoneOperations(): Promise<ZoneOperationsClient> {
    const file = () => import('@google-cloud/compute/build/src/v1/zone_operations_client.js');
    return this.#load('zoneOperations', async () => (await file()).ZoneOperationsClient);
  }

  #regionOperations(): Promise<RegionOperationsClient> {
    const file = () => import('@google-cloud/compute/build/src/v1/region_operations_client.js');
    return this.#load('regionOperations', async () => (await file()).RegionOperationsClient);
  }

  /** The VMs that a filter names (`labels.x=y`) in all zones, in the order of their names. One request for each page. */
  async list(filter: string, pageSize = 500): Promise<Vm[]> {
    const client = await this.#instances();
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

  /**
   * Creates VMs of these names by one request, as many as can be had, and says of each what became of it. In a region their
   * zones are not told: list them. A name that is taken makes Compute refuse all of them: then each is asked for alone.
   */
  async create(
    names: readonly string[],
    properties: InstanceProperties,
    where: Where,
    onDone?: OnDone,
  ): Promise<VmResult[]> {
    const zone = 'zone' in where ? where.zone : '';
    const all = (thrown: unknown): VmResult[] =>
      names.map((name) => ({ name, zone, ...refused('create', name, placeName(where), thrown) }));
    try {
      const operation = await this.#bulkInsert(names, properties, where);
      if (!operation) return names.map((name) => ({ name, zone }));
      const done = await this.#done(operation, where, `create ${names.length} VMs`);
      const failures = await this.#failuresOf(done, names, where);
      return names.map((name) => {
        const failure = failures.get(name);
        return { name, zone, ...(failure && refused('create', name, placeName(where), failure)) };
      });
    } catch (thrown) {
      if (statusOf(thrown) === 409 && zone)
        return await this.insert(
          names.map((name) => instanceOf(name, zone, properties)),
          zone,
          onDone,
        );
      return all(thrown);
    }
  }

  async #bulkInsert(
    names: readonly string[],
    properties: InstanceProperties,
    where: Where,
  ): Promise<Operation | null> {
    const resource = {
      count: String(names.length),
      // Fewer are better than none: whoever asked is told which are missing, and asks again.
      minCount: '1',
      perInstanceProperties: Object.fromEntries(names.map((name) => [name, {}])),
      instanceProperties: properties,
    };
    const base = { project: this.project, requestId: crypto.randomUUID() };
    if ('zone' in where) {
      const request = { ...base, zone: where.zone, bulkInsertInstanceResourceResource: resource };
      const client = await this.#instances();
      return await this.#send('bulkInsert', request, () => client.bulkInsert(request));
    }
    const targetShape = where.anyZone ? 'ANY' : 'ANY_SINGLE_ZONE';
    const bulkInsertInstanceResourceResource = { ...resource, locationPolicy: { targetShape } };
    const request = { ...base, region: where.region, bulkInsertInstanceResourceResource };
    const client = await this.#regionInstances();
    return await this.#send('bulkInsertInRegion', request, () => client.bulkInsert(request));
  }

  /** Which of the VMs of a finished bulkInsert are not there, with what Compute said about each. */
  async #failuresOf(done: Operation, names: readonly string[], where: Where): Promise<Map<string, Error>> {
    const failure = failureOf(done);
    const places = Object.values(done.instancesBulkInsertOperationMetadata?.perLocationStatus ?? {});
    const made = places.reduce(
      (sum, { createdVmCount, deletedVmCount }) =>
        sum + Number(createdVmCount ?? 0) - Number(deletedVmCount ?? 0),
      0,
    );
    if (made >= names.length || (places.length === 0 && !failure)) return new Map();
    const reasons = 'zone' in where ? await this.#reasons(done, where.zone) : new Map<string, Error>();
    // Who is there is known by looking: for a VM that was never tried there is no operation that says why.
    const there = new Set((await this.list(namesFilter(names))).map(({ name }) => name));
    const unsaid =
      failure ?? Object.assign(new Error(`${placeName(where)} has no room`), { reason: 'STOCKOUT' });
    return new Map(
      names.filter((name) => !there.has(name)).map((name) => [name, reasons.get(name) ?? unsaid]),
    );
  }

  /** What the inserts of a bulkInsert failed with, by the names of the VMs. */
  async #reasons(done: Operation, zone: string): Promise<Map<string, Error>> {
    const operations = await this.#zoneOperations();
    const filter = `operationGroupId=${done.operationGroupId}`;
    const request = { project: this.project, zone, filter };
    const reasons = new Map<string, Error>();
    for await (const one of operations.listAsync(request, { autoPaginate: false })) {
      const why = failureOf(one);
      if (why && one.operationType === 'insert') reasons.set(lastOf(one.targetLink), why);
    }
    return reasons;
  }

  /** Creates VMs in `zone`, one by one but several at a time, and says of each what became of it. */
  async insert(bodies: readonly InstanceBody[], zone = this.zone, onDone?: OnDone): Promise<VmResult[]> {
    const vms = bodies.map((instanceResource) => ({
      name: String(instanceResource.name),
      zone,
      instanceResource,
    }));
    return await this.#each('create', vms, onDone, async (client, { name, instanceResource }) => {
      const request = { project: this.project, zone, instanceResource, requestId: crypto.randomUUID() };
      const operation = await this.#send('insert', request, () => client.insert(request));
      await this.#succeeded(operation, zone, `create ${name}`);
    });
  }

  /** Deletes VMs. One that is gone already counts as deleted. `onDone` hears of each as it is decided. */
  async delete(vms: readonly VmPlace[], onDone?: OnDone): Promise<VmResult[]> {
    return await this.#each('delete', vms, onDone, async (client, { name, zone }) => {
      const request = { project: this.project, zone, instance: name, requestId: crypto.randomUUID() };
      try {
        const operation = await this.#send('delete', request, () => client.delete(request));
        await this.#succeeded(operation, zone, `delete ${name}`);
      } catch (thrown) {
        if (!isNotFound(thrown)) throw thrown;
      }
    });
  }

  /** Asks for the deletion of one VM and does not wait for it: what a worker does to itself. */
  async requestDelete(
    name: string,
    policy: RetryPolicy = { ...PASSING, deadlineMs: 10 * MINUTE },
  ): Promise<void> {
    const client = await this.#instances();
    const { project, zone } = this;
    const request = { project, zone, instance: name, requestId: crypto.randomUUID() };
    try {
      await retry(policy, () => client.delete(request), this.world);
    } catch (thrown) {
      if (!isNotFound(thrown)) throw cloudError(`delete VM ${name}`, thrown);
    }
  }

  /**
   * Sets metadata keys of VMs (null removes one) and leaves their other keys, whoever else changes them at the same time. A VM
   * whose metadata is known from a list is not asked for it again, unless somebody changed it meanwhile.
   */
  async setMetadata(
    vms: readonly (VmPlace & Partial<Pick<Vm, 'metadata' | 'fingerprint'>>)[],
    set: Readonly<Record<string, string | null>>,
    onDone?: OnDone,
  ): Promise<VmResult[]> {
    return await this.#each('set the metadata of', vms, onDone, async (client, vm) => {
      const { name, zone } = vm;
      const where = { project: this.project, zone, instance: name };
      const read = async () => vmOf((await retry(PASSING, () => client.get(where), this.world))[0]);
      let known =
        vm.metadata && vm.fingerprint ? { metadata: vm.metadata, fingerprint: vm.fingerprint } : null;
      const setOnce = async () => {
        const { metadata, fingerprint } = known ?? (await read());
        known = null;
        const items = Object.entries({ ...metadata, ...set }).flatMap(([key, value]) =>
          value === null ? [] : [{ key, value }],
        );
        const request = {
          ...where,
          metadataResource: { fingerprint, items },
          requestId: crypto.randomUUID(),
        };
        return await this.#send('setMetadata', request, () => client.setMetadata(request));
      };
      const operation = await retry(CONFLICTS, setOnce, this.world);
      await this.#succeeded(operation, zone, `set the metadata of ${name}`);
    });
  }

  /** Sends what changes something, again while that can help; null in a dry run. */
  async #send<Call extends keyof Requests>(
    call: Call,
    request: Requests[Call],
    send: () => Promise<[{ latestResponse: unknown }, ...unknown[]]>,
  ): Promise<Operation | null> {
    if (this.world.dryRun) {
      const base = this.endpoints.compute ?? new URL('https://compute.googleapis.com/compute/v1/');
      this.world.dryRun(apiRequest(base, call, { ...request, requestId: 'REQUEST_ID' }));
      return null;
    }
    const [answer] = await retry(PASSING, send, this.world);
    return answer.latestResponse as Operation;
  }

  /** Does `work` on many VMs, several at a time. `doing` is what it is, before a VM's name. */
  async #each<T extends VmPlace>(
    doing: string,
    vms: readonly T[],
    onDone: OnDone | undefined,
    work: (client: InstancesClient, vm: T) => Promise<void>,
  ): Promise<VmResult[]> {
    const client = await this.#instances();
    const results: VmResult[] = vms.map(({ name, zone }) => ({ name, zone }));
    let next = 0;
    const lane = async () => {
      for (let i = next++; i < vms.length; i = next++) {
        const [vm, result] = [vms[i] as T, results[i] as VmResult];
        await this.#turn();
        try {
          await work(client, vm);
        } catch (thrown) {
          Object.assign(result, refused(doing, vm.name, placeName(vm), thrown));
        }
        onDone?.(result);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, vms.length) }, lane));
    return results;
  }

  /** Waits for an operation of a zone. Throws what went wrong in it. */
  async #succeeded(operation: Operation | null, zone: string, doing: string): Promise<void> {
    const failure = operation && failureOf(await this.#done(operation, { zone }, doing));
    if (failure) throw failure;
  }

  /** The operation when it is done: each question waits for that, for up to two minutes. */
  async #done(operation: Operation, where: Where, doing: string): Promise<Operation> {
    const name = String(operation.name);
    const ask = async (): Promise<Operation> => {
      const request = { project: this.project, operation: name };
      const [now] =
        'zone' in where
          ? await (await this.#zoneOperations()).wait({ ...request, zone: where.zone })
          : await (await this.#regionOperations()).wait({ ...request, region: where.region });
      return now;
    };
    for (const end = performance.now() + LONGEST_OPERATION_MS; ; ) {
      const now = await retry(PASSING, ask, this.world);
      if (now.status === 'DONE') return now;
      if (performance.now() > end)
        throw new BorealisError(`It takes more than 10 minutes to ${doing}: look at operation ${name}`);
    }
  }
}

/** A filter for VMs of these names alone. */
export function namesFilter(names: readonly string[]): string {
  const [first = ''] = names;
  const prefix = first.replace(/\d+$/, '');
  // Names of one fleet differ in their numbers; a filter with a thousand names would be too long.
  return `name eq "${prefix}[0-9]+"`;
}

/** What an operation failed with: an error with Compute's own code as its `reason`. */
function failureOf({ error }: Operation): Error | null {
  const [first] = error?.errors ?? [];
  return first
    ? Object.assign(new Error(first.message ?? String(first.code)), { reason: String(first.code) })
    : null;
}

/** The body of instances.insert for properties as bulkInsert takes them: names of types become addresses in the zone. */
export function instanceOf(name: string, zone: string, properties: InstanceProperties): InstanceBody {
  return {
    ...properties,
    name,
    machineType: `zones/${zone}/machineTypes/${properties.machineType}`,
    disks: properties.disks?.map((disk) => ({
      ...disk,
      initializeParams: disk.initializeParams && {
        ...disk.initializeParams,
        diskType: `zones/${zone}/diskTypes/${disk.initializeParams.diskType}`,
      },
    })),
    ...(properties.guestAccelerators && {
      guestAccelerators: properties.guestAccelerators.map((one) => ({
        ...one,
        acceleratorType: `zones/${zone}/acceleratorTypes/${one.acceleratorType}`,
      })),
    }),
  };
}

const placeName = (where: Where) => ('zone' in where ? `zone ${where.zone}` : `region ${where.region}`);

const STOCKOUT = /RESOURCE_POOL_EXHAUSTED|STOCKOUT/;

/** Of a refusal what a result tells. */
function refused(
  doing: string,
  name: string,
  place: string,
  thrown: unknown,
): Omit<VmResult, 'name' | 'zone'> {
  const reason = reasonOf(thrown);
  const elsewhere = STOCKOUT.test(reason) || /quota/i.test(reason);
  return { error: refusal(doing, name, place, thrown), ...(elsewhere && { elsewhere }) };
}

/** The code that Compute gave: of an operation's error, or of a refused request. */
const reasonOf = (thrown: unknown) =>
  String((thrown as { reason?: unknown }).reason ?? answerOf(thrown).reason);

/** Why one VM could not be had, and what to do. Codes: Compute Engine's `error.errors[].code` of an operation. */
function refusal(doing: string, name: string, place: string, thrown: unknown): BorealisError {
  const reason = reasonOf(thrown);
  const { message } = answerOf(thrown);
  if (/quota/i.test(reason)) {
    return new BorealisError(
      `${name}: ${message} Use fewer or smaller VMs, or ask for more quota: https://console.cloud.google.com/iam-admin/quotas`,
      { cause: thrown },
    );
  }
  if (STOCKOUT.test(reason)) {
    return new BorealisError(
      `${name}: ${place} has no such machine left now (${reason}). Try another zone (--zone), another machine type (-o machine-type=...), or later`,
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
    return new BorealisError(`${name}: there is no such VM in ${place}`, { cause: thrown });
  return cloudError(`${doing} ${name}`, thrown);
}

function lastOf(url: unknown): string {
  return (
    String(url ?? '')
      .split('/')
      .at(-1) ?? ''
  );
}

function vmOf(instance: InstanceBody): Vm {
  return {
    name: String(instance.name),
    zone: lastOf(instance.zone),
    status: String(instance.status ?? ''),
    machineType: lastOf(instance.machineType),
    created: instance.creationTimestamp ? new Date(instance.creationTimestamp) : null,
    labels: (instance.labels ?? {}) as Record<string, string>,
    metadata: Object.fromEntries(
      (instance.metadata?.items ?? []).map((item) => [String(item.key), String(item.value ?? '')]),
    ),
    fingerprint: String(instance.metadata?.fingerprint ?? ''),
    spot: instance.scheduling?.provisioningModel === 'SPOT' || instance.scheduling?.preemptible === true,
    diskGb: (instance.disks ?? []).reduce((sum, { diskSizeGb }) => sum + Number(diskSizeGb ?? 0), 0),
    accelerators: Object.fromEntries(
      (instance.guestAccelerators ?? []).map((one) => [
        lastOf(one.acceleratorType),
        Number(one.acceleratorCount ?? 1),
      ]),
    ),
  };
}
