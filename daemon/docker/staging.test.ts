import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPassing } from '../../core/cloud/api_error.ts';
import { Storage } from '../../core/cloud/storage.ts';
import { testProxy } from '../../core/cloud/test_proxy.ts';
import { type LogLine, loggerTo } from '../../core/log.ts';
import { type Json, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { type Depot, openDepot } from './depot.ts';
import { Staging, type StagingOptions } from './staging.ts';

const MB = 1_000_000;
const never = new AbortController().signal;

/** A worker's disk, and a storage behind a network that may misbehave. */
async function world(o: { fetchCacheBytes?: number; storeRetryMs?: number } = {}) {
  const cloud = await testCloud();
  const proxy = await testProxy(cloud.origin);
  const dir = await mkdtemp(join(tmpdir(), 'staging-'));
  const said: LogLine[] = [];
  const log = loggerTo([(line) => void said.push(line)]);
  const policy = { retryable: isPassing, firstDelayMs: 1, longestDelayMs: 5, deadlineMs: 2000 };
  const storage = new Storage(
    { metadataHost: '', storage: new URL(proxy.origin) },
    { log, policy, pieceBytes: 8 * 2 ** 20 },
  );
  const depot = await openDepot(dir, { fetchCacheBytes: 0, storeRetryMs: 100, log, ...o });
  let launchId = 0;
  return {
    cloud,
    proxy,
    dir,
    storage,
    depot,
    said: (severity: string) =>
      said.filter((line) => line.severity === severity).map(({ message }) => message),
    /** A task's staging below /wc and gs://sandbox/run. */
    task(more: Partial<StagingOptions> & { fwId?: number } = {}): Promise<Staging> {
      const { fwId = 7, ...rest } = more;
      launchId++;
      return Staging.open(join(dir, `launcher_${launchId}`), {
        inputs: [],
        outputs: [],
        internalPrefix: '/wc',
        storagePrefix: 'sandbox/run',
        stamp: `stamp-${launchId}`,
        owner: { launchPad: 'here', fwId, launchId, taskIndex: 0 },
        depot,
        log,
        ...rest,
      });
    },
    async put(objects: Record<string, string | Uint8Array>) {
      for (const [name, data] of Object.entries(objects)) await storage.write('sandbox', `run/${name}`, data);
    },
    async names(): Promise<string[]> {
      const { items = [] } = await cloud.json('GET', '/storage/v1/b/sandbox/o?prefix=run/');
      return (items as Json[]).map(({ name }) => String(name).slice('run/'.length));
    },
    /** How many times objects were fetched; none here has more than one piece. */
    fetches: () => proxy.calls.filter((call) => call.includes('alt=media')).length,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
type World = Awaited<ReturnType<typeof world>>;

/** Fetches the inputs of a task, lets `see` look at them, and ends the task. */
async function fetched(
  w: World,
  inputs: string[],
  see: (files: string[]) => Promise<void> | void = () => {},
  outputs: string[] = [],
): Promise<void> {
  await using staging = await w.task({ inputs, outputs });
  await staging.fetchInputs(w.storage, never);
  await see(staging.inputs.map(({ local }) => local));
}

test('inputs come, outputs go: files, trees with odd names, permissions, empty folders, objects for folders', async () => {
  await using w = await world();
  await w.put({ 'in.txt': 'in', 'tree/a b/ü': 'odd', 'tree/empty/': '', treeless: 'not of the tree' });
  await using staging = await w.task({
    inputs: ['/wc/in.txt', '/wc/tree/'],
    outputs: ['/wc/out/', '/wc/one', '>/wc/list', '/wc/nothing/'],
  });
  await staging.fetchInputs(w.storage, never);
  const [file, tree] = staging.inputs.map(({ local }) => local) as [string, string];
  expect(await readFile(file, 'utf8')).toBe('in');
  expect((await readdir(tree, { recursive: true })).sort()).toEqual(['a b', 'a b/ü', 'empty']);
  const [out, one, list] = staging.outputs.map(({ local }) => local) as [string, string, string];
  await mkdir(join(out, 'deep', 'empty'), { recursive: true });
  await writeFile(join(out, 'deep', 'tool'), '#!/bin/sh\n');
  await chmod(join(out, 'deep', 'tool'), 0o750);
  await writeFile(one, '1');
  await writeFile(list, 'printed');
  await staging.store(w.storage, staging.outputs);
  expect(await w.names()).toEqual([
    '',
    'in.txt',
    'list',
    'nothing/',
    'one',
    'out/',
    'out/deep/',
    'out/deep/empty/',
    'out/deep/tool',
    'tree/a b/ü',
    'tree/empty/',
    'treeless',
  ]);
  expect(staging.bytes).toEqual({ in: 5, out: 18 });
  await fetched(w, ['/wc/out/', '/wc/nothing/'], async ([back, nothing]) => {
    expect((await stat(join(back as string, 'deep', 'tool'))).mode & 0o777).toBe(0o750);
    expect(await readdir(join(back as string, 'deep', 'empty'))).toEqual([]);
    expect(await readdir(nothing as string)).toEqual([]);
  });
  expect(existsSync(join(w.dir, 'launcher_2'))).toBe(false);
});

test('inputs that are missing are told all at once, before anything is fetched', async () => {
  await using w = await world();
  await w.put({ 'in.txt': 'in', 'folder/a': 'a', 'bad/x//y': 'x', 'bad/z': 'z' });
  const inputs = ['/wc/in.txt', '/wc/gone', '/wc/folder', '/wc/none/', '/wc/in.tx', '/wc/bad/'];
  await using staging = await w.task({ inputs });
  const failure = await staging.fetchInputs(w.storage, never).catch((thrown) => thrown as Error);
  expect((failure as Error).message.split('; ').sort()).toEqual([
    'Nothing is in storage below gs://sandbox/run/none/',
    "The object 'run/bad/x//y' has an empty part in its name, which no file has: rename it",
    "gs://sandbox/run/folder is not in storage: it is a tree there, which an input names with a '/' at its end",
    'gs://sandbox/run/gone is not in storage',
    'gs://sandbox/run/in.tx is not in storage',
  ]);
  expect(w.fetches()).toBe(0);
  await using noBucket = await w.task({ inputs: ['/wc/a'], storagePrefix: 'not-there' });
  await expect(noBucket.fetchInputs(w.storage, never)).rejects.toThrow("Bucket 'not-there' does not exist");
});

test('links in outputs: followed when they lead to a file inside, never out of the folder', async () => {
  await using w = await world();
  await using staging = await w.task({ outputs: ['/wc/out/', '/wc/out/sub/one'] });
  const [out] = staging.outputs.map(({ local }) => local) as [string];
  await writeFile(join(out, 'a'), 'A');
  await symlink('a', join(out, 'inside'));
  await symlink('/etc/passwd', join(out, 'outside'));
  await symlink('sub', join(out, 'folder'));
  const fifo = Bun.spawnSync(['mkfifo', join(out, 'fifo')]);
  expect(fifo.exitCode).toBe(0);
  await staging.store(w.storage, staging.outputs);
  expect((await w.names()).filter((name) => /[^/]$/.test(name))).toEqual([
    'out/a',
    'out/inside',
    'out/sub/one',
  ]);
  expect(
    w
      .said('WARNING')
      .map((line) => line.split(' ')[0])
      .sort(),
  ).toEqual(['fifo', 'folder', 'outside']);
  await rm(join(out, 'sub'), { recursive: true });
  await symlink('/etc', join(out, 'sub'));
  await writeFile(join(w.dir, 'one'), 'secret');
  await rm(join(out, 'sub'));
  await symlink(w.dir, join(out, 'sub'));
  await expect(staging.store(w.storage, staging.outputs)).rejects.toThrow(
    'gs://sandbox/run/out/sub/one became a link that leads out of its folder',
  );
});

test('a file whose name no object can have is told before anything is stored', async () => {
  await using w = await world();
  await using staging = await w.task({ outputs: ['/wc/out/'] });
  const [out] = staging.outputs.map(({ local }) => local) as [string];
  await writeFile(join(out, 'good'), '');
  await writeFile(join(out, 'line\nbreak'), '');
  await expect(staging.store(w.storage, staging.outputs)).rejects.toThrow('its name has a line break');
  expect(await w.names()).toEqual([]);
});

test('objects for folders are made once, and a storage that does not take them still takes files', async () => {
  await using w = await world();
  const made = () => w.proxy.calls.filter((call) => call.startsWith('POST')).length;
  for (const [files, requests] of [
    [['a', 'b'], 4],
    [['c'], 1],
  ] as const) {
    await using staging = await w.task({ outputs: files.map((name) => `/wc/sub/${name}`) });
    w.proxy.calls.length = 0;
    await staging.store(w.storage, staging.outputs);
    // run/ and run/sub/ the first time.
    expect(made()).toBe(requests);
  }
  // Another worker finds them made.
  await using other = await w.task({ outputs: ['/wc/sub/d'] });
  const fresh = new Storage({ metadataHost: '', storage: new URL(w.proxy.origin) });
  await other.store(fresh, other.outputs);
  const { generation } = await w.cloud.json('GET', '/storage/v1/b/sandbox/o/run%2Fsub%2F');
  expect((await fresh.find('sandbox', 'run/sub/'))?.generation).toBe(String(generation));
  // Of three requests the two for folders have no body worth speaking of: here by their order.
  w.proxy.trouble({ on: /^POST/, does: 403, times: 1 });
  await using third = await w.task({ outputs: [], storagePrefix: 'sandbox/new' });
  await expect(w.storage.makeFolders('sandbox', ['new/'])).rejects.toThrow('permission');
  await third.store(w.storage, third.outputs);
});

test('a run that was given up for lost does not replace what the newer run stored; others are replaced, and told', async () => {
  await using w = await world({ storeRetryMs: 10_000 });
  await w.put({ in: 'in' });
  const store = async (staging: Staging, text: string) => {
    await writeFile((staging.outputs[0] as { local: string }).local, text);
    await staging.store(w.storage, staging.outputs);
  };
  const o = { inputs: ['/wc/in'], outputs: ['/wc/out'] };
  const stored = async () => Buffer.from(await w.storage.read('sandbox', 'run/out')).toString();
  await using late = await w.task(o);
  await late.fetchInputs(w.storage, never);
  await using newer = await w.task(o);
  await newer.fetchInputs(w.storage, never);
  // The server's clock tells seconds.
  await Bun.sleep(1100);
  await store(newer, 'of the newer run');
  await expect(store(late, 'of the lost run')).rejects.toThrow(
    'gs://sandbox/run/out was stored by a newer run of this Firework: it is not replaced',
  );
  expect(await stored()).toBe('of the newer run');
  // The same result is no conflict.
  await store(late, 'of the newer run');
  await using other = await w.task({ ...o, fwId: 8 });
  await store(other, 'of a later Firework');
  expect([await stored(), w.said('WARNING')]).toEqual(['of a later Firework', []]);
  await store(newer, 'once more');
  expect(w.said('WARNING')).toEqual([
    'gs://sandbox/run/out was stored by somebody else while this task ran: replaced',
  ]);
  // An upload whose answer was lost is not taken for another's.
  w.proxy.trouble({ on: /^POST/, does: 'lose', times: 2 });
  await store(newer, 'answer lost');
  expect(await stored()).toBe('answer lost');
});

const big = (letter: string) => Buffer.alloc(2 * MB, letter);

test('what many tasks need is fetched once, also when all want it at once; another generation is fetched anew', async () => {
  await using w = await world({ fetchCacheBytes: 100 * MB });
  await w.put({ big: big('a'), small: 'small' });
  const check = (letter: string) => async (files: string[]) => {
    expect((await readFile(files[0] as string)).equals(big(letter))).toBe(true);
  };
  await Promise.all(Array.from({ length: 30 }, () => fetched(w, ['/wc/big'], check('a'))));
  for (let i = 0; i < 3; i++) await fetched(w, ['/wc/big'], check('a'));
  expect(w.fetches()).toBe(1);
  await w.put({ big: big('b') });
  await fetched(w, ['/wc/big'], check('b'));
  expect(w.fetches()).toBe(2);
  // Small files are not worth it.
  for (let i = 0; i < 2; i++) await fetched(w, ['/wc/small']);
  expect(w.fetches()).toBe(4);
  // A new worker on this disk knows what is there.
  const depot = await openDepot(w.dir, {
    fetchCacheBytes: 100 * MB,
    storeRetryMs: 0,
    log: w.depot.cache?.log as never,
  });
  await using staging = await w.task({ inputs: ['/wc/big'], depot });
  await staging.fetchInputs(w.storage, never);
  expect(w.fetches()).toBe(4);
});

test('the first who wants it pays for a link; who wants it meanwhile, or may write to it, has a copy', async () => {
  await using w = await world({ fetchCacheBytes: 100 * MB });
  await w.put({ 'tree/big': big('a') });
  const inode = async (staging: Staging) =>
    (await stat(join((staging.inputs[0] as { local: string }).local, 'big'))).ino;
  const o = { inputs: ['/wc/tree/'] };
  await using first = await w.task(o);
  await first.fetchInputs(w.storage, never);
  const cached = (await readdir(join(w.dir, 'fetched'))).find((name) => !name.endsWith('.json')) as string;
  const entry = (await stat(join(w.dir, 'fetched', cached))).ino;
  await using second = await w.task(o);
  await second.fetchInputs(w.storage, never);
  await using writes = await w.task({ ...o, outputs: ['/wc/tree/big'] });
  await writes.fetchInputs(w.storage, never);
  expect(await inode(first)).toBe(entry);
  expect(new Set([entry, await inode(second), await inode(writes)]).size).toBe(3);
  await first[Symbol.asyncDispose]();
  await using third = await w.task(o);
  await third.fetchInputs(w.storage, never);
  expect(await inode(third)).toBe(entry);
  expect(w.fetches()).toBe(1);
});

test.each<[string, (file: string) => Promise<unknown>]>([
  ['appends to it', (file) => appendFile(file, 'x')],
  ['writes into it', (file) => writeFile(file, 'x', { flag: 'r+' })],
  ['cuts it short', (file) => truncate(file, 5)],
  [
    'writes into it and sets its times back',
    async (file) => {
      const { atime, mtime } = await stat(file);
      await writeFile(file, 'x', { flag: 'r+' });
      await utimes(file, atime, mtime);
    },
  ],
  ['changes its permissions', (file) => chmod(file, 0o777)],
  ['removes it', (file) => rm(file)],
])('a task that %s does not spoil it for others', async (_, change) => {
  await using w = await world({ fetchCacheBytes: 100 * MB });
  await w.put({ big: big('a') });
  await fetched(w, ['/wc/big'], ([file]) => change(file as string) as Promise<void>);
  await fetched(w, ['/wc/big'], async ([file]) => {
    expect((await readFile(file as string)).equals(big('a'))).toBe(true);
    expect((await stat(file as string)).mode & 0o777).toBe(0o644);
    // At the same time, with the first one's link being written to: the copy is checked.
    await writeFile(file as string, 'x', { flag: 'r+' });
    await fetched(w, ['/wc/big'], async ([other]) => {
      expect((await readFile(other as string)).equals(big('a'))).toBe(true);
    });
  });
  // After a crash nobody gave it back.
  const crashed = await w.task({ inputs: ['/wc/big'] });
  await crashed.fetchInputs(w.storage, never);
  await change((crashed.inputs[0] as { local: string }).local);
  await rm(crashed.folder, { recursive: true });
  await fetched(w, ['/wc/big'], async ([file]) => {
    expect((await readFile(file as string)).equals(big('a'))).toBe(true);
  });
});

test('the cache is bounded: what was not used for the longest time goes', async () => {
  await using w = await world({ fetchCacheBytes: 5 * MB });
  for (const name of ['a', 'b', 'c', 'huge'])
    await w.put({ [name]: Buffer.alloc(name === 'huge' ? 6 * MB : 2 * MB, name) });
  for (const name of ['a', 'b', 'a', 'c', 'a', 'huge', 'a']) await fetched(w, [`/wc/${name}`]);
  expect(w.depot.cache?.bytes).toBe(4 * MB);
  // a, b, c, huge.
  expect(w.fetches()).toBe(4);
  await fetched(w, ['/wc/b']);
  expect(w.fetches()).toBe(5);
});

test('outputs that cannot be stored stay on the disk, and a rerun from the same things finds them', async () => {
  await using w = await world();
  await w.put({ in: 'in' });
  const o = { inputs: ['/wc/in'], outputs: ['/wc/out/', '>>/wc/run.log'] };
  const runAndKeep = async () => {
    await using staging = await w.task(o);
    await staging.fetchInputs(w.storage, never);
    await writeFile(join((staging.outputs[0] as { local: string }).local, 'result'), 'hours of work');
    w.proxy.trouble({ on: /^POST/, does: 503, times: 1000 });
    await expect(staging.store(w.storage, staging.outputs)).rejects.toThrow('Cannot store gs://sandbox/run/');
    w.proxy.forget();
    const place = await staging.keepOutputs('image 1', null);
    expect(await readFile(join(place, 'out', 'result'), 'utf8')).toBe('hours of work');
    return staging.outputs.map(({ sub }) => sub);
  };
  const rerun = async (facts: string, fwId = 7) => {
    await using staging = await w.task({ ...o, fwId });
    if (!(await staging.hasKept())) return 'nothing kept';
    await staging.findInputs(w.storage, never);
    if (!(await staging.takeKept(facts))) return 'not of these';
    await staging.store(w.storage, staging.outputs);
    return staging.outputs.map(({ sub }) => sub);
  };
  const subs = await runAndKeep();
  expect(await rerun('image 1', 8)).toBe('nothing kept');
  // The names of its logs are those of the run that made them.
  expect(await rerun('image 1')).toEqual(subs);
  expect(await w.names()).toEqual(['', 'in', 'out/', 'out/result', 'stamp-1_run.log']);
  expect(await rerun('image 1')).toBe('nothing kept');
  await runAndKeep();
  expect(await rerun('image 2')).toBe('not of these');
  expect(await rerun('image 1')).toBe('nothing kept');
  await runAndKeep();
  await w.put({ in: 'a new one' });
  expect(await rerun('image 1')).toBe('not of these');
  expect(await readdir(join(w.dir, 'unstored'))).toEqual([]);
});

test('two tasks with the same paths at once do not meet on the disk', async () => {
  await using w = await world({ fetchCacheBytes: 100 * MB });
  await w.put({ big: big('a') });
  const one = async (text: string, storagePrefix: string) => {
    await w.storage.write('sandbox', `${storagePrefix.slice('sandbox/'.length)}/big`, big(text));
    await using staging = await w.task({ inputs: ['/wc/big'], outputs: ['/wc/out/'], storagePrefix });
    await staging.fetchInputs(w.storage, never);
    const [input] = staging.inputs.map(({ local }) => local) as [string];
    await writeFile(join((staging.outputs[0] as { local: string }).local, 'x'), await readFile(input));
    await staging.store(w.storage, staging.outputs);
    const back = await w.storage.read('sandbox', `${storagePrefix.slice('sandbox/'.length)}/out/x`);
    expect(Buffer.from(back).equals(big(text))).toBe(true);
  };
  await Promise.all(['p', 'q'].map((text) => one(text, `sandbox/run-${text}`)));
});

const onTmpfs = process.getuid?.() === 0 && process.platform === 'linux';
test.skipIf(!onTmpfs)(
  `a disk that fills while inputs come is told, and nothing stays; inputs kept for others make room first${onTmpfs ? '' : ' (needs root, to mount a small disk)'}`,
  async () => {
    await using w = await world();
    const disk = join(w.dir, 'disk');
    await mkdir(disk);
    if (Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]).exitCode !== 0)
      return console.log('skipped: this root may not mount a tmpfs');
    try {
      const depot: Depot = await openDepot(disk, {
        fetchCacheBytes: 2.5 * MB,
        storeRetryMs: 0,
        log: loggerTo([]),
      });
      await w.put({ kept: Buffer.alloc(2 * MB), fits: Buffer.alloc(7 * MB), large: Buffer.alloc(12 * MB) });
      const fetchTo = async (input: string) => {
        const task = await w.task({ inputs: [input], depot });
        await using staging = await Staging.open(join(disk, 'launch'), task.o);
        await staging.fetchInputs(w.storage, never);
      };
      await fetchTo('/wc/kept');
      expect(depot.cache?.bytes).toBe(2 * MB);
      await fetchTo('/wc/fits');
      expect(depot.cache?.bytes).toBe(0);
      await expect(fetchTo('/wc/large')).rejects.toThrow(
        'Cannot fetch gs://sandbox/run/large: the disk of this machine is full',
      );
      expect((await readdir(disk)).sort()).toEqual(['fetched']);
    } finally {
      Bun.spawnSync(['umount', disk]);
    }
  },
);
