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

/** Zones that a sandbox has beside its own, so that a fleet can move on to another zone, or to another region. */
const ZONES = ['us-west1-a', 'us-west1-b', 'us-west1-c', 'us-central1-a', 'us-central1-b'];

interface Entry {
  vm: Vm;
  resource: Json;
  place: Place;
}

export class Compute {
  /** By their names, whichever their zones: a VM's name is its folder's. Compute itself has names for each zone. */
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
      () => this.#projectUrl,
      accountOf(world.project),
      () => this.#id(),
    );
  }

  get #projectUrl(): string {
    return `${this.origin()}/compute/v1/projects/${this.world.project}`;
  }

  #placeOf(zone = ''): Place {
    const { project } = this.world;
    const projectUrl = this.#projectUrl;
    return { project, zone, projectUrl, zoneUrl: `${projectUrl}/zones/${zone}` };
  }

  get #zones(): string[] {
    return [...new Set([this.world.zone, ...ZONES])].sort();
  }

  #zonesOf(region: string): string[] {
    return this.#zones.filter((zone) => regionOf(zone) === region);
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
    const region = (method: string, path: string, handler: Handler) =>
      project(method, `/regions/:region${path}`, (call) => {
        if (this.#zonesOf(call.params.region ?? '').length === 0)
          throw badRequest(`Invalid value for field 'region': '${call.params.region}'. Unknown region.`);
        return handler(call);
      });
    const operations = this.#operations;
    /** What operations of a zone or region are listed under. */
    const placeUrl = ({ params }: Call) =>
      params.zone ? this.#placeOf(params.zone).zoneUrl : `${this.#projectUrl}/regions/${params.region}`;

    zone('POST', '/instances', (call) => this.#insert(call));
    zone('POST', '/instances/bulkInsert', (call) => this.#bulkInsert(call));
    zone('GET', '/instances', (call) => this.#list(call));
    project('GET', '/aggregated/instances', (call) => this.#aggregated(call));
    zone('GET', '/instances/:name', ({ params }) => json(this.#find(params.name, params.zone).resource));
    zone('DELETE', '/instances/:name', (call) =>
      this.#change(call, 'delete', (entry) => this.#delete(entry)),
    );
    zone('POST', '/instances/:name/stop', (call) => this.#change(call, 'stop', ({ vm }) => vm.stop()));
    zone('POST', '/instances/:name/simulateMaintenanceEvent', (call) =>
      this.#change(call, 'simulateMaintenanceEvent', (entry) => this.#maintain(entry)),
    );
    zone('POST', '/instances/:name/setMetadata', (call) => this.#setMetadata(call));
    zone('POST', '/instances/:name/setLabels', (call) => this.#setLabels(call));

    region('POST', '/instances/bulkInsert', (call) => this.#bulkInsertInRegion(call));
    for (const on of [zone, region]) {
      on('GET', '/operations', (call) => json(operations.list(call.query, placeUrl(call))));
      on('GET', '/operations/:name', (call) => json(operations.get(call.params.name, placeUrl(call))));
      on('POST', '/operations/:name/wait', async (call) =>
        json(await operations.wait(call.params.name, placeUrl(call))),
      );
      on('DELETE', '/operations/:name', (call) => {
        operations.delete(call.params.name, placeUrl(call));
        return new Response(null, { status: 204 });
      });
    }
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
    project('GET', '/zones', ({ query }) =>
      json(
        this.#resources(
          'zone',
          'zones',
          this.#zones.map((name) => this.#zone(name)),
          query,
        ),
      ),
    );
    zone('GET', '', ({ params }) => json(this.#zone(params.zone)));
    zone('GET', '/machineTypes/:name', ({ params }) =>
      json(this.#machineType(params.name ?? '', params.zone)),
    );
  }

  #checkProject(project = ''): void {
    if (project !== this.world.project) throw notFound(`The resource 'projects/${project}' was not found`);
  }

  #checkZone(zone = ''): void {
    if (!this.#zones.includes(zone))
      throw badRequest(`Invalid value for field 'zone': '${zone}'. Unknown zone.`);
  }

  /** A page of a list, filtered and ordered as the query says. */
  #resources(kind: string, path: string, all: Json[], query: URLSearchParams): Json {
    const matches = parseFilter(query.get('filter'));
    return {
      kind: `compute#${kind}List`,
      id: `projects/${this.world.project}/${path}`,
      ...page(all.filter(matches), orderBy(query, 'creationTimestamp'), query),
      selfLink: `${this.#projectUrl}/${path}`,
    };
  }

  #path(name: string | undefined, zone: string | undefined): string {
    return `projects/${this.world.project}/zones/${zone}/instances/${name}`;
  }

  #find(name: string | undefined, zone: string | undefined): Entry {
    const found = this.vms.get(name ?? '');
    if (found?.place.zone === zone && found) return found;
    throw notFound(`The resource '${this.#path(name, zone)}' was not found`);
  }

  // What there is from the start

  #project(): Json {
    return {
      kind: 'compute#project',
      id: '1000',
      name: this.world.project,
      commonInstanceMetadata: this.#commonMetadata,
      defaultServiceAccount: accountOf(this.world.project),
      selfLink: this.#projectUrl,
    };
  }

  #zone(zone = ''): Json {
    return {
      kind: 'compute#zone',
      id: '2000',
      name: zone,
      description: zone,
      status: 'UP',
      region: `${this.#projectUrl}/regions/${regionOf(zone)}`,
      selfLink: this.#placeOf(zone).zoneUrl,
    };
  }

  #machineType(name: string, zone = ''): Json {
    const [, customCpus, customMb] = /(?:^|-)custom-(\d+)-(\d+)/.exec(name) ?? [];
    const guestCpus = Number(customCpus ?? /-(\d+)$/.exec(name)?.[1] ?? 1);
    return {
      kind: 'compute#machineType',
      id: '4000',
      name,
      guestCpus,
      memoryMb: Number(customMb ?? guestCpus * 3840),
      isSharedCpu: false,
      zone,
      selfLink: `${this.#placeOf(zone).zoneUrl}/machineTypes/${name}`,
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
      selfLink: `${this.#projectUrl}/global/images/${found}-v1`,
    };
  }

  // Creating VMs

  async #insert({ request, query, params }: Call): Promise<Response> {
    const body = await bodyOf(request);
    return json(
      this.#operations.once(query, () =>
        this.#create(String(body.name ?? ''), body, this.#placeOf(params.zone)),
      ),
    );
  }

  #create(name: string, body: Json, place: Place, group?: string): Operation {
    const id = this.#id();
    const resource = instanceResource(body, { id, name, number: ++this.#created, place });
    this.#checkFree(name, place.zone);
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
    const entry = { vm, resource, place };
    this.vms.set(name, entry);
    return start(async () => {
      await vm.boot();
      this.#endInTime(entry);
    });
  }

  /** Ends a VM when its `maxRunDuration` is over, as its scheduling says. */
  #endInTime(entry: Entry): void {
    const { maxRunDuration, instanceTerminationAction } = entry.resource.scheduling as Json;
    if (!maxRunDuration) return;
    const ms = Number((maxRunDuration as Json).seconds) * this.world.runSecondMs;
    const end = () => {
      const work = () => (instanceTerminationAction === 'DELETE' ? this.#delete(entry) : entry.vm.stop());
      if (this.vms.get(entry.vm.name) === entry)
        this.#start(entry, 'compute.instances.automaticTerminate', work, 'system');
    };
    setTimeout(end, ms).unref();
  }

  #checkFree(name: string, zone: string): void {
    if (this.vms.has(name))
      throw new ApiError(409, 'alreadyExists', `The resource '${this.#path(name, zone)}' already exists`);
  }

  /** What a VM's metadata server tells from the VM's resource. */
  #factsOf(resource: Json) {
    const scheduling = resource.scheduling as Json;
    return {
      zone: lastOf(resource.zone),
      attributes: attributesOf(resource.metadata),
      projectAttributes: attributesOf(this.#commonMetadata),
      machineType: lastOf(resource.machineType),
      tags: ((resource.tags as Json).items ?? []) as string[],
      preemptible: scheduling.preemptible === true,
      automaticRestart: scheduling.automaticRestart === true,
      onHostMaintenance: String(scheduling.onHostMaintenance),
    };
  }

  async #bulkInsert({ request, query, params }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const place = this.#placeOf(params.zone);
    return json(this.#operations.once(query, () => this.#createMany(body, place, () => place)));
  }

  /**
   * In a region Google chooses: one zone for all (ANY_SINGLE_ZONE), or for each VM one that has room. Here: the first zone,
   * or each in turn.
   */
  async #bulkInsertInRegion({ request, query, params }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const { locations = {}, targetShape = 'ANY_SINGLE_ZONE' } = (body.locationPolicy ?? {}) as {
      locations?: Record<string, Json>;
      targetShape?: string;
    };
    if (!['ANY', 'ANY_SINGLE_ZONE', 'BALANCED'].includes(targetShape))
      throw badRequest(`Invalid value for field 'resource.locationPolicy.targetShape': '${targetShape}'.`);
    const zones = this.#zonesOf(params.region ?? '').filter(
      (zone) => locations[`zones/${zone}`]?.preference !== 'DENY',
    );
    let next = 0;
    const choose = () => this.#placeOf(zones[targetShape === 'ANY_SINGLE_ZONE' ? 0 : next++ % zones.length]);
    const regionUrl = `${this.#projectUrl}/regions/${params.region}`;
    return json(
      this.#operations.once(query, () =>
        this.#createMany(body, { zone: undefined, zoneUrl: undefined, regionUrl }, choose),
      ),
    );
  }

  /** As many VMs as can be had; fewer than minCount, and there will be none. */
  #createMany(
    body: Json,
    where: { zone?: string; zoneUrl?: string; regionUrl?: string },
    choose: () => Place,
  ): Operation {
    const names = bulkNames(body, [...this.vms.keys()]);
    const places = names.map(choose);
    const least = Number(body.minCount ?? names.length);
    const properties = (body.instanceProperties ?? {}) as Json;
    if (/\//.test(String(properties.machineType)))
      throw badRequest(
        `Invalid value for field 'resource.instanceProperties.machineType': '${properties.machineType}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'`,
      );
    const group = crypto.randomUUID();
    // All of them first: a refused request makes no VM.
    for (const [i, name] of names.entries()) this.#checkFree(name, String(places[i]?.zone));
    const inserts = names.map((name, i) => this.#create(name, properties, places[i] as Place, group));
    return this.#operations.start({
      type: 'bulkInsert',
      targetLink: `${where.zoneUrl ?? where.regionUrl}/instances`,
      zone: where.zoneUrl,
      region: where.regionUrl,
      group,
      work: async (operation) => {
        const failures: (OperationError | null)[] = [];
        const tell = (status: string, deleted: boolean) => {
          const zones = [...new Set(places.map(({ zone }) => zone))];
          const statusOf = (zone: string) => {
            const there = places.map((place) => place.zone === zone);
            const created = failures.filter((failure, i) => there[i] && failure === null).length;
            return {
              status,
              targetVmCount: there.filter(Boolean).length,
              createdVmCount: created,
              failedToCreateVmCount: failures.filter((failure, i) => there[i] && failure !== null).length,
              deletedVmCount: deleted ? created : 0,
            };
          };
          operation.instancesBulkInsertOperationMetadata = {
            perLocationStatus: Object.fromEntries(zones.map((zone) => [`zones/${zone}`, statusOf(zone)])),
          };
        };
        tell('CREATING', false);
        failures.push(...(await Promise.all(inserts.map((insert) => this.#operations.done(insert.name)))));
        const made = inserts.filter((_, i) => failures[i] === null);
        if (made.length >= least) return tell('DONE', false);
        const entries = made.flatMap(({ targetLink }) => this.vms.get(lastOf(targetLink)) ?? []);
        await Promise.all(entries.map((entry) => this.#delete(entry)));
        tell('DONE', true);
        throw failures.find((failure) => failure !== null);
      },
    });
  }

  // Listing VMs

  get #all(): Json[] {
    return [...this.vms.values()].map(({ resource }) => resource);
  }

  #list({ query, params }: Call): Response {
    const there = [...this.vms.values()].filter(({ place }) => place.zone === params.zone);
    const resources = there.map(({ resource }) => resource);
    return json(this.#resources('instance', `zones/${params.zone}/instances`, resources, query));
  }

  /** Zones without a VM on this page say so. */
  #aggregated({ query }: Call): Response {
    const { items = [], ...list } = this.#resources(
      'instanceAggregated',
      'aggregated/instances',
      [...this.vms.values()].map(({ resource }) => resource),
      query,
    );
    const scoped = this.#zones.map((name) => {
      const zone = `zones/${name}`;
      const instances = (items as Json[]).filter((one) => lastOf(one.zone) === name);
      const warning = {
        code: 'NO_RESULTS_ON_PAGE',
        message: `There are no results for scope '${zone}' on this page.`,
        data: [{ key: 'scope', value: zone }],
      };
      return [zone, instances.length > 0 ? { instances } : { warning }];
    });
    return json({ ...list, items: Object.fromEntries(scoped) });
  }

  // Changing VMs

  /** An operation on one VM. */
  #change({ params, query }: Call, type: string, work: (entry: Entry) => Promise<void>): Response {
    return json(
      this.#operations.once(query, () => {
        const entry = this.#find(params.name, params.zone);
        return this.#start(entry, type, () => work(entry));
      }),
    );
  }

  #start({ resource, place }: Entry, type: string, work: () => Promise<void>, user?: string): Operation {
    return this.#operations.start({
      type,
      targetLink: String(resource.selfLink),
      targetId: String(resource.id),
      zone: place.zoneUrl,
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
    const entry = this.#find(name, this.vms.get(name)?.place.zone);
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
      const entry = this.#find(params.name, params.zone);
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
        targetLink: this.#projectUrl,
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
      const entry = this.#find(params.name, params.zone);
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

/** `us-west1` of `us-west1-b`. */
const regionOf = (zone: string) => zone.replace(/-[a-z]$/, '');
