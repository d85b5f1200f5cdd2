/** Compute Engine's REST API, as far as fleets need it. https://cloud.google.com/compute/docs/reference/rest/v1 */
import { type Faults, operationMessage } from './faults.ts';
import { parseFilter } from './filter.ts';
import {
  ApiError,
  badRequest,
  bodyOf,
  type Call,
  conditionNotMet,
  json,
  notFound,
  page,
  type Router,
} from './http.ts';
import { Vm, type VmWorld } from './vms.ts';

type Json = Record<string, unknown>;

/** Disk images that a sandbox has from the start; `fireworker` is what `up` boots. */
const FAMILIES = ['fireworker'];

interface Operation extends Json {
  name: string;
  status: 'PENDING' | 'RUNNING' | 'DONE';
}

export class Compute {
  readonly vms = new Map<string, { vm: Vm; resource: Json }>();
  readonly #operations = new Map<string, { operation: Operation; done: Promise<void> }>();
  #nextId = BigInt(Date.now()) * 1000n;

  constructor(
    readonly world: VmWorld,
    readonly faults: Faults,
    /** http://127.0.0.1:PORT */
    readonly origin: () => string,
  ) {}

  get #base(): string {
    return `${this.origin()}/compute/v1/projects/${this.world.project}`;
  }

  get #zoneUrl(): string {
    return `${this.#base}/zones/${this.world.zone}`;
  }

  #id(): string {
    return String(this.#nextId++);
  }

  routes(router: Router): void {
    const zone = '/compute/v1/projects/:project/zones/:zone';
    const global = '/compute/v1/projects/:project/global';
    const inZone = (handler: (call: Call) => Response | Promise<Response>) => (call: Call) => {
      this.#checkPlace(call.params);
      return handler(call);
    };
    router
      .on(
        'POST',
        `${zone}/instances`,
        inZone((call) => this.#insert(call)),
      )
      .on(
        'GET',
        `${zone}/instances`,
        inZone((call) => this.#list(call)),
      )
      .on(
        'POST',
        `${zone}/instances/bulkInsert`,
        inZone((call) => this.#bulkInsert(call)),
      )
      .on(
        'GET',
        `${zone}/instances/:name`,
        inZone(({ params }) => json(this.#find(params.name).resource)),
      )
      .on(
        'DELETE',
        `${zone}/instances/:name`,
        inZone(({ params }) => this.#delete(params.name)),
      )
      .on(
        'POST',
        `${zone}/instances/:name/setMetadata`,
        inZone((call) => this.#setMetadata(call)),
      )
      .on(
        'POST',
        `${zone}/instances/:name/setLabels`,
        inZone((call) => this.#setLabels(call)),
      )
      .on(
        'POST',
        `${zone}/instances/:name/stop`,
        inZone(({ params }) => this.#stop(params.name)),
      )
      .on(
        'POST',
        `${zone}/instances/:name/simulateMaintenanceEvent`,
        inZone(({ params }) => this.#maintain(params.name)),
      )
      .on('GET', '/compute/v1/projects/:project/aggregated/instances', (call) => this.#aggregated(call))
      .on(
        'GET',
        `${zone}/operations`,
        inZone(({ query }) => this.#listOperations(query)),
      )
      .on(
        'GET',
        `${zone}/operations/:name`,
        inZone(({ params }) => json(this.#operation(params.name).operation)),
      )
      .on(
        'POST',
        `${zone}/operations/:name/wait`,
        inZone(({ params }) => this.#wait(params.name)),
      )
      .on('GET', `${global}/operations/:name`, ({ params }) => json(this.#operation(params.name).operation))
      .on('POST', `${global}/operations/:name/wait`, ({ params }) => this.#wait(params.name))
      .on('GET', `${global}/images/family/:family`, ({ params }) => json(this.#image(params.family)))
      .on('GET', `${global}/images/:name`, ({ params }) =>
        json(this.#image(String(params.name).replace(/-v\d+$/, ''))),
      )
      .on('GET', `${global}/images`, () =>
        json({ kind: 'compute#imageList', items: FAMILIES.map((family) => this.#image(family)) }),
      )
      .on('GET', '/compute/v1/projects/:project/zones', () =>
        json({ kind: 'compute#zoneList', items: [this.#zone()] }),
      )
      .on(
        'GET',
        zone,
        inZone(() => json(this.#zone())),
      )
      .on(
        'GET',
        `${zone}/machineTypes/:name`,
        inZone(({ params }) => json(this.#machineType(params.name ?? ''))),
      );
  }

  #checkPlace({ project, zone }: Record<string, string>): void {
    if (project !== this.world.project) throw notFound(`The resource 'projects/${project}' was not found`);
    if (zone !== this.world.zone)
      throw badRequest(`Invalid value for field 'zone': '${zone}'. Unknown zone.`);
  }

  #find(name: string | undefined): { vm: Vm; resource: Json } {
    const found = this.vms.get(name ?? '');
    if (!found)
      throw notFound(
        `The resource 'projects/${this.world.project}/zones/${this.world.zone}/instances/${name}' was not found`,
      );
    return found;
  }

  #zone(): Json {
    return {
      kind: 'compute#zone',
      id: '2000',
      name: this.world.zone,
      status: 'UP',
      region: `${this.#base}/regions/${this.world.zone.replace(/-[a-z]$/, '')}`,
      selfLink: this.#zoneUrl,
    };
  }

  #machineType(name: string): Json {
    const cpus = Number(/-(\d+)$/.exec(name)?.[1] ?? 1);
    return {
      kind: 'compute#machineType',
      id: '1',
      name,
      guestCpus: cpus,
      memoryMb: cpus * 3840,
      zone: this.world.zone,
      selfLink: `${this.#zoneUrl}/machineTypes/${name}`,
    };
  }

  #image(family: string | undefined): Json {
    if (!FAMILIES.includes(family ?? ''))
      throw notFound(
        `The resource 'projects/${this.world.project}/global/images/family/${family}' was not found`,
      );
    const name = `${family}-v1`;
    return {
      kind: 'compute#image',
      id: '3000',
      name,
      family,
      status: 'READY',
      diskSizeGb: '10',
      selfLink: `${this.#base}/global/images/${name}`,
    };
  }

  async #insert({ request }: Call): Promise<Response> {
    const body = await bodyOf(request);
    return json(this.#create(body));
  }

  #create(body: Json): Operation {
    const name = String(body.name ?? '');
    if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
      throw badRequest(
        `Invalid value for field 'resource.name': '${name}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'`,
      );
    }
    if (this.vms.has(name))
      throw new ApiError(
        409,
        'alreadyExists',
        `The resource 'projects/${this.world.project}/zones/${this.world.zone}/instances/${name}' already exists`,
      );
    const [disk] = (body.disks ?? []) as Json[];
    const source = String((disk?.initializeParams as Json | undefined)?.sourceImage ?? '');
    const [, kind, image] = /global\/images\/(family\/)?([^/]+)$/.exec(source) ?? [];
    if (!image)
      throw badRequest(
        "Invalid value for field 'resource.disks[0].initializeParams.sourceImage': no image was given",
      );
    this.#image(kind ? image : image.replace(/-v\d+$/, ''));
    const id = this.#id();
    const fault = this.faults.take('compute', `insert ${name}`, true);
    if (fault?.operationError) {
      const { operationError: code } = fault;
      return this.#operate('insert', name, id, async () => {
        throw Object.assign(new Error(operationMessage(code, this.world.zone)), { code });
      });
    }
    const resource = this.#resource(id, name, body);
    const attributes = () =>
      Object.fromEntries(items(resource.metadata).map(({ key, value }) => [key, value]));
    const machine = String(resource.machineType).split('/').at(-1) ?? '';
    const vm = new Vm(name, id, attributes, machine, this.world, (changed) => {
      resource.status = changed.state;
    });
    this.vms.set(name, { vm, resource });
    return this.#operate('insert', name, id, async () => {
      await vm.boot();
      resource.lastStartTimestamp = new Date().toISOString();
    });
  }

  #resource(id: string, name: string, body: Json): Json {
    const metadata = (body.metadata ?? {}) as Json;
    const machine = String(body.machineType ?? 'n1-standard-1')
      .split('/')
      .at(-1);
    return {
      ...body,
      kind: 'compute#instance',
      id,
      name,
      creationTimestamp: new Date().toISOString(),
      status: 'PROVISIONING',
      machineType: `${this.#zoneUrl}/machineTypes/${machine}`,
      zone: this.#zoneUrl,
      selfLink: `${this.#zoneUrl}/instances/${name}`,
      metadata: { kind: 'compute#metadata', items: items(metadata), fingerprint: fingerprint() },
      labelFingerprint: fingerprint(),
    };
  }

  async #bulkInsert({ request }: Call): Promise<Response> {
    const body = await bodyOf(request);
    const count = Number(body.count ?? 0);
    if (!Number.isInteger(count) || count < 1)
      throw badRequest("Invalid value for field 'resource.count': must be at least 1");
    const own = Object.keys((body.perInstanceProperties ?? {}) as Json);
    const pattern = String(body.namePattern ?? '');
    const width = /#+/.exec(pattern)?.[0].length ?? 0;
    if (own.length === 0 && width === 0)
      throw badRequest("Invalid value for field 'resource.namePattern': needs #");
    const names: string[] = [...own];
    for (let i = 1; names.length < count; i++) {
      const name = pattern.replace(/#+/, String(i).padStart(width, '0'));
      if (!this.vms.has(name)) names.push(name);
    }
    for (const name of names.slice(0, count)) this.#create({ ...(body.instanceProperties as Json), name });
    return json(this.#operate('bulkInsert', names[0] ?? '', this.#id(), async () => {}));
  }

  #list({ query }: Call): Response {
    const matches = parseFilter(query.get('filter'));
    const all = [...this.vms.values()].map(({ resource }) => resource).filter(matches);
    const { items: found, nextPageToken } = page(all, query);
    return json({
      kind: 'compute#instanceList',
      id: `projects/${this.world.project}/zones/${this.world.zone}/instances`,
      ...(found.length > 0 && { items: found }),
      ...(nextPageToken && { nextPageToken }),
      selfLink: `${this.#zoneUrl}/instances`,
    });
  }

  #aggregated({ query, params }: Call): Response {
    if (params.project !== this.world.project)
      throw notFound(`The resource 'projects/${params.project}' was not found`);
    const matches = parseFilter(query.get('filter'));
    const all = [...this.vms.values()].map(({ resource }) => resource).filter(matches);
    const { items: found, nextPageToken } = page(all, query);
    const zone = `zones/${this.world.zone}`;
    const none = {
      warning: {
        code: 'NO_RESULTS_ON_PAGE',
        message: `There are no results for scope '${zone}' on this page.`,
      },
    };
    return json({
      kind: 'compute#instanceAggregatedList',
      id: `projects/${this.world.project}/aggregated/instances`,
      items: { [zone]: found.length > 0 ? { instances: found } : none },
      ...(nextPageToken && { nextPageToken }),
    });
  }

  #delete(name: string | undefined): Response {
    const { vm, resource } = this.#find(name);
    const operation = this.#operate('delete', vm.name, String(resource.id), async () => {
      await vm.stop();
      await vm.close();
      this.vms.delete(vm.name);
    });
    return json(operation);
  }

  #stop(name: string | undefined): Response {
    const { vm, resource } = this.#find(name);
    return json(this.#operate('stop', vm.name, String(resource.id), () => vm.stop()));
  }

  #maintain(name: string | undefined): Response {
    const { vm, resource } = this.#find(name);
    const operation = this.#operate('simulateMaintenanceEvent', vm.name, String(resource.id), async () => {
      const spot = (resource.scheduling as Json | undefined)?.provisioningModel === 'SPOT';
      if (spot) await this.preempt(vm.name);
      else {
        vm.maintenance = 'MIGRATE_ON_HOST_MAINTENANCE';
        vm.metadataChanged();
      }
    });
    return json(operation);
  }

  /** Preempts a VM as Google does; it is deleted in the end when its scheduling says so. */
  async preempt(name: string): Promise<void> {
    const { vm, resource } = this.#find(name);
    await vm.preempt();
    if ((resource.scheduling as Json | undefined)?.instanceTerminationAction !== 'DELETE') return;
    await vm.close();
    this.vms.delete(name);
  }

  async #setMetadata({ request, params }: Call): Promise<Response> {
    const { vm, resource } = this.#find(params.name);
    const body = await bodyOf(request);
    const current = resource.metadata as Json;
    if (body.fingerprint !== current.fingerprint) {
      throw conditionNotMet('Supplied fingerprint does not match current metadata fingerprint.');
    }
    return json(
      this.#operate('setMetadata', vm.name, String(resource.id), async () => {
        resource.metadata = { kind: 'compute#metadata', items: items(body), fingerprint: fingerprint() };
        vm.metadataChanged();
      }),
    );
  }

  async #setLabels({ request, params }: Call): Promise<Response> {
    const { vm, resource } = this.#find(params.name);
    const body = await bodyOf(request);
    if (body.labelFingerprint !== resource.labelFingerprint)
      throw conditionNotMet('Labels fingerprint either invalid or resource labels have changed');
    resource.labels = body.labels;
    resource.labelFingerprint = fingerprint();
    return json(this.#operate('setLabels', vm.name, String(resource.id), async () => {}));
  }

  /** An operation that is answered at once and done when `work` is: PENDING, RUNNING, DONE. */
  #operate(type: string, target: string, targetId: string, work: () => Promise<void>): Operation {
    const name = `operation-${Date.now()}-${crypto.randomUUID().slice(0, 13)}`;
    const operation: Operation = {
      kind: 'compute#operation',
      id: this.#id(),
      name,
      zone: this.#zoneUrl,
      operationType: type,
      targetLink: `${this.#zoneUrl}/instances/${target}`,
      targetId,
      status: 'PENDING',
      progress: 0,
      user: `sandbox@${this.world.project}.iam.gserviceaccount.com`,
      insertTime: new Date().toISOString(),
      selfLink: `${this.#zoneUrl}/operations/${name}`,
    };
    const answer = { ...operation };
    const done = (async () => {
      await Bun.sleep(1);
      Object.assign(operation, { status: 'RUNNING', startTime: new Date().toISOString() });
      try {
        await work();
      } catch (thrown) {
        const { code = 'INTERNAL_ERROR', message } = thrown as Error & { code?: string };
        operation.error = { errors: [{ code, message }] };
        Object.assign(operation, { httpErrorStatusCode: 503, httpErrorMessage: 'SERVICE UNAVAILABLE' });
      }
      Object.assign(operation, { status: 'DONE', progress: 100, endTime: new Date().toISOString() });
    })();
    this.#operations.set(name, { operation, done });
    return answer;
  }

  #operation(name: string | undefined): { operation: Operation; done: Promise<void> } {
    const found = this.#operations.get(name ?? '');
    if (!found)
      throw notFound(
        `The resource 'projects/${this.world.project}/zones/${this.world.zone}/operations/${name}' was not found`,
      );
    return found;
  }

  #listOperations(query: URLSearchParams): Response {
    const matches = parseFilter(query.get('filter'));
    const all = [...this.#operations.values()].map(({ operation }) => operation).filter(matches);
    return json({ kind: 'compute#operationList', id: 'operations', ...page(all, query) });
  }

  /** Waits for at most two minutes, as Google does, and answers with what the operation is then. */
  async #wait(name: string | undefined): Promise<Response> {
    const { operation, done } = this.#operation(name);
    await Promise.race([done, Bun.sleep(120_000)]);
    return json(operation);
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

function items(metadata: unknown): { key: string; value: string }[] {
  const list = ((metadata as Json | undefined)?.items ?? []) as Json[];
  return list.map(({ key, value }) => ({ key: String(key), value: String(value ?? '') }));
}

function fingerprint(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('base64');
}
