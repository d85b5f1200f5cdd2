/**
 * Fleets, beside what upstream's `gce` does by way of gcloud: one request for each VM, and metadata one VM after the other.
 * gcloud itself, which takes a second or two to start, cannot be had here: the peer makes its requests without it.
 */
import { Compute, type InstanceProperties } from '../core/cloud/compute.ts';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { vmNames } from '../ctl/fleet/names.ts';
import { type TestCloud, testCloud, vmBody } from '../sandbox/gcp/test_cloud.ts';
import type { Bench, Sides } from './bench.ts';

const VMS = 50;
const ZONE = 'us-west1-b';

/** How long each request takes on the way, where Google is not on this machine. */
const DELAY_MS = 50;

interface Side {
  cloud: TestCloud;
  compute: Compute;
  /** Requests so far, but for those that wait for an operation. */
  calls: () => number;
}

async function open(): Promise<Side> {
  let calls = 0;
  const cloud = await testCloud({
    onCall: (call) => {
      if (!call.endsWith('/wait')) calls++;
    },
  });
  return { cloud, compute: new Compute('sandbox', ZONE, readEndpoints(cloud.env)), calls: () => calls };
}

const { name: _, ...body } = vmBody('x', { db: 'x' }, { machineType: 'n1-standard-1' });
let round = 0;

const up: Bench = {
  name: 'fleet-up-vms-per-call',
  about: `VMs for each call of the API when ${VMS} are made, polling left out; gcloud asks for one at a time`,
  unit: 'VMs/call',
  repeats: 3,
  async open(): Promise<Sides> {
    const side = await open();
    const { cloud, compute, calls } = side;
    const perCall = async (make: (names: string[]) => Promise<unknown>) => {
      const before = calls();
      const names = vmNames(`r${round++}`, 0, VMS);
      await make(names);
      const spent = calls() - before;
      await compute.delete(names.map((name) => ({ name, zone: ZONE })));
      return VMS / spent;
    };
    return {
      ours: () =>
        perCall(async (names) => {
          await compute.list('name eq "none"');
          await compute.create(names, body as InstanceProperties, { zone: ZONE });
        }),
      peer: () =>
        perCall((names) =>
          Promise.all(names.map((name) => operate(cloud, 'POST', '/instances', vmBody(name, { db: 'x' })))),
        ),
      [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
    };
  },
};

const setMetadata: Bench = {
  name: 'fleet-set-metadata',
  about: `metadata of ${VMS} VMs, ${DELAY_MS} ms away; as upstream: one VM after the other, each read, set, and waited for`,
  unit: 'VMs/s',
  repeats: 3,
  async open(): Promise<Sides> {
    const { cloud, compute } = await open();
    await compute.create(vmNames('demo', 0, VMS), body as InstanceProperties, { zone: ZONE });
    cloud.faults.add({ service: 'compute', delayMs: DELAY_MS, times: 1_000_000 });
    const perSecond = async (work: () => Promise<unknown>) => {
      const start = performance.now();
      await work();
      return (VMS * 1000) / (performance.now() - start);
    };
    return {
      ours: () => perSecond(async () => await compute.setMetadata(await compute.list(''), { quit: 'soon' })),
      peer: () =>
        perSecond(async () => {
          for (const name of vmNames('demo', 0, VMS)) await addMetadata(cloud, name);
        }),
      [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
    };
  },
};

/** What `gcloud compute instances add-metadata` asks for. */
async function addMetadata(cloud: TestCloud, name: string): Promise<void> {
  const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/${name}`);
  const { fingerprint, items = [] } = metadata as { fingerprint: string; items?: { key: string }[] };
  const kept = items.filter(({ key }) => key !== 'quit');
  await operate(cloud, 'POST', `/instances/${name}/setMetadata`, {
    fingerprint,
    items: [...kept, { key: 'quit', value: 'soon' }],
  });
}

async function operate(cloud: TestCloud, method: string, path: string, body: unknown): Promise<void> {
  const { name } = await cloud.json(method, cloud.zone + path, body);
  await cloud.json('POST', `${cloud.zone}/operations/${name}/wait`);
}

export const benches = [up, setMetadata];
