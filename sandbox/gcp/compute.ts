/** Compute Engine's REST API, as far as fleets need it. https://cloud.google.com/compute/docs/reference/rest/v1 */
import { bulkNames } from './bulk_names.ts';
import { type Faults, operationFailure } from './faults.ts';
import { parseFilter } from './filter.ts';
import {
  ApiError,
  badRequest,
  bodyOf,
  type Call,
  conditionNotMet,
  type Handler,
  json,
  notFound,
  page,
  type Router,
} from './http.ts';
import {
  accountOf,
  attributesOf,
  checkLabels,
  fingerprint,
  imageOf,
  instanceResource,
  type Json,
  lastOf,
  metadataResource,
  type Place,
} from './instance_resource.ts';
import { type Operation, OperationError, Operations, orderBy } from './operations.ts';
import { Vm, type VmWorld } from './vms.ts';

/** Disk images that a sandbox has from the start; `fireworker` is what `up` boots. */
const FAMILIES = ['fireworker'];

interface Entry {
  vm: Vm;
  resource: Json;
}

export class Compute {
  readonly vms = new Map<string, Entry>();
  readonly #operations: Operations;
  #commonMetadata = metadataResource(undefined);
  #created = 0;
  /** 19 digits, as Google's: more than JavaScript's numbers hold. */
  #nextId = 5_000_000_000_000_000_000n + BigInt(Date.now()) * 1000n;

  constructor(
    readonly world: VmWorld,
    readonly faults: Faults,
    /** http://127.0.0.1:PORT */
    readonly origin: () => string,
  ) {
    this.#operations = new Operations(
      () => this.#place.projectUrl,
      accountOf(world.project),
      () => this.#id(),
    );
  }

  get #place(): Place {
    const { project, zone } = this.world;
    const projectUrl = `${this.origin()}/compute/v1/projects/${project}`;
    return { project, zone, projectUrl, zoneUrl: `${projectUrl}/zones/${zone}` };
  }

  #id(): string {
    return String(this.#nextId++);
  }

  routes(router: Router): void {
    const root = '/compute/v1/projects/:project';
    const project = (method: string, path: string, handler: Handler) =>
      router.on(method, root + path, (call) => {
        this.#checkProject(call.params.project);
        return handler(call);
      });
    const zone = (method: string, path: string, handler: Handler) =>
      project(method, `/zones/:zone${path}`, (call) => {
        this.#checkZone(call.params.zone);
        return handler(call);
      });
    const operations = this.#operations;

    zone('POST', '/instances', (call) => this.#insert(call));
    zone('POST', '/instances/bulkInsert', (call) => this.#bulkInsert(call));
    zone('GET', '/instances', (call) => this.#list(call));
    project('GET', '/aggregated/instances', (call) => this.#aggregated(call));
    zone('GET', '/instances/:name', ({ params }) => json(this.#find(params.name).resource));
    zone('DELETE', '/instances/:name', (call) =>
      this.#change(call, 'delete', (entry) => this.#delete(entry)),
    );
    zone('POST', '/instances/:name/stop', (call) => this.#change(call, 'stop', ({ vm }) => vm.stop()));
    zone('POST', '/instances/:name/simulateMaintenanceEvent', (call) =>
      this.#change(call, 'simulateMaintenanceEvent', (entry) => this.#maintain(entry)),
    );
    zone('POST', '/instances/:name/setMetadata', (call) => this.#setMetadata(call));
    zone('POST', '/instances/:name/setLabels', (call) => this.#setLabels(call));

    zone('GET', '/operations', ({ query }) => json(operations.list(query, this.#place.zoneUrl)));
    zone('GET', '/operations/:name', ({ params }) => json(operations.get(params.name, this.#place.zoneUrl)));
    zone('POST', '/operations/:name/wait', async ({ params }) =>
      json(await operations.wait(params.name, this.#place.zoneUrl)),
    );
    zone('DELETE', '/operations/:name', ({ params }) => {
      operations.delete(params.name, this.#place.zoneUrl);
      return new Response(null, { status: 204 });
    });
    project('GET', '/global/operations', ({ query }) => json(operations.list(query)));
    project('GET', '/global/operations/:name', ({ params }) => json(operations.get(params.name)));
    project('POST', '/global/operations/:name/wait', async ({ params }) =>
      json(await operations.wait(params.name)),
    );
    project('DELETE', '/global/operations/:name', ({ params }) => {
      operations.delete(params.name);
      return new Response(null, { status: 204 });
    });

    project('GET', '', () => json(this.#project()));
    project('POST', '/setCommonInstanceMetadata', (call) => this.#setCommonMetadata(call));
    project('GET', '/global/images/family/:family', ({ params }) => json(this.#image(params.family, true)));
    project('GET', '/global/images/:name', ({ params }) => json(this.#image(params.name, false)));
    project('GET', '/global/images', ({ query }) =>
      json(
        this.#resources(
          'image',
          'global/images',
          FAMILIES.map((name) => this.#image(name, true)),
          query,
        ),
      ),
    );
    project('GET', '/zones', ({ query }) => json(this.#resources('zone', 'zones', [this.#zone()], query)));
    zone('GET', '', () => json(this.#zone()));
    zone('GET', '/machineTypes/:name', ({ params }) => json(this.#machineType(params.name ?? '')));
  }

  #checkProject(project = ''): void {
    if (project !== this.world.project) throw notFound(`The resource 'projects/${project}' was not found`);
  }

  #checkZone(zone = ''): void {
    if (zone !== this.world.zone)
      throw badRequest(`Invalid value for field 'zone': '${zone}'. Unknown zone.`);
  }

  /** A page of a list, filtered and ordered as the query says. */
  #resources(kind: string, path: string, all: Json[], query: URLSearchParams): Json {
    const matches = parseFilter(query.get('filter'));
    return {
      kind: `compute#${kind}List`,
      id: `projects/${this.world.project}/${path}`,
      ...page(all.filter(matches), orderBy(query, 'creationTimestamp'), query),
      selfLink: `${this.#place.projectUrl}/${path}`,
    };
  }

  #path(name: string | undefined): string {
    return `projects/${this.world.project}/zones/${this.world.zone}/instances/${name}`;
  }

  #find(name: string | undefined): Entry {
    const found = this.vms.get(name ?? '');
    if (!found) throw notFound(`The resource '${this.#path(name)}' was not found`);
    return found;
  }

  // What there is from the start

  #project(): Json {
    return {
      kind: 'compute#project',
      id: '1000',
      name: this.world.project,
      commonInstanceMetadata: this.#commonMetadata,
      defaultServiceAccount: accountOf(this.world.project),
      selfLink: this.#place.projectUrl,
    };
  }

  #zone(): Json {
    const { zone, zoneUrl, projectUrl } = this.#place;
    return {
      kind: 'compute#zone',
      id: '2000',
      name: zone,
      description: zone,
      status: 'UP',
      region: `${projectUrl}/regions/${zone.replace(/-[a-z]$/, '')}`,
      selfLink: zoneUrl,
    };
  }

  #machineType(name: string): Json {
    const [, customCpus, customMb] = /(?:^|-)custom-(\d+)-(\d+)/.exec(name) ?? [];
    const guestCpus = Number(customCpus ?? /-(\d+)$/.exec(name)?.[1] ?? 1);
    return {
      kind: 'compute#machineType',
      id: '4000',
      name,
      guestCpus,
      memoryMb: Number(customMb ?? guestCpus * 3840),
      isSharedCpu: false,
      zone: this.world.zone,
      selfLink: `${this.#place.zoneUrl}/machineTypes/${name}`,
    };
  }

  /** Each family has one image, FAMILY-v1. */
  #image(name: string | undefined, family: boolean): Json {
    const found = FAMILIES.find((one) => name === (family ? one : `${one}-v1`));
    const images = `projects/${this.world.project}/global/images`;
    if (!found) throw notFound(`The resource '${images}/${family ? 'family/' : ''}${name}' was not found`);
    return {
      kind: 'compute#image',
      id: '3000',
      name: `${found}-v1`,
      family: found,
      status: 'READY',
      sourceType: 'RAW',
      architecture: 'X86_64',
      diskSizeGb: '10',
      archiveSizeBytes: '0',
      selfLink: `${this.#place.projectUrl}/global/images/${found}-v1`,
    };
  }

  // Creating VMs

  async #insert({ request, query }: Call): Promise<Response> {
    const body = await bodyOf(request);
    return json(this.#operations.once(query, () => this.#create(String(body.name ?? ''), body)));
  }

  #create(name: string, body: Json, group?: string): Operation {
    const place = this.#place;
    const id = this.#id();
    const resource = instanceResource(body, { id, name, number: ++this.#created, place });
    this.#checkFree(name);
    const image = imageOf(body);
    if (image.project && image.project !== place.project)
      throw notFound(`The resource 'projects/${image.project}' was not found`);
    this.#image(image.name, image.family);
    const start = (work: () => Promise<void>) =>
      this.#operations.start({
        type: 'insert',
        targetLink: String(resource.selfLink),
        targetId: id,
        zone: place.zoneUrl,
        group,
        work,
      });
    const code = this.faults.operationError(`insert ${name}`);
    if (code)
      return start(async () => {
        const { message, status } = operationFailure(code, place.zone);
        throw new OperationError(code, message, status);
      });
    const vm = new Vm(
      name,
      id,
      () => this.#factsOf(resource),
      this.world,
      this.faults,
      (state) => {
        resource.status = state;
        if (state === 'RUNNING') resource.lastStartTimestamp = new Date().toISOString();
        if (state === 'TERMINATED') resource.lastStopTimestamp = new Date().toISOString();
      },
    );
    this.vms.set(name, { vm, resource });
    return start(() => vm.boot());
  }

  #checkFree(name: string): void {
    if (this.vms.has(name))
      throw new ApiError(409, 'alreadyExists', `The resource '${this.#path(name)}' already exists`);
  }

  /** What a VM's metadata server tells from the VM's resource. */
  #factsOf(resource: Json) {
    const scheduling = resource.scheduling as Json;
    return {
      attributes: attributesOf(resource.metadata),
      projectAttributes: attributesOf(this.#commonMetadata),
      machineType: lastOf(resource.machineType),
      tags: ((resource.tags as Json).items ?? []) as string[],
      preemptible: scheduling.preemptible === true,
      automaticRestart: scheduling.automaticRestart === true,
      onHostMaintenance: String(scheduling.onHostMaintenance),
    };
  }

  async #bulkInsert({ request, query }: Call): Promise<Response> {
    const body = await bodyOf(request);
    return json(this.#operations.once(query, () => this.#createMany(body)));
  }

  /** As many VMs as can be had; fewer than minCount, and there will be none. */
  #createMany(body: Json): Operation {
    const { zone, zoneUrl } = this.#place;
    const names = bulkNames(body, [...this.vms.keys()]);
    const least = Number(body.minCount ?? names.length);
    const properties = (body.instanceProperties ?? {}) as Json;
    const group = crypto.randomUUID();
    // All of them first: a refused request makes no VM.
    for (const name of names) this.#checkFree(name);
    const inserts = names.map((name) => this.#create(name, properties, group));
    return this.#operations.start({
      type: 'bulkInsert',
      targetLink: `${zoneUrl}/instances`,
      zone: zoneUrl,
      group,
      work: async (operation) => {
        const tell = (status: string, created: number, failed: number, deleted: number) => {
          operation.instancesBulkInsertOperationMetadata = {
            perLocationStatus: {
              [`zones/${zone}`]: {
                status,
                targetVmCount: names.length,
                createdVmCount: created,
                failedToCreateVmCount: failed,
                deletedVmCount: deleted,
              },
            },
          };
        };
        tell('CREATING', 0, 0, 0);
        const failures = await Promise.all(inserts.map((insert) => this.#operations.done(insert.name)));
        const made = names.filter((_, i) => failures[i] === null);
        const failed = names.length - made.length;
        if (made.length >= least) return tell('DONE', made.length, failed, 0);
        await Promise.all(made.map((name) => this.#delete(this.#find(name))));
        tell('DONE', made.length, failed, made.length);
        throw failures.find((failure) => failure !== null);
      },
    });
  }

  // Listing VMs

  get #all(): Json[] {
    return [...this.vms.values()].map(({ resource }) => resource);
  }

  #list({ query }: Call): Response {
    return json(this.#resources('instance', `zones/${this.world.zone}/instances`, this.#all, query));
  }

  #aggregated({ query }: Call): Response {
    const zone = `zones/${this.world.zone}`;
    const { items: instances, ...list } = this.#resources(
      'instanceAggregated',
      'aggregated/instances',
      this.#all,
      query,
    );
    const warning = {
      code: 'NO_RESULTS_ON_PAGE',
      message: `There are no results for scope '${zone}' on this page.`,
      data: [{ key: 'scope', value: zone }],
    };
    return json({ ...list, items: { [zone]: instances ? { instances } : { warning } } });
  }

  // Changing VMs

  /** An operation on one VM. */
  #change({ params, query }: Call, type: string, work: (entry: Entry) => Promise<void>): Response {
    return json(
      this.#operations.once(query, () => {
        const entry = this.#find(params.name);
        return this.#start(entry, type, () => work(entry));
      }),
    );
  }

  #start({ resource }: Entry, type: string, work: () => Promise<void>, user?: string): Operation {
    return this.#operations.start({
      type,
      targetLink: String(resource.selfLink),
      targetId: String(resource.id),
      zone: this.#place.zoneUrl,
      user,
      work,
    });
  }

  async #delete(entry: Entry): Promise<void> {
    await entry.vm.stop();
    await entry.vm.close();
    // Its name may be another VM's by now.
    if (this.vms.get(entry.vm.name) === entry) this.vms.delete(entry.vm.name);
  }

  async #maintain(entry: Entry): Promise<void> {
    const { preemptible, onHostMaintenance } = this.#factsOf(entry.resource);
    if (preemptible) await this.preempt(entry.vm.name);
    else await entry.vm.maintain(onHostMaintenance === 'TERMINATE');
  }

  /** Preempts a VM as Google does; it is deleted in the end when its scheduling says so. */
  async preempt(name: string): Promise<void> {
    const entry = this.#find(name);
    const scheduling = entry.resource.scheduling as Json;
    const work = async () => {
      await entry.vm.preempt();
      if (scheduling.instanceTerminationAction === 'DELETE') await this.#delete(entry);
    };
    const operation = this.#start(entry, 'compute.instances.preempted', work, 'system');
    await this.#operations.done(operation.name);
  }

  async #setMetadata({ request, params, query }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const change = () => {
      const entry = this.#find(params.name);
      entry.resource.metadata = changedMetadata(entry.resource.metadata as Json, body);
      return this.#start(entry, 'setMetadata', async () => entry.vm.metadataChanged());
    };
    return json(this.#operations.once(query, change));
  }

  async #setCommonMetadata({ request, query }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const change = () => {
      this.#commonMetadata = changedMetadata(this.#commonMetadata, body);
      return this.#operations.start({
        type: 'compute.projects.setCommonInstanceMetadata',
        targetLink: this.#place.projectUrl,
        work: async () => {
          for (const { vm } of this.vms.values()) vm.metadataChanged();
        },
      });
    };
    return json(this.#operations.once(query, change));
  }

  async #setLabels({ request, params, query }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const change = () => {
      const entry = this.#find(params.name);
      checkLabels(body.labels);
      if (body.labelFingerprint !== entry.resource.labelFingerprint)
        throw conditionNotMet('Labels fingerprint either invalid or resource labels have changed');
      entry.resource.labels = body.labels ?? {};
      entry.resource.labelFingerprint = fingerprint();
      return this.#start(entry, 'setLabels', async () => {});
    };
    return json(this.#operations.once(query, change));
  }

  /** Stops every VM, all at once. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all(
      [...this.vms.values()].map(async ({ vm }) => {
        await vm.stop(graceMs);
        await vm.close();
      }),
    );
    this.vms.clear();
  }
}

/** The metadata after a change, which is made at once: of two with one fingerprint the second is refused. */
function changedMetadata(current: Json, body: Json): Json {
  if (body.fingerprint !== current.fingerprint)
    throw conditionNotMet('Supplied fingerprint does not match current metadata fingerprint.');
  return metadataResource(body);
}
