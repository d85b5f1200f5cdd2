import { expect, test } from 'bun:test';
import { version } from '../../core/version.ts';
import { type Description, describedBy, deviations } from '../../sandbox/gcp/test_description.ts';
import { type FleetSpec, instanceProperties } from './instance_properties.ts';
import { checkOptions, OPTIONS, runSeconds } from './options.ts';

const spec = (options: Record<string, string> = {}, more: Partial<FleetSpec> = {}): FleetSpec => ({
  project: 'p',
  prefix: 'demo',
  family: 'fireworker',
  metadata: { db: 'x' },
  spot: false,
  options,
  ...more,
});

let description: Description | undefined;
/** The properties of VMs, which Compute's own description knows all of. */
async function body(options?: Record<string, string>, more?: Partial<FleetSpec>) {
  description ??= await describedBy('compute');
  const made = instanceProperties(spec(options, more), 'us-west1');
  const type = description.lookupType('google.cloud.compute.v1.InstanceProperties');
  expect(deviations(JSON.parse(JSON.stringify(made)), type)).toEqual([]);
  return made;
}

test("upstream's defaults", async () => {
  expect(await body()).toEqual({
    description: 'fireworker worker',
    machineType: 'n1-standard-1',
    labels: {
      'borealis-fleet': 'demo',
      'borealis-owner': expect.stringMatching(/^[a-z0-9_-]+$/),
      'borealis-version': version.replaceAll('.', '-'),
    } as Record<string, string>,
    metadata: { items: [{ key: 'db', value: 'x' }] },
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          sourceImage: 'projects/p/global/images/family/fireworker',
          diskType: 'pd-standard',
        },
      },
    ],
    networkInterfaces: [
      {
        network: 'global/networks/default',
        accessConfigs: [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT', networkTier: 'PREMIUM' }],
      },
    ],
    scheduling: { onHostMaintenance: 'MIGRATE' },
    serviceAccounts: [
      {
        email: 'default',
        scopes: [
          'compute',
          'logging.write',
          'devstorage.read_write',
          'monitoring.write',
          'servicecontrol',
          'service.management.readonly',
          'trace.append',
        ].map((scope) => `https://www.googleapis.com/auth/${scope}`),
      },
    ],
  });
});

const auth = (scope: string) => `https://www.googleapis.com/auth/${scope}`;
const disk = (initializeParams: object) => ({
  disks: [expect.objectContaining({ initializeParams: expect.objectContaining(initializeParams) })],
});

test.each([
  [{ 'machine-type': 'n2-standard-4' }, { machineType: 'n2-standard-4' }],
  [{ 'custom-cpu': '4', 'custom-memory': '10' }, { machineType: 'custom-4-10240' }],
  [{ 'custom-cpu': '1', 'custom-memory': '3840MB' }, { machineType: 'custom-1-3840' }],
  [{ 'boot-disk-size': '200' }, disk({ diskSizeGb: '200' })],
  [{ 'boot-disk-size': '1TB', 'boot-disk-type': 'pd-ssd' }, disk({ diskSizeGb: '1024', diskType: 'pd-ssd' })],
  [{ image: 'i-v1' }, disk({ sourceImage: 'projects/p/global/images/i-v1' })],
  [
    { 'image-family': 'debian-12', 'image-project': 'debian-cloud' },
    disk({ sourceImage: 'projects/debian-cloud/global/images/family/debian-12' }),
  ],
  [
    { network: 'mine' },
    { networkInterfaces: [expect.objectContaining({ network: 'global/networks/mine' })] },
  ],
  [
    { subnet: 'mine', 'no-address': '' },
    { networkInterfaces: [{ subnetwork: 'regions/us-west1/subnetworks/mine' }] },
  ],
  [
    { 'network-interface': 'network=n,subnet=projects/h/regions/r/subnetworks/s,no-address' },
    { networkInterfaces: [{ subnetwork: 'projects/h/regions/r/subnetworks/s' }] },
  ],
  [
    { 'network-tier': 'standard' },
    {
      networkInterfaces: [
        expect.objectContaining({ accessConfigs: [expect.objectContaining({ networkTier: 'STANDARD' })] }),
      ],
    },
  ],
  [{ 'maintenance-policy': 'terminate' }, { scheduling: { onHostMaintenance: 'TERMINATE' } }],
  [
    { preemptible: '' },
    { scheduling: { preemptible: true, onHostMaintenance: 'TERMINATE', automaticRestart: false } },
  ],
  [{ description: 'mine' }, { description: 'mine' }],
  [{ labels: 'team=x,empty' }, { labels: { team: 'x', empty: '', 'borealis-fleet': 'demo' } }],
  [{ labels: 'borealis-fleet=other' }, { labels: { 'borealis-fleet': 'demo' } }],
  [{ tags: 'a,b' }, { tags: { items: ['a', 'b'] } }],
  [
    { scopes: 'cloud-platform,https://x/y', 'service-account': 'a@b' },
    {
      serviceAccounts: [
        { email: 'a@b', scopes: ['https://www.googleapis.com/auth/cloud-platform', 'https://x/y'] },
      ],
    },
  ],
  [
    { scopes: 'default' },
    { serviceAccounts: [{ scopes: expect.arrayContaining([auth('devstorage.read_only')]) }] },
  ],
  [
    { 'custom-cpu': '2', 'custom-memory': '20', 'custom-vm-type': 'n2', 'custom-extensions': '' },
    { machineType: 'n2-custom-2-20480-ext' },
  ],
  [{ 'source-snapshot': 'snap' }, disk({ sourceSnapshot: 'projects/p/global/snapshots/snap' })],
  [
    { 'boot-disk-provisioned-iops': '3000', 'boot-disk-provisioned-throughput': '140' },
    disk({ provisionedIops: '3000', provisionedThroughput: '140' }),
  ],
  [
    { 'no-boot-disk-auto-delete': '', 'boot-disk-device-name': 'd' },
    { disks: [expect.objectContaining({ autoDelete: false, deviceName: 'd' })] },
  ],
  [
    { 'local-ssd': 'interface=nvme,count=2' },
    {
      disks: [
        expect.anything(),
        ...[1, 2].map(() => expect.objectContaining({ type: 'SCRATCH', interface: 'NVME' })),
      ],
    },
  ],
  [
    { 'stack-type': 'ipv4-ipv6' },
    { networkInterfaces: [expect.objectContaining({ stackType: 'IPV4_IPV6' })] },
  ],
  [{ 'can-ip-forward': '' }, { canIpForward: true }],
  [
    { 'provisioning-model': 'spot' },
    {
      scheduling: { provisioningModel: 'SPOT', instanceTerminationAction: 'DELETE', automaticRestart: false },
    },
  ],
  [
    { 'max-run-duration': '1d2h', 'instance-termination-action': 'stop' },
    { scheduling: { maxRunDuration: { seconds: '93600' }, instanceTerminationAction: 'STOP' } },
  ],
  [
    { 'termination-time': '2026-11-25T18:00:00Z' },
    { scheduling: { terminationTime: '2026-11-25T18:00:00Z', instanceTerminationAction: 'DELETE' } },
  ],
  [{ 'no-restart-on-failure': '' }, { scheduling: { automaticRestart: false } }],
  [{ 'restart-on-failure': '' }, { scheduling: { automaticRestart: true } }],
  [{ 'min-node-cpu': '4' }, { scheduling: { minNodeCpus: 4 } }],
  [
    { metadata: 'a=1,db=y' },
    {
      metadata: {
        items: [
          { key: 'a', value: '1' },
          { key: 'db', value: 'x' },
        ],
      },
    },
  ],
  [
    { 'shielded-secure-boot': '', 'no-shielded-vtpm': '', 'shielded-integrity-monitoring': 'false' },
    {
      shieldedInstanceConfig: { enableSecureBoot: true, enableVtpm: false, enableIntegrityMonitoring: false },
    },
  ],
  [
    { 'threads-per-core': '1', 'visible-core-count': '2', 'enable-nested-virtualization': '' },
    { advancedMachineFeatures: { threadsPerCore: 1, visibleCoreCount: 2, enableNestedVirtualization: true } },
  ],
  [
    { 'confidential-compute-type': 'sev' },
    { confidentialInstanceConfig: { enableConfidentialCompute: true, confidentialInstanceType: 'SEV' } },
  ],
  [{ 'reservation-affinity': 'none' }, { reservationAffinity: { consumeReservationType: 'NO_RESERVATION' } }],
  [
    { reservation: 'r' },
    { reservationAffinity: { consumeReservationType: 'SPECIFIC_RESERVATION', values: ['r'] } },
  ],
  [{ 'resource-policies': 'a,b' }, { resourcePolicies: ['a', 'b'] }],
  [{ 'key-revocation-action-type': 'stop' }, { keyRevocationActionType: 'STOP' }],
  [{ 'min-cpu-platform': 'Intel Skylake' }, { minCpuPlatform: 'Intel Skylake' }],
  [
    { accelerator: 'type=nvidia-tesla-t4,count=2' },
    {
      guestAccelerators: [{ acceleratorType: 'nvidia-tesla-t4', acceleratorCount: 2 }],
      scheduling: { onHostMaintenance: 'TERMINATE' },
    },
  ],
])('-o %j', async (options, expected) => {
  checkOptions(options as Record<string, string>);
  expect(await body(options as Record<string, string>)).toMatchObject(expected as object);
});

test('spot VMs are deleted when Google takes them back', async () => {
  expect(await body({}, { spot: true })).toMatchObject({
    scheduling: {
      provisioningModel: 'SPOT',
      instanceTerminationAction: 'DELETE',
      onHostMaintenance: 'TERMINATE',
      automaticRestart: false,
    },
  });
});

test('no service account, so that a worker can reach nothing', async () => {
  for (const name of ['no-service-account', 'no-scopes'])
    expect(await body({ [name]: '' })).not.toHaveProperty('serviceAccounts');
});

test('who is to read secrets gets the scope that this needs', async () => {
  const metadata = { db: 'x', password: 'secret:projects/p/secrets/s' };
  const { serviceAccounts } = await body({}, { metadata });
  expect(serviceAccounts?.[0]?.scopes).toContain(auth('cloud-platform'));
  const own = await body({ scopes: 'storage-rw' }, { metadata });
  expect(own.serviceAccounts?.[0]?.scopes).toEqual([auth('devstorage.read_write')]);
});

test('attributes from a file', async () => {
  const { metadata } = await body({ 'metadata-from-file': `startup-script=${import.meta.path}` });
  expect(metadata?.items?.[0]?.value).toBe(await Bun.file(import.meta.path).text());
  await expect(body({ 'metadata-from-file': 'a=/none' })).rejects.toThrow('/none cannot be read (ENOENT)');
});

test.each([
  ['30', 30],
  ['90s', 90],
  ['8h', 8 * 3600],
  ['1d12h30m', (36 * 60 + 30) * 60],
  ['120d', 120 * 86400],
])('a run of %s', (text, seconds) => {
  expect(runSeconds(text)).toBe(seconds);
});

test.each([
  ['29s', 'must be from 30s to 120d'],
  ['121d', 'must be from 30s to 120d'],
  ['', 'must be a duration such as 8h'],
  ['1 day', 'must be a duration such as 8h'],
  ['8h1d', 'must be a duration such as 8h'],
])('a run of %j is refused', (text, message) => {
  expect(() => runSeconds(text)).toThrow(message);
});

test.each([
  [{ reservation: 'r', 'reservation-affinity': 'any' }, 'go together'],
  [{ 'reservation-affinity': 'anny' }, "it is one of ANY, NONE, SPECIFIC (did you mean 'ANY'?)"],
  [{ 'threads-per-core': 'one' }, '-o threads-per-core=one: must be a whole number'],
  [{ 'custom-cpu': '4' }, '-o custom-cpu and -o custom-memory go together'],
  [{ 'custom-cpu': 'x', 'custom-memory': '1' }, '-o custom-cpu=x: must be a whole number'],
  [{ 'boot-disk-size': 'big' }, '-o boot-disk-size=big: must be a size such as 50GB'],
  [{ 'boot-disk-size': '500MB' }, '-o boot-disk-size=500MB: must be whole gigabytes'],
  [{ scopes: 'storage-rww' }, "-o scopes: 'storage-rww' is unknown (did you mean 'storage-rw'?)"],
  [{ accelerator: 'nvidia' }, '-o accelerator=nvidia: must be type=NAME,count=N'],
  [{ accelerator: 'type=x,count=many' }, '-o accelerator=type=x,count=many: must be type=NAME,count=N'],
  [{ labels: 'Team=x' }, '-o labels=Team=x: keys and values have lower-case letters'],
])('-o %j is refused', (options, message) => {
  expect(() => instanceProperties(spec(options as Record<string, string>), 'us-west1')).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
  );
});

test('an option that nobody knows names its neighbours, and what is known', () => {
  expect(() => checkOptions({ zoen: 'x' })).toThrow(
    "-o zoen: unknown option (did you mean 'zone'?). Known: machine-type",
  );
  expect(() =>
    checkOptions(Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, '']))),
  ).not.toThrow();
});
