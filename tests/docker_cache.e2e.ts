/** `cache: true`: what was done before is not done again, and what differs in anything that matters is. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import type { Doc } from '../core/launchpad/index.ts';
import { SECOND } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { type TestWorker, testWorker } from '../daemon/test_worker.ts';
import { type Gcp, startGcp } from '../sandbox/gcp/index.ts';
import { importImage } from '../scripts/docker_engine.ts';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const why = await Engine.open({ DOCKER_HOST: host }).then(
  async (engine) => void (await engine[Symbol.asyncDispose]()),
  (thrown: Error) => ` (skipped: ${thrown.message})`,
);
const withEngine = test.skipIf(why !== undefined);
const IMAGE = `borealis-test-cache-${process.pid}:1`;
const LIMIT = 60 * SECOND;

let dir: string;
let gcp: Gcp;
let storage: Storage;
let dropImage = async () => {};
beforeAll(async () => {
  if (why !== undefined) return;
  dir = await mkdtemp(join(tmpdir(), 'docker-cache-'));
  gcp = await startGcp({ dir, fireworker: ['false'], launchpadFile: '' });
  storage = new Storage(readEndpoints(gcp.env));
  dropImage = await importImage(host, IMAGE);
}, LIMIT);
afterAll(async () => {
  if (why !== undefined) return;
  await dropImage();
  await gcp.stop();
  await rm(dir, { recursive: true, force: true });
}, LIMIT);

/** Its outputs differ from run to run. */
const COMMAND =
  'cat /wc/in.txt /wc/tree/*; id=$(cat /proc/sys/kernel/random/uuid); echo $id > /wc/one; mkdir /wc/out/empty; echo $id > "/wc/out/$NAME"; chmod 755 "/wc/out/$NAME"; echo $id';

const task = (name: string, more: Doc = {}): Doc => ({
  _fw_name: 'DockerTask',
  name,
  image: IMAGE,
  pull: 'missing',
  command: ['sh', '-c', COMMAND],
  env: { NAME: 'ü b' },
  internal_prefix: '/wc',
  storage_prefix: `sandbox/${name}`,
  inputs: ['/wc/in.txt', '/wc/tree/'],
  outputs: ['/wc/one', '/wc/out/', '>/wc/said', '>>/wc/run.log'],
  cache: true,
  ...more,
});

async function putInputs(name: string): Promise<void> {
  await storage.write('sandbox', `${name}/in.txt`, 'input\n');
  for (const file of ['a', 'b']) await storage.write('sandbox', `${name}/tree/${file}`, `${file}\n`);
}

interface Flown {
  /** Whether nothing ran; null: it failed. */
  skipped: boolean | null;
  stored: Doc;
  said: string[];
  spec: Doc;
}

async function fly(one: Doc, check: (worker: TestWorker) => unknown = () => {}): Promise<Flown> {
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' };
  await using worker = await testWorker({ env, storage: async () => storage });
  await worker.add([one], {}, 1);
  const landing = await worker.fly();
  await check(worker);
  const stored = await worker.storedData(1);
  const { skipped_for, exit_code } = (stored.docker ?? {}) as Doc;
  const skipped = landing === 'completed' ? skipped_for !== undefined : null;
  if (skipped) expect(exit_code).toBeNull();
  const said = worker.said.map(({ message }) => message);
  return { skipped, stored, said, spec: (await worker.firework(2)).spec as Doc };
}

const skips = async (one: Doc) => (await fly(one)).skipped;

/** Generation and content of what a task has in storage, without its logs. */
async function objects(name: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name: whole, generation, metadata } of storage.list('sandbox', `${name}/`)) {
    const content = Buffer.from(await storage.read('sandbox', whole)).toString();
    const mode = metadata['goog-reserved-posix-mode'] ?? '';
    if (!whole.endsWith('.log')) found[whole.slice(name.length + 1)] = `${generation} ${mode} ${content}`;
  }
  return found;
}
const contents = async (name: string) =>
  Object.fromEntries(
    Object.entries(await objects(name)).map(([key, text]) => [key, text.slice(text.indexOf(' '))]),
  );

async function logs(name: string): Promise<string[]> {
  const found: string[] = [];
  for await (const object of storage.list('sandbox', `${name}/`))
    if (object.name.endsWith('_run.log'))
      found.push(Buffer.from(await storage.read('sandbox', object.name)).toString());
  return found;
}

/** Deletes an object, as a person does. */
async function remove(name: string): Promise<void> {
  const url = new URL(`/storage/v1/b/sandbox/o/${encodeURIComponent(name)}`, readEndpoints(gcp.env).storage);
  expect((await fetch(url, { method: 'DELETE' })).ok).toBe(true);
}

describe(`cache${why ?? ''}`, () => {
  withEngine(
    'a task that was done is skipped: its outputs are left as they are, and the log and the stored data say so',
    async () => {
      await putInputs('hit');
      const first = await fly(task('hit'));
      expect([first.skipped, first.stored.docker]).toEqual([
        false,
        expect.objectContaining({ exit_code: 0 }),
      ]);
      const before = await objects('hit');
      const again = await fly(task('hit'));
      expect(again.skipped).toBe(true);
      expect(again.stored.docker).toMatchObject({
        skipped_for: { fw_id: 1, launch_id: 1, at: expect.any(String) },
        image_id: expect.stringMatching(/^sha256:/),
        bytes_in: 0,
        elapsed_secs: null,
      });
      const line =
        /SKIPPED TASK: hit, elapsed --- .*: Firework 1 \(launch 1, \S+\) did the same, and its outputs were taken over/;
      expect(again.said).toContainEqual(expect.stringMatching(line));
      expect((await logs('hit')).at(-1)).toMatch(line);
      expect(await objects('hit')).toEqual(before);
      // What says only how it is run, or where its log is, is no other task.
      const other = {
        name: 'other',
        timeout: 60,
        retries: 1,
        memory: '64m',
        outputs: ['/wc/out/', '/wc/one', '>/wc/said'],
      };
      expect(await skips({ ...task('hit'), ...other })).toBe(true);
      expect(await skips(task('hit', { cache: false }))).toBe(false);
    },
    LIMIT,
  );

  withEngine(
    'what differs runs',
    async () => {
      await putInputs('miss');
      const one = task('miss');
      expect(await skips(one)).toBe(false);
      const others: Doc[] = [
        { command: ['sh', '-c', `${COMMAND} # other`] },
        { env: { NAME: 'other' } },
        { workdir: '/tmp' },
        { entrypoint: ['env'] },
        { network: 'none' },
        { inputs: ['/wc/in.txt', '/wc/tree/a', '/wc/tree/b'] },
        { outputs: ['/wc/one'] },
      ];
      const flown: unknown[] = [];
      for (const more of others) flown.push(await skips({ ...one, ...more }));
      expect(flown).toEqual(others.map(() => false));
      // Each is known by now; of the first one outputs were replaced.
      expect([await skips({ ...one, ...others.at(-1) }), await skips(one)]).toEqual([true, false]);
      expect(await skips(one)).toBe(true);
      // The same bytes in another generation, one more in a tree, one less.
      await storage.write('sandbox', 'miss/in.txt', 'input\n');
      expect([await skips(one), await skips(one)]).toEqual([false, true]);
      await storage.write('sandbox', 'miss/tree/c', '');
      expect([await skips(one), await skips(one)]).toEqual([false, true]);
      await remove('miss/tree/c');
      expect(await skips(one)).toBe(false);
      await using engine = await Engine.open({ DOCKER_HOST: host });
      const repo = IMAGE.replace(/:1$/, '');
      const make = new URLSearchParams({ repo, tag: '2' });
      const created = await engine.request('POST', '/containers/create', {
        body: { Image: IMAGE, Cmd: ['true'] },
      });
      const { Id } = created as { Id: string };
      await engine.request('POST', `/commit?container=${Id}&comment=other&${make}`);
      await engine.request('DELETE', `/containers/${Id}`);
      try {
        expect(await skips({ ...one, image: `${repo}:2` })).toBe(false);
        // Another name of the same image.
        await engine.request('POST', `/images/${repo}:2/tag?${new URLSearchParams({ repo, tag: '3' })}`);
        expect(await skips({ ...one, image: `${repo}:3` })).toBe(true);
      } finally {
        for (const tag of ['3', '2'])
          await engine.request('DELETE', `/images/${repo}:${tag}`).catch(() => {});
      }
    },
    2 * LIMIT,
  );

  withEngine(
    'outputs that were deleted or replaced since are made again',
    async () => {
      await putInputs('since');
      const one = task('since');
      expect(await skips(one)).toBe(false);
      for (const name of ['one', 'out/ü b', 'out/empty/', 'said']) {
        await remove(`since/${name}`);
        // Folders that are known to be there are not made anew: they are, for a worker that has just started.
        storage = new Storage(readEndpoints(gcp.env));
        expect([name, await skips(one), await skips(one)]).toEqual([name, false, true]);
      }
      await storage.write('sandbox', 'since/said', 'other');
      expect([await skips(one), await skips(one)]).toEqual([false, true]);
    },
    LIMIT,
  );

  withEngine(
    'under another storage_prefix they are copied by the server, for a whole chain of tasks',
    async () => {
      const make = (prefix: string) =>
        task(prefix, { inputs: [], command: ['sh', '-c', COMMAND.replace(/^[^;]*; /, '')] });
      const use = (prefix: string) =>
        task(prefix, {
          inputs: ['/wc/out/', '/wc/one'],
          outputs: ['/wc/sum'],
          command: ['sh', '-c', 'cat "/wc/out/$NAME" /wc/one /proc/sys/kernel/random/uuid > /wc/sum'],
        });
      expect([await skips(make('from')), await skips(use('from'))]).toEqual([false, false]);
      expect([await skips(make('to')), await skips(use('to'))]).toEqual([true, true]);
      expect(await contents('to')).toEqual(await contents('from'));
      // They are there now: left as they are.
      const before = await objects('to');
      expect([await skips(make('to')), await skips(use('to')), await objects('to')]).toEqual([
        true,
        true,
        before,
      ]);
      // A copy that was edited is another input, whatever its metadata say.
      const url = new URL('/upload/storage/v1/b/sandbox/o', readEndpoints(gcp.env).storage);
      const object = await storage.find('sandbox', 'to/one');
      const said = JSON.stringify({ name: 'to/one', metadata: object?.metadata });
      const body = `--x\r\ncontent-type: application/json\r\n\r\n${said}\r\n--x\r\n\r\nedited\r\n--x--`;
      url.searchParams.set('uploadType', 'multipart');
      const headers = { 'content-type': 'multipart/related; boundary=x' };
      expect((await fetch(url, { method: 'POST', headers, body })).ok).toBe(true);
      expect(await skips(use('to'))).toBe(false);
      // The first ones are gone: nothing is believed that is not there.
      await remove('from/one');
      expect(await skips(make('third'))).toBe(false);
    },
    LIMIT,
  );

  withEngine(
    'a task that failed is never skipped, and one whose input was replaced while it ran is not remembered',
    async () => {
      await putInputs('fails');
      const failing = task('fails', { command: ['sh', '-c', 'echo x > /wc/one; exit 3'] });
      expect([await skips(failing), await skips(failing)]).toEqual([null, null]);
      const slow = task('fails', { command: ['sh', '-c', 'echo up; sleep 2; cat /wc/in.txt > /wc/one'] });
      const flying = fly(slow);
      await Bun.sleep(SECOND);
      await storage.write('sandbox', 'fails/in.txt', 'new\n');
      await flying;
      expect(await skips(slow)).toBe(false);
    },
    LIMIT,
  );

  withEngine(
    'an FWAction that the command wrote is given again',
    async () => {
      const action = JSON.stringify({ update_spec: { n: 2 ** 40, x: 1.5 }, stored_data: { s: 1 } });
      const one = task('acts', {
        inputs: [],
        outputs: [],
        fwaction: '/wc/action.json',
        command: ['sh', '-c', `echo '${action}' > /wc/action.json`],
      });
      const [first, second] = [await fly(one), await fly(one)];
      expect([first.skipped, second.skipped]).toEqual([false, true]);
      expect(second.spec).toMatchObject({ n: 2 ** 40, x: 1.5 });
      expect(second.spec).toEqual(first.spec);
      expect(second.stored).toMatchObject({ s: 1 });
    },
    LIMIT,
  );

  withEngine(
    'two at once both run, and the next one is skipped; a record that cannot be read or asked for harms nobody',
    async () => {
      await putInputs('twice');
      const one = task('twice', { command: ['sh', '-c', 'sleep 1; echo same | tee /wc/one /wc/out/x'] });
      const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' };
      await using worker = await testWorker({ env, storage: async () => storage });
      for (let slot = 0; slot < 2; slot++) await worker.add([one]);
      expect(await Promise.all([worker.fly(), worker.fly()])).toEqual(['completed', 'completed']);
      for (const id of [1, 2])
        expect((await worker.storedData(id)).docker).toMatchObject({ exit_code: 0, bytes_in: 10 });
      expect(await skips(one)).toBe(true);
      for await (const { name } of storage.list('sandbox', '.borealis-cache/'))
        await storage.write('sandbox', name, '{"half":');
      expect(await skips(one)).toBe(false);
      gcp.faults.add({ service: 'storage', match: '.borealis-cache', status: 403, times: 100 });
      const { skipped, said } = await fly(one);
      gcp.faults.clear();
      expect(skipped).toBe(false);
      expect(said).toContainEqual(
        expect.stringMatching(/Whether it ran before cannot be found out, so it runs/),
      );
    },
    LIMIT,
  );
});
