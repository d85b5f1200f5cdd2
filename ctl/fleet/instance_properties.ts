/** What the VMs of a fleet are: the properties of a bulkInsert request, from upstream's defaults and `-o` options. */
import { readFileSync } from 'node:fs';
import type { InstanceProperties } from '../../core/cloud/compute.ts';
import { isSecret } from '../../core/cloud/secrets.ts';
import { codeOf, UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';
import { version } from '../../core/version.ts';
import { FLEET_LABEL, OWNER_LABEL, userName, VERSION_LABEL } from './names.ts';
import {
  gigabytes,
  isSet,
  listOf,
  type Options,
  oneOf,
  partsOf,
  runSeconds,
  switchOf,
  whole,
} from './options.ts';

export interface FleetSpec {
  project: string;
  /** The fleet's label. */
  prefix: string;
  family: string;
  /** gcloud's option names with their values. */
  options: Options;
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
  bigquery: 'bigquery',
  'cloud-platform': 'cloud-platform',
  'compute-ro': 'compute.readonly',
  'compute-rw': 'compute',
  datastore: 'datastore',
  'logging-write': 'logging.write',
  pubsub: 'pubsub',
  'storage-full': 'devstorage.full_control',
  'storage-ro': 'devstorage.read_only',
  'storage-rw': 'devstorage.read_write',
  monitoring: 'monitoring',
  'monitoring-read': 'monitoring.read',
  'monitoring-write': 'monitoring.write',
  'service-control': 'servicecontrol',
  'service-management': 'service.management.readonly',
  trace: 'trace.append',
  'userinfo-email': 'userinfo.email',
};

/** gcloud's alias for what a VM has when nobody says. */
const DEFAULT_SCOPES = [
  'storage-ro',
  'logging-write',
  'monitoring-write',
  'service-control',
  'service-management',
  'trace',
];

/** The properties of VMs in `region`. Throws UsageError for what Compute would refuse. */
export function instanceProperties(spec: FleetSpec, region: string): InstanceProperties {
  const { options } = spec;
  const metadata = metadataOf(spec);
  const account = !isSet(options, 'no-service-account') && !isSet(options, 'no-scopes');
  return {
    description: options.description ?? `${spec.family} worker`,
    machineType: machineType(options),
    labels: {
      [OWNER_LABEL]: labelValue(userName()),
      [VERSION_LABEL]: labelValue(version),
      ...labels(options.labels),
      [FLEET_LABEL]: spec.prefix,
    },
    metadata: { items: Object.entries(metadata).map(([key, value]) => ({ key, value })) },
    disks: [bootDisk(spec), ...localSsds(options)],
    networkInterfaces: [networkInterface(options, region)],
    scheduling: scheduling(spec),
    ...(account && {
      serviceAccounts: [
        {
          email: options['service-account'] ?? 'default',
          scopes: scopes(options.scopes, Object.values(metadata).some(isSecret)),
        },
      ],
    }),
    ...(options.tags !== undefined && { tags: { items: listOf(options.tags) } }),
    ...(options['min-cpu-platform'] !== undefined && { minCpuPlatform: options['min-cpu-platform'] }),
    ...(options.accelerator !== undefined && { guestAccelerators: [accelerator(options.accelerator)] }),
    ...(isSet(options, 'can-ip-forward') && { canIpForward: true }),
    ...shielded(options),
    ...advanced(options),
    ...(options['confidential-compute-type'] !== undefined && {
      confidentialInstanceConfig: {
        enableConfidentialCompute: true,
        confidentialInstanceType: oneOf('confidential-compute-type', options['confidential-compute-type'], [
          'SEV',
          'SEV_SNP',
          'TDX',
        ]),
      },
    }),
    ...reservation(options),
    ...(options['resource-policies'] !== undefined && {
      resourcePolicies: listOf(options['resource-policies']),
    }),
    ...(options['key-revocation-action-type'] !== undefined && {
      keyRevocationActionType: oneOf('key-revocation-action-type', options['key-revocation-action-type'], [
        'NONE',
        'STOP',
      ]),
    }),
  };
}

/** A label's value as Compute takes it: `0-1-0` for 0.1.0. */
function labelValue(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .slice(0, 63);
}

function metadataOf({ options, metadata }: FleetSpec): Record<string, string> {
  const fromFiles = Object.entries(partsOf(options['metadata-from-file'] ?? ''));
  return {
    ...partsOf(options.metadata ?? ''),
    ...Object.fromEntries(fromFiles.map(([key, path]) => [key, textOf(path)])),
    ...metadata,
  };
}

/** The text of a file that the command line names. Throws UsageError when it cannot be read. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new UsageError(`${path} cannot be read (${codeOf(thrown)})`);
  }
}

function machineType(options: Options): string {
  const { 'custom-cpu': cpu, 'custom-memory': memory, 'custom-vm-type': type } = options;
  if ((cpu === undefined) !== (memory === undefined))
    throw new UsageError('-o custom-cpu and -o custom-memory go together');
  if (cpu === undefined || memory === undefined) return options['machine-type'] ?? 'n1-standard-1';
  const megabytes = gigabytes('custom-memory', memory) * 1024;
  const name = `custom-${whole('custom-cpu', cpu)}-${megabytes}`;
  // Types of the first family have no name before them.
  return `${type && type !== 'n1' ? `${type}-` : ''}${name}${isSet(options, 'custom-extensions') ? '-ext' : ''}`;
}

function bootDisk({ options, project, family }: FleetSpec) {
  const from = `projects/${options['image-project'] ?? project}/global/images`;
  const snapshot = options['source-snapshot'];
  const size = options['boot-disk-size'];
  const sizeGb = size === undefined ? undefined : gigabytes('boot-disk-size', size);
  if (sizeGb !== undefined && !Number.isInteger(sizeGb))
    throw new UsageError(`-o boot-disk-size=${size}: must be whole gigabytes`);
  const { 'boot-disk-provisioned-iops': iops, 'boot-disk-provisioned-throughput': throughput } = options;
  return {
    boot: true,
    autoDelete: !isSet(options, 'no-boot-disk-auto-delete'),
    ...(options['boot-disk-device-name'] !== undefined && { deviceName: options['boot-disk-device-name'] }),
    initializeParams: {
      ...(snapshot !== undefined
        ? {
            sourceSnapshot: snapshot.includes('/')
              ? snapshot
              : `projects/${project}/global/snapshots/${snapshot}`,
          }
        : {
            sourceImage:
              options.image !== undefined
                ? `${from}/${options.image}`
                : `${from}/family/${options['image-family'] ?? family}`,
          }),
      diskType: options['boot-disk-type'] ?? 'pd-standard',
      ...(sizeGb !== undefined && { diskSizeGb: String(sizeGb) }),
      ...(iops !== undefined && { provisionedIops: String(whole('boot-disk-provisioned-iops', iops)) }),
      ...(throughput !== undefined && {
        provisionedThroughput: String(whole('boot-disk-provisioned-throughput', throughput)),
      }),
    },
  };
}

function localSsds(options: Options) {
  if (options['local-ssd'] === undefined) return [];
  const parts = partsOf(options['local-ssd']);
  const one = {
    type: 'SCRATCH',
    autoDelete: true,
    interface: oneOf('local-ssd', parts.interface ?? 'SCSI', ['SCSI', 'NVME']),
    initializeParams: { diskType: 'local-ssd' },
  };
  return Array.from({ length: whole('local-ssd', parts.count ?? '1') }, () => one);
}

function labels(text: string | undefined): Record<string, string> {
  const found = partsOf(text ?? '');
  for (const [key, value] of Object.entries(found))
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key) || !/^[a-z0-9_-]{0,63}$/.test(value))
      throw new UsageError(
        `-o labels=${key}=${value}: keys and values have lower-case letters, digits, - and _, at most 63`,
      );
  return found;
}

function networkInterface(options: Options, region: string) {
  const own = partsOf(options['network-interface'] ?? '');
  const noAddress = 'no-address' in own || isSet(options, 'no-address');
  const subnet = own.subnet ?? options.subnet;
  const network = own.network ?? options.network;
  const stack = own['stack-type'] ?? options['stack-type'];
  const tier = own['network-tier'] ?? options['network-tier'] ?? 'PREMIUM';
  return {
    // A whole or partial URL is passed on; a name is made one.
    ...(subnet
      ? { subnetwork: subnet.includes('/') ? subnet : `regions/${region}/subnetworks/${subnet}` }
      : { network: network?.includes('/') ? network : `global/networks/${network ?? 'default'}` }),
    ...(stack && { stackType: oneOf('stack-type', stack, ['IPV4_ONLY', 'IPV4_IPV6', 'IPV6_ONLY']) }),
    ...(!noAddress && {
      accessConfigs: [
        {
          name: 'external-nat',
          type: 'ONE_TO_ONE_NAT',
          networkTier: oneOf('network-tier', tier, ['PREMIUM', 'STANDARD']),
        },
      ],
    }),
  };
}

function scheduling({ options, spot }: FleetSpec) {
  const model = oneOf('provisioning-model', options['provisioning-model'] ?? 'STANDARD', [
    'STANDARD',
    'SPOT',
  ]);
  const isSpot = spot || model === 'SPOT';
  const duration = options['max-run-duration'];
  const until = options['termination-time'];
  const ends = isSpot || duration !== undefined || until !== undefined;
  const preemptible = !isSpot && isSet(options, 'preemptible');
  const stays = isSpot || preemptible || options.accelerator !== undefined;
  const policy = oneOf('maintenance-policy', options['maintenance-policy'] ?? 'MIGRATE', [
    'MIGRATE',
    'TERMINATE',
  ]);
  const restart = stays && (isSpot || preemptible) ? false : switchOf(options, 'restart-on-failure');
  const action = options['instance-termination-action'] ?? 'DELETE';
  return {
    ...(isSpot && { provisioningModel: 'SPOT' }),
    ...(preemptible && { preemptible: true }),
    ...(ends && {
      instanceTerminationAction: oneOf('instance-termination-action', action, ['DELETE', 'STOP']),
    }),
    onHostMaintenance: stays ? 'TERMINATE' : policy,
    ...(restart !== undefined && { automaticRestart: restart }),
    ...(duration !== undefined && { maxRunDuration: { seconds: String(runSeconds(duration)) } }),
    ...(until !== undefined && { terminationTime: until }),
    ...(options['min-node-cpu'] !== undefined && {
      minNodeCpus: whole('min-node-cpu', options['min-node-cpu']),
    }),
  };
}

/** What the service account may do; to read secrets it needs the scope of all. */
function scopes(text: string | undefined, withSecrets: boolean): string[] {
  const names = text === undefined ? [...SCOPES, ...(withSecrets ? ['cloud-platform'] : [])] : listOf(text);
  return names
    .flatMap((name) => (name === 'default' ? DEFAULT_SCOPES : [name]))
    .map((scope) => {
      if (scope.startsWith('https://')) return scope;
      const name = SCOPE_URLS[scope];
      if (!name)
        throw new UsageError(`-o scopes: '${scope}' is unknown${hint(scope, Object.keys(SCOPE_URLS))}`);
      return `https://www.googleapis.com/auth/${name}`;
    });
}

function accelerator(text: string) {
  const parts = partsOf(text);
  const count = Number(parts.count ?? 1);
  if (!parts.type || !Number.isInteger(count) || count < 1)
    throw new UsageError(`-o accelerator=${text}: must be type=NAME,count=N`);
  return { acceleratorType: parts.type, acceleratorCount: count };
}

function shielded(options: Options) {
  const config = {
    enableSecureBoot: switchOf(options, 'shielded-secure-boot'),
    enableVtpm: switchOf(options, 'shielded-vtpm'),
    enableIntegrityMonitoring: switchOf(options, 'shielded-integrity-monitoring'),
  };
  const said = Object.entries(config).filter(([, value]) => value !== undefined);
  return said.length > 0 && { shieldedInstanceConfig: Object.fromEntries(said) };
}

function advanced(options: Options) {
  const { 'threads-per-core': threads, 'visible-core-count': cores } = options;
  const features = {
    ...(threads !== undefined && { threadsPerCore: whole('threads-per-core', threads) }),
    ...(cores !== undefined && { visibleCoreCount: whole('visible-core-count', cores) }),
    ...(isSet(options, 'enable-nested-virtualization') && { enableNestedVirtualization: true }),
  };
  return Object.keys(features).length > 0 && { advancedMachineFeatures: features };
}

/** The names that the API has for gcloud's three words. */
const AFFINITIES: Record<string, string> = {
  ANY: 'ANY_RESERVATION',
  NONE: 'NO_RESERVATION',
  SPECIFIC: 'SPECIFIC_RESERVATION',
};

function reservation(options: Options) {
  const { reservation: name, 'reservation-affinity': affinity } = options;
  if (name === undefined && affinity === undefined) return {};
  const word = oneOf('reservation-affinity', affinity ?? 'specific', Object.keys(AFFINITIES));
  if ((word === 'SPECIFIC') !== (name !== undefined))
    throw new UsageError('-o reservation=NAME and -o reservation-affinity=specific go together');
  return {
    reservationAffinity: {
      consumeReservationType: AFFINITIES[word],
      ...(name !== undefined && { key: 'compute.googleapis.com/reservation-name', values: [name] }),
    },
  };
}
