/** An instance as Compute tells of it, made from the body of a request. Pure. */
import { badRequest } from './http.ts';

export type Json = Record<string, unknown>;

export interface Place {
  project: string;
  zone: string;
  /** `projects/P` and `projects/P/zones/Z` as URLs. */
  projectUrl: string;
  zoneUrl: string;
}

/** What is told as it was asked for. */
const AS_ASKED = [
  'description',
  'labels',
  'canIpForward',
  'minCpuPlatform',
  'hostname',
  'deletionProtection',
  'resourcePolicies',
  'shieldedInstanceConfig',
  'confidentialInstanceConfig',
  'advancedMachineFeatures',
  'reservationAffinity',
];

/** Throws ApiError 400 for a body that Compute would refuse. `number` tells apart what is given to each VM. */
export function instanceResource(
  body: Json,
  o: { id: string; name: string; number: number; place: Place },
): Json {
  const { id, name, place } = o;
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    throw badRequest(
      `Invalid value for field 'resource.name': '${name}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'`,
    );
  const machineType = lastOf(body.machineType);
  if (!machineType)
    throw badRequest(`Invalid value for field 'resource.machineType': ''. The URL is malformed.`);
  checkLabels(body.labels);
  return {
    kind: 'compute#instance',
    id,
    name,
    creationTimestamp: new Date().toISOString(),
    status: 'PROVISIONING',
    ...Object.fromEntries(AS_ASKED.filter((key) => key in body).map((key) => [key, body[key]])),
    machineType: `${place.zoneUrl}/machineTypes/${machineType}`,
    zone: place.zoneUrl,
    selfLink: `${place.zoneUrl}/instances/${name}`,
    cpuPlatform: 'Intel Broadwell',
    startRestricted: false,
    deletionProtection: body.deletionProtection === true,
    fingerprint: fingerprint(),
    labelFingerprint: fingerprint(),
    metadata: metadataResource(body.metadata),
    tags: {
      ...(listOf((body.tags as Json | undefined)?.items).length > 0 && { items: (body.tags as Json).items }),
      fingerprint: fingerprint(),
    },
    disks: disksOf(body, name, place),
    networkInterfaces: interfacesOf(body, o.number, place),
    scheduling: schedulingOf(body),
    ...('serviceAccounts' in body && {
      serviceAccounts: listOf(body.serviceAccounts).map(({ email, scopes }) => ({
        email: email === 'default' ? accountOf(place.project) : email,
        scopes,
      })),
    }),
    ...('guestAccelerators' in body && {
      guestAccelerators: listOf(body.guestAccelerators).map(({ acceleratorType, acceleratorCount }) => ({
        acceleratorType: `${place.zoneUrl}/acceleratorTypes/${lastOf(acceleratorType)}`,
        acceleratorCount,
      })),
    }),
  };
}

/** The service account that the VMs of a project run as. */
export const accountOf = (project: string) => `sandbox@${project}.iam.gserviceaccount.com`;

/** Metadata with a new fingerprint. Throws ApiError 400 for keys that Compute refuses. */
export function metadataResource(metadata: unknown): Json {
  const items = listOf((metadata as Json | undefined)?.items).map(({ key, value }) => ({
    key: String(key ?? ''),
    value: String(value ?? ''),
  }));
  const keys = new Set<string>();
  for (const { key, value } of items) {
    if (!/^[\w-]{1,128}$/.test(key))
      throw badRequest(
        `Invalid value for field 'metadata.items[].key': '${key}'. Must be a match of regex '[a-zA-Z0-9-_]{1,128}'`,
      );
    if (keys.has(key)) throw badRequest(`Metadata has duplicate key: ${key}`);
    if (Buffer.byteLength(value) > 256 * 1024)
      throw badRequest(`Value for field 'metadata.items[].value' is too large: maximum size 262144 bytes`);
    keys.add(key);
  }
  return {
    kind: 'compute#metadata',
    fingerprint: fingerprint(),
    ...(items.length > 0 && { items }),
  };
}

/** Metadata as a dictionary. */
export function attributesOf(metadata: unknown): Record<string, string> {
  return Object.fromEntries(
    listOf((metadata as Json | undefined)?.items).map(({ key, value }) => [String(key), String(value)]),
  );
}

export function checkLabels(labels: unknown): void {
  for (const [key, value] of Object.entries((labels ?? {}) as Json))
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key) || !/^[a-z0-9_-]{0,63}$/.test(String(value)))
      throw badRequest(
        `Invalid value for field 'resource.labels': '${key}=${value}'. Label keys and values have at most 63 characters: lower-case letters, digits, _ and -`,
      );
}

/** The image that a body boots: its project, and its name or family. */
export function imageOf(body: Json): { project?: string; name: string; family: boolean } {
  const [disk] = listOf(body.disks);
  const source = String((disk?.initializeParams as Json | undefined)?.sourceImage ?? '');
  const [, project, family, name] =
    /(?:projects\/([^/]+)\/)?global\/images\/(family\/)?([^/]+)$/.exec(source) ?? [];
  if (!disk || !name)
    throw badRequest(
      `Invalid value for field 'resource.disks[0].initializeParams.sourceImage': '${source}'. The URL is malformed.`,
    );
  return { project, name, family: family !== undefined };
}

/** 8 bytes that change with what they stand for. */
export function fingerprint(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('base64');
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

/** The name at the end of a full or partial URL. */
export function lastOf(url: unknown): string {
  return (
    String(url ?? '')
      .split('/')
      .at(-1) ?? ''
  );
}

function disksOf(body: Json, name: string, place: Place): Json[] {
  return listOf(body.disks).map((disk, index) => ({
    kind: 'compute#attachedDisk',
    type: 'PERSISTENT',
    mode: 'READ_WRITE',
    interface: 'SCSI',
    index,
    boot: disk.boot === true,
    autoDelete: disk.autoDelete === true,
    deviceName: disk.deviceName ?? `persistent-disk-${index}`,
    diskSizeGb: String((disk.initializeParams as Json | undefined)?.diskSizeGb ?? '10'),
    source: `${place.zoneUrl}/disks/${index === 0 ? name : `${name}-${index}`}`,
  }));
}

function interfacesOf(body: Json, number: number, place: Place): Json[] {
  const asked = listOf(body.networkInterfaces);
  if (asked.length === 0)
    throw badRequest(
      "Invalid value for field 'resource.networkInterfaces': ''. At least one network interface is required.",
    );
  const address = `${(number >> 8) & 255}.${number & 255}`;
  const region = place.zone.replace(/-[a-z]$/, '');
  return asked.map((one, index) => ({
    kind: 'compute#networkInterface',
    name: `nic${index}`,
    network: `${place.projectUrl}/global/networks/${lastOf(one.network) || 'default'}`,
    subnetwork: `${place.projectUrl}/regions/${region}/subnetworks/${lastOf(one.subnetwork) || 'default'}`,
    networkIP: `10.138.${address}`,
    stackType: 'IPV4_ONLY',
    fingerprint: fingerprint(),
    ...('accessConfigs' in one && {
      accessConfigs: listOf(one.accessConfigs).map((access) => ({
        kind: 'compute#accessConfig',
        type: access.type ?? 'ONE_TO_ONE_NAT',
        name: access.name ?? 'External NAT',
        networkTier: access.networkTier ?? 'PREMIUM',
        // 203.0.113.0/24 is for examples: nobody is there.
        natIP: `203.0.113.${number & 255}`,
      })),
    }),
  }));
}

function schedulingOf(body: Json): Json {
  const asked = (body.scheduling ?? {}) as Json;
  const spot = asked.provisioningModel === 'SPOT' || asked.preemptible === true;
  return {
    onHostMaintenance: spot ? 'TERMINATE' : 'MIGRATE',
    automaticRestart: !spot,
    provisioningModel: 'STANDARD',
    ...asked,
    preemptible: spot,
  };
}
