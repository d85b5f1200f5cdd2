import { expect, test } from 'bun:test';
import { type Description, describedBy, deviations } from '../../sandbox/gcp/test_description.ts';
import { checkOptions, type FleetSpec, instanceBody, OPTIONS } from './instance_body.ts';

const spec = (options: Record<string, string> = {}, more: Partial<FleetSpec> = {}): FleetSpec => ({
  project: 'p',
  zone: 'us-west1-b',
  prefix: 'demo',
  family: 'fireworker',
  metadata: { db: 'x' },
  spot: false,
  options,
  ...more,
});

let description: Description | undefined;
/** The body of a request for demo-0, which Compute's own description knows all of. */
async function body(options?: Record<string, string>, more?: Partial<FleetSpec>) {
  description ??= await describedBy('compute');
  const made = instanceBody('demo-0', spec(options, more));
  const type = description.lookupType('google.cloud.compute.v1.Instance');
  expect(deviations(JSON.parse(JSON.stringify(made)), type)).toEqual([]);
  return made;
}

test("upstream's defaults", async () => {
  expect(await body()).toEqual({
    name: 'demo-0',
    description: 'fireworker worker',
    machineType: 'zones/us-west1-b/machineTypes/n1-standard-1',
    labels: { 'borealis-fleet': 'demo' },
    metadata: { items: [{ key: 'db', value: 'x' }] },
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          sourceImage: 'projects/p/global/images/family/fireworker',
          diskType: 'zones/us-west1-b/diskTypes/pd-standard',
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

const disk = (initializeParams: object) => ({
  disks: [expect.objectContaining({ initializeParams: expect.objectContaining(initializeParams) })],
});

test.each([
  [{ 'machine-type': 'n2-standard-4' }, { machineType: 'zones/us-west1-b/machineTypes/n2-standard-4' }],
  [
    { 'custom-cpu': '4', 'custom-memory': '10' },
    { machineType: 'zones/us-west1-b/machineTypes/custom-4-10240' },
  ],
  [
    { 'custom-cpu': '1', 'custom-memory': '3840MB' },
    { machineType: 'zones/us-west1-b/machineTypes/custom-1-3840' },
  ],
  [{ 'boot-disk-size': '200' }, disk({ diskSizeGb: '200' })],
  [
    { 'boot-disk-size': '1TB', 'boot-disk-type': 'pd-ssd' },
    disk({ diskSizeGb: '1024', diskType: 'zones/us-west1-b/diskTypes/pd-ssd' }),
  ],
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
  [{ 'min-cpu-platform': 'Intel Skylake' }, { minCpuPlatform: 'Intel Skylake' }],
  [
    { accelerator: 'type=nvidia-tesla-t4,count=2' },
    {
      guestAccelerators: [
        { acceleratorType: 'zones/us-west1-b/acceleratorTypes/nvidia-tesla-t4', acceleratorCount: 2 },
      ],
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

test.each([
  [{ 'custom-cpu': '4' }, '-o custom-cpu and -o custom-memory go together'],
  [{ 'custom-cpu': 'x', 'custom-memory': '1' }, '-o custom-cpu=x: must be a whole number'],
  [{ 'boot-disk-size': 'big' }, '-o boot-disk-size=big: must be a size such as 50GB'],
  [{ 'boot-disk-size': '500MB' }, '-o boot-disk-size=500MB: must be whole gigabytes'],
  [{ scopes: 'storage-rww' }, "-o scopes: 'storage-rww' is unknown (did you mean 'storage-rw'?)"],
  [{ accelerator: 'nvidia' }, '-o accelerator=nvidia: must be type=NAME,count=N'],
  [{ accelerator: 'type=x,count=many' }, '-o accelerator=type=x,count=many: must be type=NAME,count=N'],
  [{ labels: 'Team=x' }, '-o labels=Team=x: keys and values have lower-case letters'],
])('-o %j is refused', (options, message) => {
  expect(() => instanceBody('demo-0', spec(options as Record<string, string>))).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
  );
});

test('an option that nobody knows names its neighbours, and what is known', () => {
  expect(() => checkOptions({ zoen: 'x' })).toThrow(
    "-o zoen: unknown option (did you mean 'zone'?). Known: machine-type",
  );
  expect(() => checkOptions(Object.fromEntries(OPTIONS.map((name) => [name, ''])))).not.toThrow();
});
