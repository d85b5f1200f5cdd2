/** The end of a VM: it deletes itself by the Compute API, or stays for whoever is at work on it. */
import { describe, expect, test } from 'bun:test';
import { loggerTo } from '../core/log.ts';
import { testCloud } from '../sandbox/gcp/test_cloud.ts';
import { openCloud } from './cloud.ts';
import { goHome } from './go_home.ts';
import { until } from './test_worker.ts';

/** A VM in a cloud of the test's own, and what its worker would do last. */
async function vm() {
  const cloud = await testCloud();
  await cloud.boot('demo-0');
  const own = await openCloud({
    GCE_METADATA_HOST: cloud.compute.vms.get('demo-0')?.vm.metadataHost,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${cloud.origin}/compute/v1/`,
  });
  const said: string[] = [];
  const hastened = new AbortController();
  let stays = false;
  return Object.assign(cloud, {
    said,
    hastened,
    isThere: () => cloud.compute.vms.has('demo-0'),
    refuseDeletion: (status: number, times: number) =>
      cloud.faults.add({ service: 'compute', match: 'DELETE', status, times }),
    stay: () => {
      stays = true;
    },
    goHome: (o: { exitCode?: number; errorDelayMs?: number } = {}) =>
      goHome({
        cloud: own,
        log: loggerTo([({ message }) => void said.push(message)]),
        exitCode: 0,
        errorDelayMs: 600_000,
        stay: async () => stays,
        hastened: hastened.signal,
        ...o,
      }),
  });
}

test('done: the VM deletes itself', async () => {
  await using cloud = await vm();
  await cloud.goHome();
  await until('its end', () => !cloud.isThere());
  expect(cloud.said).toEqual(['Deleting this VM, demo-0']);
});

test('somebody is at work on it: it stays', async () => {
  await using cloud = await vm();
  cloud.stay();
  await cloud.goHome({ exitCode: 1 });
  expect([cloud.isThere(), cloud.said]).toEqual([true, []]);
});

test('no VM at all: nothing to do', async () => {
  const log = loggerTo([]);
  const cloud = await openCloud({ GCE_METADATA_HOST: '127.0.0.1:1' });
  const stay = async () => false;
  await goHome({ cloud, log, exitCode: 1, errorDelayMs: 600_000, stay, hastened: AbortSignal.abort() });
  expect(cloud.instance).toBeNull();
});

describe('after an error', () => {
  test('the VM waits, says for how long and how to keep it, and deletes itself', async () => {
    await using cloud = await vm();
    await cloud.goHome({ exitCode: 1, errorDelayMs: 50 });
    await until('its end', () => !cloud.isThere());
    expect(cloud.said).toEqual([
      'This VM deletes itself in 0 s. To look at it, connect to it and stop the service: sudo systemctl stop fireworker',
      'Deleting this VM, demo-0',
    ]);
  });

  test('somebody who looks at it meanwhile keeps it', async () => {
    await using cloud = await vm();
    const home = cloud.goHome({ exitCode: 1 });
    await until('the warning', () => cloud.said.length > 0);
    cloud.stay();
    cloud.hastened.abort();
    await home;
    expect(cloud.isThere()).toBe(true);
  });
});

describe('the API', () => {
  test('is busy: it is asked again', async () => {
    await using cloud = await vm();
    cloud.refuseDeletion(503, 1);
    await cloud.goHome();
    await until('its end', () => !cloud.isThere());
  });

  test('refuses: people are told how to delete the VM', async () => {
    await using cloud = await vm();
    cloud.refuseDeletion(403, 9);
    await cloud.goHome();
    expect(cloud.isThere()).toBe(true);
    expect(cloud.said.at(-1)).toEndWith(
      'Delete it by hand: gcloud compute instances delete demo-0 --zone us-west1-b',
    );
  });

  test('is busy for long, and the worker is told to stop: it does', async () => {
    await using cloud = await vm();
    cloud.refuseDeletion(503, 1000);
    const home = cloud.goHome();
    await until('the first attempt', () => cloud.said.length > 0);
    cloud.hastened.abort();
    await home;
    expect([cloud.isThere(), cloud.said.length]).toEqual([true, 1]);
    // What was begun ends soon, now that it is obeyed.
    cloud.faults.clear();
    await until('its end', () => !cloud.isThere());
  });
});
