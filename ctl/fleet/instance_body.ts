/** The body of an instances.insert request from upstream's defaults and `-o` options. Pure. */
import type { InstanceBody } from '../../core/cloud/compute.ts';
import { UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';
import { FLEET_LABEL } from './names.ts';

export interface FleetSpec {
  project: string;
  zone: string;
  /** The fleet's label. */
  prefix: string;
  family: string;
  /** gcloud's option names with their values. */
  options: Readonly<Record<string, string>>;
  metadata: Readonly<Record<string, string>>;
  spot: boolean;
}

/** What the VMs' service account may do (upstream's SCOPES). */
const SCOPES = [
  'compute-rw',
  'logging-write',
  'storage-rw',
  'monitoring-write',
  'service-control',
  'service-management',
  'trace',
];

/** gcloud's short names of scopes. https://cloud.google.com/sdk/gcloud/reference/compute/instances/create (--scopes) */
const SCOPE_URLS: Record<string, string> = {
  'cloud-platform': 'cloud-platform',
  'compute-ro': 'compute.readonly',
  'compute-rw': 'compute',
  'logging-write': 'logging.write',
  'storage-full': 'devstorage.full_control',
  'storage-ro': 'devstorage.read_only',
  'storage-rw': 'devstorage.read_write',
  'monitoring-write': 'monitoring.write',
  'service-control': 'servicecontrol',
  'service-management': 'service.management.readonly',
  trace: 'trace.append',
};

/** The `-o` options that are understood: gcloud's names of `compute instances create`. */
export const OPTIONS = [
  ...[
    'machine-type',
    'custom-cpu',
    'custom-memory',
    'boot-disk-size',
    'boot-disk-type',
    'image',
    'image-family',
    'image-project',
  ],
  ...[
    'network',
    'subnet',
    'network-interface',
    'no-address',
    'network-tier',
    'maintenance-policy',
    'preemptible',
    'description',
  ],
  ...['labels', 'tags', 'scopes', 'service-account', 'min-cpu-platform', 'accelerator', 'project', 'zone'],
] as const;

/** Throws UsageError for an option that nobody knows. */
export function checkOptions(options: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name)) {
      throw new UsageError(`-o ${name}: unknown option${hint(name, OPTIONS)}. Known: ${OPTIONS.join(', ')}`);
    }
  }
}

/** The request for one VM. */
export function instanceBody(name: string, spec: FleetSpec): InstanceBody {
  const { options } = spec;
  return {
    name,
    description: options.description ?? `${spec.family} worker`,
    machineType: `zones/${spec.zone}/machineTypes/${machineType(options)}`,
    labels: { ...labels(options.labels), [FLEET_LABEL]: spec.prefix },
    metadata: { items: Object.entries(spec.metadata).map(([key, value]) => ({ key, value })) },
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          sourceImage: image(spec),
          diskType: `zones/${spec.zone}/diskTypes/${options['boot-disk-type'] ?? 'pd-standard'}`,
          ...(options['boot-disk-size'] !== undefined && {
            diskSizeGb: String(wholeGigabytes('boot-disk-size', options['boot-disk-size'])),
          }),
        },
      },
    ],
    networkInterfaces: [networkInterface(spec)],
    scheduling: scheduling(spec),
    serviceAccounts: [{ email: options['service-account'] ?? 'default', scopes: scopes(options.scopes) }],
    ...(options.tags !== undefined && { tags: { items: options.tags.split(',') } }),
    ...(options['min-cpu-platform'] !== undefined && { minCpuPlatform: options['min-cpu-platform'] }),
    ...(options.accelerator !== undefined && {
      guestAccelerators: [accelerator(options.accelerator, spec.zone)],
    }),
  };
}

function machineType(options: Readonly<Record<string, string>>): string {
  const { 'custom-cpu': cpu, 'custom-memory': memory } = options;
  if ((cpu === undefined) !== (memory === undefined))
    throw new UsageError('-o custom-cpu and -o custom-memory go together');
  if (cpu === undefined || memory === undefined) return options['machine-type'] ?? 'n1-standard-1';
  if (!/^\d+$/.test(cpu)) throw new UsageError(`-o custom-cpu=${cpu}: must be a whole number`);
  return `custom-${cpu}-${gigabytes('custom-memory', memory) * 1024}`;
}

/** gcloud's sizes: `50`, `50GB`, `1TB`; memory also in MB. */
function gigabytes(option: string, text: string): number {
  const [, number, unit = 'GB'] = /^(\d+(?:\.\d+)?)\s*(MB|MiB|GB|GiB|TB|TiB)?$/i.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`-o ${option}=${text}: must be a size such as 50GB`);
  const factor = { m: 1 / 1024, g: 1, t: 1024 }[unit[0]?.toLowerCase() as 'm' | 'g' | 't'];
  return Number(number) * factor;
}

function wholeGigabytes(option: string, text: string): number {
  const size = gigabytes(option, text);
  if (Number.isInteger(size)) return size;
  throw new UsageError(`-o ${option}=${text}: must be whole gigabytes`);
}

function image({ options, project, family }: FleetSpec): string {
  const from = `projects/${options['image-project'] ?? project}/global/images`;
  return options.image !== undefined
    ? `${from}/${options.image}`
    : `${from}/family/${options['image-family'] ?? family}`;
}

function labels(text: string | undefined): Record<string, string> {
  if (!text) return {};
  const found = Object.fromEntries(
    text.split(',').map((pair) => {
      const [key = '', value = ''] = pair.split(/=(.*)/s);
      return [key, value];
    }),
  );
  for (const [key, value] of Object.entries(found))
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key) || !/^[a-z0-9_-]{0,63}$/.test(value))
      throw new UsageError(
        `-o labels=${key}=${value}: keys and values have lower-case letters, digits, - and _, at most 63`,
      );
  return found;
}

function networkInterface({ options, zone }: FleetSpec) {
  const region = zone.replace(/-[a-z]$/, '');
  const own = (options['network-interface'] ?? '').split(',').filter(Boolean);
  const value = (key: string) => own.find((part) => part.startsWith(`${key}=`))?.slice(key.length + 1);
  const noAddress = own.includes('no-address') || 'no-address' in options;
  const subnet = value('subnet') ?? options.subnet;
  const network = value('network') ?? options.network;
  const tier = (value('network-tier') ?? options['network-tier'] ?? 'PREMIUM').toUpperCase();
  return {
    // A whole or partial URL is passed on; a name is made one.
    ...(subnet
      ? { subnetwork: subnet.includes('/') ? subnet : `regions/${region}/subnetworks/${subnet}` }
      : { network: network?.includes('/') ? network : `global/networks/${network ?? 'default'}` }),
    ...(!noAddress && {
      accessConfigs: [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT', networkTier: tier }],
    }),
  };
}

function scheduling({ options, spot }: FleetSpec) {
  if (spot)
    return {
      provisioningModel: 'SPOT',
      instanceTerminationAction: 'DELETE',
      onHostMaintenance: 'TERMINATE',
      automaticRestart: false,
    };
  if ('preemptible' in options)
    return { preemptible: true, onHostMaintenance: 'TERMINATE', automaticRestart: false };
  const policy =
    options.accelerator === undefined ? (options['maintenance-policy'] ?? 'MIGRATE') : 'TERMINATE';
  return { onHostMaintenance: policy.toUpperCase() };
}

function scopes(text: string | undefined): string[] {
  return (text?.split(',') ?? SCOPES).map((scope) => {
    if (scope.startsWith('https://')) return scope;
    const name = SCOPE_URLS[scope];
    if (!name)
      throw new UsageError(`-o scopes: '${scope}' is unknown${hint(scope, Object.keys(SCOPE_URLS))}`);
    return `https://www.googleapis.com/auth/${name}`;
  });
}

function accelerator(text: string, zone: string) {
  const parts = Object.fromEntries(text.split(',').map((pair) => pair.split('=') as [string, string]));
  const count = Number(parts.count ?? 1);
  if (!parts.type || !Number.isInteger(count) || count < 1)
    throw new UsageError(`-o accelerator=${text}: must be type=NAME,count=N`);
  return {
    acceleratorType: `zones/${zone}/acceleratorTypes/${parts.type}`,
    acceleratorCount: count,
  };
}
