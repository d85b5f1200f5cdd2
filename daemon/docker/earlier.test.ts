import { expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPassing } from '../../core/cloud/api_error.ts';
import { Storage } from '../../core/cloud/storage.ts';
import { testProxy } from '../../core/cloud/test_proxy.ts';
import { silent } from '../../core/log.ts';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { openDepot } from './depot.ts';
import { type Earlier, findEarlier, recordName, remember, takeOver } from './earlier.ts';
import { Staging } from './staging.ts';

const never = new AbortController().signal;
const RECORD = '.borealis-cache/one.json';

/** A storage in which a run below gs://sandbox/from left its outputs and a record. */
async function world() {
  const cloud = await testCloud();
  const proxy = await testProxy(cloud.origin);
  const dir = await mkdtemp(join(tmpdir(), 'earlier-'));
  const policy = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 2000 };
  const storage = new Storage({ metadataHost: '', storage: new URL(proxy.origin) }, { policy });
  const depot = await openDepot(dir, { fetchCacheBytes: 0, storeRetryMs: 100, log: silent });
  const task = async (prefix: string, launchId = 1) => {
    const staging = await Staging.open(join(dir, `${prefix}-${launchId}`), {
      inputs: [],
      outputs: ['/wc/file', '/wc/tree/', '>/wc/said', '>>/wc/run.log'],
      internalPrefix: '/wc',
      storagePrefix: `sandbox/${prefix}`,
      stamp: `stamp-${launchId}`,
      owner: { launchPad: 'here', fwId: 7, launchId, taskIndex: 0 },
      depot,
      log: silent,
    });
    await staging.findInputs(storage, never);
    return staging;
  };
  await using staging = await task('from');
  for (const { local, tree } of staging.outputs) await writeFile(tree ? join(local, 'leaf') : local, local);
  const stored = await staging.store(storage, staging.outputs);
  await remember(storage, staging, RECORD, stored, '{"exit": true}');
  proxy.calls.length = 0;
  return {
    proxy,
    storage,
    task,
    earlier: (await findEarlier(storage, 'sandbox', RECORD)) as Earlier,
    names: async (prefix: string) =>
      (await Array.fromAsync(storage.list('sandbox', `${prefix}/`))).map(({ name }) => name),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}

test('a record has what the run stored, but for its log', async () => {
  await using w = await world();
  expect(w.earlier).toMatchObject({ fw_id: 7, launch_id: 1, prefix: 'from/', fwaction: '{"exit": true}' });
  expect(w.earlier.outputs.map(({ path }) => path).sort()).toEqual(['file', 'said', 'tree/leaf']);
  expect(w.earlier.folders).toEqual(['tree/']);
});

test('one that is half written, or that another version wrote, is none', async () => {
  await using w = await world();
  expect(await findEarlier(w.storage, 'sandbox', '.borealis-cache/other.json')).toBeNull();
  for (const text of ['', '{"fw_id": 7', '{"fw_id": 7}', 'null']) {
    await w.storage.write('sandbox', RECORD, text);
    expect(await findEarlier(w.storage, 'sandbox', RECORD)).toBeNull();
  }
});

test('the name follows from facts and inputs alone', () => {
  const names = [
    recordName({ a: 1 }, []),
    recordName({ a: 1.5 }, []),
    recordName({ a: '1' }, []),
    recordName({ a: 1 }, ['in']),
    recordName({ a: 1 }, ['i', 'n']),
  ];
  expect(new Set(names).size).toBe(names.length);
  expect(recordName({ a: 1 }, ['in'])).toBe(names[3] as string);
  expect(names[0]).toMatch(/^\.borealis-cache\/[0-9a-f]{64}\.json$/);
});

test('what is in place costs a request for each output, and what is elsewhere one more for each file: no bytes pass', async () => {
  await using w = await world();
  w.proxy.calls.length = 0;
  await using same = await w.task('from', 2);
  expect(await takeOver(w.storage, same, w.earlier, never)).toBe(true);
  expect(w.proxy.calls).toHaveLength(3);
  w.proxy.calls.length = 0;
  await using other = await w.task('to', 2);
  expect(await takeOver(w.storage, other, w.earlier, never)).toBe(true);
  expect(w.proxy.calls.filter((call) => /\/rewriteTo\//.test(call))).toHaveLength(3);
  expect(w.proxy.calls.filter((call) => /alt=media/.test(call))).toEqual([]);
  expect(await w.names('to')).toEqual(['to/', 'to/file', 'to/said', 'to/tree/', 'to/tree/leaf']);
});

test('an answer that is lost is asked for again, and a server that is busy is waited for', async () => {
  await using w = await world();
  w.proxy.trouble({ on: /rewriteTo/, does: 'lose', times: 2 });
  w.proxy.trouble({ on: /rewriteTo/, does: 503 });
  await using other = await w.task('to', 2);
  expect(await takeOver(w.storage, other, w.earlier, never)).toBe(true);
  expect(await w.names('to')).toContain('to/tree/leaf');
});

test('an output that is replaced after it was looked at is not copied: the task runs', async () => {
  await using w = await world();
  w.proxy.trouble({ on: /rewriteTo/, does: 404 });
  await using other = await w.task('to', 2);
  expect(await takeOver(w.storage, other, w.earlier, never)).toBe(false);
});

test('what a newer run of the same Firework stored is not replaced by copies', async () => {
  await using w = await world();
  await using late = await w.task('to', 2);
  await using newer = await w.task('to', 3);
  for (const { local, tree } of newer.outputs) await writeFile(tree ? join(local, 'leaf') : local, 'newer');
  await newer.store(w.storage, newer.outputs);
  await expect(takeOver(w.storage, late, w.earlier, never)).rejects.toThrow(
    'was stored by a newer run of this Firework: it is not replaced',
  );
});
