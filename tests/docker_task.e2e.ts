/** DockerTask with a real Docker Engine, and a miniature Cloud Storage. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import { type Doc, rerun } from '../core/launchpad/index.ts';
import { silent } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import { openDepot } from '../daemon/docker/depot.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { type TestWorker, testWorker, until } from '../daemon/test_worker.ts';
import { type Gcp, startGcp } from '../sandbox/gcp/index.ts';
import { importImage } from '../scripts/docker_engine.ts';
import { imageOf } from './own_registry.ts';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const why = await Engine.open({ DOCKER_HOST: host }).then(
  async (engine) => void (await engine[Symbol.asyncDispose]()),
  (thrown: Error) => ` (${thrown.message})`,
);
const withEngine = test.skipIf(why !== undefined);
const IMAGE = `borealis-test-${process.pid}:1`;
const LIMIT = 30 * SECOND;

let dir: string;
let gcp: Gcp;
let storage: Storage;
let dropImage = async () => {};
beforeAll(async () => {
  if (why !== undefined) return;
  dir = await mkdtemp(join(tmpdir(), 'docker-task-'));
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

const task = (name: string, command: string, more: Doc = {}): Doc => ({
  _fw_name: 'DockerTask',
  name,
  image: IMAGE,
  pull: 'missing',
  command: ['sh', '-c', command],
  internal_prefix: '/wc',
  storage_prefix: `sandbox/${name}`,
  ...more,
});

/** All objects of a task by their name below its prefix; stamps of logs read `STAMP`. */
async function stored(name: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const object of storage.list('sandbox', `${name}/`)) {
    const text = Buffer.from(await storage.read('sandbox', object.name)).toString('latin1');
    found[object.name.slice(name.length + 1).replace(/\d{8}\.\d{6}_/, 'STAMP_')] = text;
  }
  // Objects that stand for folders are told of empty ones alone.
  const names = Object.keys(found);
  for (const folder of names.filter((one) => one === '' || one.endsWith('/')))
    if (names.some((one) => one !== folder && one.startsWith(folder))) delete found[folder];
  return found;
}

async function containers(): Promise<unknown[]> {
  await using engine = await Engine.open({ DOCKER_HOST: host });
  const filters = encodeURIComponent(JSON.stringify({ label: ['borealis.worker=tester'] }));
  return (await engine.request('GET', `/containers/json?all=true&filters=${filters}`)) as unknown[];
}

/** Flies one task and checks that nothing of it is left. Returns the last line of its failure; null: COMPLETED. */
async function fly(
  one: Doc,
  check: (worker: TestWorker) => unknown = () => {},
  env: Record<string, string> = {},
): Promise<string | null> {
  const world = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere', ...env };
  await using worker = await testWorker({ env: world, storage: async () => storage, graceMs: 12 * SECOND });
  await worker.add([one]);
  const landing = await worker.fly();
  await check(worker);
  expect(await containers()).toEqual([]);
  expect(await worker.file('.docker-0').catch((thrown) => thrown.code)).toBe('ENOENT');
  if (landing === 'completed') return null;
  const { _exception } = (await worker.storedData(1)) as { _exception: { _stacktrace: string } };
  return _exception._stacktrace.trim().split('\n').at(-1) ?? '';
}

describe(`with a Docker Engine${why ?? ''}`, () => {
  withEngine(
    'inputs, outputs, trees, a > capture and a >> log',
    async () => {
      await storage.write('sandbox', 'all/in.txt', 'one two\n');
      await storage.write('sandbox', 'all/tree/a', 'A');
      await storage.write('sandbox', 'all/tree/deep/b', 'B');
      const command =
        'cat /wc/in.txt; sleep 0.3; echo to stderr >&2; cat /wc/tree/a /wc/tree/deep/b > /wc/out/ab; mkdir /wc/out/empty; echo x > /wc/x';
      const one = task('all', command, {
        inputs: ['/wc/in.txt', '/wc/tree/'],
        outputs: ['/wc/out/', '/wc/x', '>/wc/said.txt', '>>/wc/logs/run.log'],
      });
      const check = ({ said }: TestWorker) => {
        const messages = said.map(({ message }) => message);
        for (const line of [
          /^STARTING TASK: all, host: /,
          /^one two$/,
          /^to stderr$/,
          /SUCCESSFUL TASK: all/,
        ])
          expect(messages).toContainEqual(expect.stringMatching(line));
      };
      expect(await fly(one, check)).toBeNull();
      const { 'logs/STAMP_run.log': log, ...rest } = await stored('all');
      expect(rest).toEqual({
        'in.txt': 'one two\n',
        'tree/a': 'A',
        'tree/deep/b': 'B',
        'out/ab': 'AB',
        'out/empty/': '',
        x: 'x\n',
        'said.txt': 'one two\nto stderr\n',
      });
      expect(log).toMatch(
        /^\d{8}\.\d{6} DockerTask: all, host: \S+\n\n\{[\s\S]*"storage_prefix": "sandbox\/all"[\s\S]*\}\n\nDocker Image ID: sha256:[0-9a-f]{64}\n\n-{80}\none two\nto stderr\n-{80}\n\n\d{8}\.\d{6} SUCCESSFUL TASK: all, elapsed 0:00:0\d of timeout parameter 1:00:00\n$/,
      );
    },
    LIMIT,
  );

  withEngine(
    'a task that fails: its exit code is told, its log is stored, its other outputs are not',
    async () => {
      const one = task('fails', 'echo before; echo x > /wc/x; exit 3', {
        outputs: ['/wc/x', '>/wc/said', '>>/wc/log'],
      });
      expect(await fly(one)).toBe('DockerTaskError: Docker process exit code 3');
      const objects = await stored('fails');
      expect(Object.keys(objects)).toEqual(['STAMP_log']);
      expect(objects.STAMP_log).toMatch(
        /before\n-{80}\n\n\S+ FAILED TASK: fails, .* Docker process exit code 3\n$/,
      );
    },
    LIMIT,
  );

  withEngine(
    'one in the background runs beside those of its Firework',
    async () => {
      const world = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' };
      await using worker = await testWorker({ env: world, storage: async () => storage });
      const beside = task('beside', 'sleep 1.5; echo beside > /wc/x', { outputs: ['/wc/x'] });
      const _background_tasks = [{ tasks: [beside], num_launches: 1 }];
      const own = [0, 1].map((i) => task('own', `sleep 1; echo ${i} > /wc/${i}`, { outputs: [`/wc/${i}`] }));
      await worker.add(own, { _background_tasks });
      expect(await worker.fly()).toBe('completed');
      expect(await stored('beside')).toEqual({ x: 'beside\n' });
      expect(await stored('own')).toEqual({ 0: '0\n', 1: '1\n' });
      expect(await containers()).toEqual([]);
    },
    LIMIT,
  );

  withEngine(
    'missing inputs are all named, before anything runs',
    async () => {
      await storage.write('sandbox', 'missing/there', '');
      const one = task('missing', 'echo x > /wc/ran', {
        inputs: ['/wc/none', '/wc/there', '/wc/sub/none2'],
        outputs: ['/wc/ran', '>>/wc/log'],
      });
      expect(await fly(one)).toBe(
        'DockerTaskError: gs://sandbox/missing/none is not in storage; gs://sandbox/missing/sub/none2 is not in storage',
      );
      const objects = await stored('missing');
      expect(Object.keys(objects)).toEqual(['STAMP_log', 'there']);
      expect(objects.STAMP_log).toMatch(
        /FAILED TASK: missing, elapsed --- .*gs:\/\/sandbox\/missing\/none is not in storage/,
      );
    },
    LIMIT,
  );

  withEngine(
    'a bucket that does not exist',
    async () => {
      const one = task('bucket', 'true', { storage_prefix: 'no-such-bucket/x', inputs: ['/wc/in'] });
      expect(await fly(one)).toBe(
        "DockerTaskError: Bucket 'no-such-bucket' does not exist. Create it: gcloud storage buckets create gs://no-such-bucket",
      );
      const late = task('bucket', 'echo x > /wc/x', {
        storage_prefix: 'no-such-bucket/x',
        outputs: ['/wc/x'],
      });
      const saw: string[] = [];
      expect(await fly(late, ({ said }) => said.map(({ message }) => saw.push(message)))).toMatch(
        /^DockerTaskError: Bucket 'no-such-bucket' does not exist/,
      );
      expect(saw.filter((line) => / (FAILED|SUCCESSFUL) TASK: /.test(line))).toEqual([
        expect.stringMatching(/FAILED TASK: bucket/),
      ]);
    },
    LIMIT,
  );

  const refusals: [string, Doc, RegExp][] = [
    [
      'an input outside of the prefix',
      { inputs: ['/etc/passwd'] },
      /'\/etc\/passwd' is outside of internal_prefix '\/wc'$/,
    ],
    [
      'an output that climbs out',
      { outputs: ['/wc/../etc/x'] },
      /'\/wc\/\.\.\/etc\/x' is outside of internal_prefix/,
    ],
    ['a captured folder', { outputs: ['>/wc/x/'] }, /what is captured goes to a file; this names a folder$/],
    ['no bucket', { storage_prefix: '/' }, /'\/' is no storage path: it begins with a bucket's name/],
    ['no name', { name: '' }, /ValueError: DockerTask: parameter 'name'/],
    [
      'an image that can be none',
      { image: 'a b?' },
      /ValueError: DockerTask: parameter 'image': must be the name of an image/,
    ],
    ['a relative prefix', { internal_prefix: 'wc' }, /ValueError: DockerTask: parameter 'internal_prefix'/],
    [
      'an image that is not there',
      { image: 'no-such-image:1', pull: 'never' },
      /Image no-such-image:1 is not on this machine/,
    ],
    [
      'a program that is not in the image',
      { command: 'no-such-program x' },
      /Docker process exit code 127 \(the command was not found in the image\)$/,
    ],
    ['a path twice', { outputs: ['/wc/x', '/wc/x'] }, /Duplicate mount point: \/wc\/x/],
    ['a time that is none', { timeout: -1 }, /ValueError: DockerTask: parameter 'timeout'/],
  ];
  withEngine.each(refusals)(
    'refused: %s',
    async (_, more, last) => {
      expect(await fly(task('refused', 'true', more))).toMatch(last);
    },
    LIMIT,
  );

  withEngine(
    'the time is up: the container is stopped, and the error says so',
    async () => {
      const command = 'trap "echo got TERM; exit 9" TERM; echo started; while true; do sleep 0.1; done';
      const one = task('slow', command, { timeout: 1, outputs: ['>>/wc/log'] });
      expect(await fly(one)).toMatch(
        /^DockerTaskError: Docker process timeout: its 1 s were over while the command ran: SIGTERM ended it\. Give the task a longer `timeout`/,
      );
      expect((await stored('slow')).STAMP_log).toMatch(
        /started\ngot TERM\n-{80}\n\n\S+ FAILED TASK: slow, elapsed 0:00:0\d of timeout parameter 0:00:01 Docker process timeout/,
      );
    },
    LIMIT,
  );

  withEngine(
    'SIGTERM in flight: the container is stopped, the Firework is given back',
    async () => {
      const env = { ...process.env, DOCKER_HOST: host };
      await using worker = await testWorker({ env, storage: async () => storage });
      await worker.add([task('stopped', 'trap "exit 0" TERM; echo started; while true; do sleep 0.1; done')]);
      const flying = worker.fly();
      await until('its start', () => worker.said.some(({ message }) => message === 'started'), LIMIT);
      worker.stop('SIGTERM');
      expect(await flying).toBe('givenUp');
      expect([(await worker.firework(1)).state, await containers()]).toEqual(['READY', []]);
    },
    LIMIT,
  );

  withEngine(
    'a container that a dead worker left is removed before its Firework runs again',
    async () => {
      const env = { ...process.env, DOCKER_HOST: host };
      await using worker = await testWorker({ env, storage: async () => storage });
      await using engine = await Engine.open(env);
      await worker.add([task('again', 'echo alone')]);
      const { describeLaunchPad } = await import('../core/launchpad/index.ts');
      const Labels = {
        'borealis.launchpad': describeLaunchPad(worker.launchpad.settings),
        'borealis.fw_id': '1',
        'borealis.worker': 'tester',
      };
      const body = { Image: IMAGE, Cmd: ['sleep', '600'], Labels };
      const { Id } = (await engine.request('POST', '/containers/create', { body })) as { Id: string };
      await engine.request('POST', `/containers/${Id}/start`);
      expect(await worker.fly()).toBe('completed');
      expect(await containers()).toEqual([]);
    },
    LIMIT,
  );

  const docker = Bun.which('docker');
  test.skipIf(why !== undefined || docker === null)(
    `a worker that is killed outright: its container goes with it${docker ? '' : ' (needs the program docker)'}`,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'killed-'));
      const module = JSON.stringify(join(import.meta.dir, '../daemon/test_worker.ts'));
      const one = JSON.stringify(task('killed', 'sleep 600'));
      const code = `const { testWorker } = await import(${module}); const worker = await testWorker(); await worker.add([${one}]); await worker.fly();`;
      const env = { ...process.env, DOCKER_HOST: host, TMPDIR: folder };
      const worker = Bun.spawn([process.execPath, '-e', code], {
        env,
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      try {
        await until('the container', async () => (await containers()).length === 1, LIMIT);
        worker.kill('SIGKILL');
        await worker.exited;
        await until('its end', async () => (await containers()).length === 0, LIMIT);
      } finally {
        worker.kill('SIGKILL');
        await worker.exited;
        await rm(folder, { recursive: true });
      }
    },
    2 * LIMIT,
  );

  withEngine(
    'no line is lost, from the first to the last',
    async () => {
      const one = task('lines', 'seq 1 200000', { outputs: ['>/wc/said'] });
      expect(await fly(one)).toBeNull();
      const { said = '' } = await stored('lines');
      const lines = said.trimEnd().split('\n');
      expect([lines.length, lines[0], lines.at(-1)]).toEqual([200_000, '1', '200000']);
      expect(lines.every((line, i) => line === String(i + 1))).toBe(true);
      // Also of a program that is over at once.
      for (let i = 0; i < 5; i++) {
        await fly(task('short', 'echo word', { outputs: ['>/wc/said'] }));
        expect(await stored('short')).toEqual({ said: 'word\n' });
      }
    },
    LIMIT,
  );

  withEngine(
    'it runs as the worker’s user, and sees its parameters as words',
    async () => {
      const one = task('who', '', {
        command: `sh -c 'id -u; id -g; echo "$0"' 'a b'`,
        outputs: ['>/wc/said'],
      });
      expect(await fly(one)).toBeNull();
      expect(await stored('who')).toEqual({ said: `${process.getuid?.()}\n${process.getgid?.()}\na b\n` });
    },
    LIMIT,
  );

  withEngine(
    'an FWAction that the container wrote',
    async () => {
      const action = JSON.stringify({ stored_data: { n: 3 }, update_spec: { u: 1 } });
      const one = task('acts', `echo '${action}' > /wc/action.json`, { fwaction: '/wc/action.json' });
      const check = async (worker: TestWorker) =>
        expect(await worker.storedData(1)).toMatchObject({ n: 3, docker: { exit_code: 0 } });
      expect(await fly(one, check)).toBeNull();
      expect(await fly(task('idle', 'true', { fwaction: '/wc/action.json' }))).toBe(
        'DockerTaskError: The container wrote no FWAction to /wc/action.json',
      );
    },
    LIMIT,
  );

  withEngine(
    'outputs that cannot be stored stay on the worker; a rerun there stores them without running the command again',
    async () => {
      const depotDir = await mkdtemp(join(tmpdir(), 'depot-'));
      const log = silent;
      const depot = await openDepot(depotDir, { fetchCacheBytes: 0, storeRetryMs: 100, log });
      const briefly = { retryable: () => true, firstDelayMs: 1, longestDelayMs: 1, deadlineMs: 10 };
      const impatient = new Storage(readEndpoints(gcp.env), { policy: briefly });
      await using worker = await testWorker({
        env: { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: '/nowhere' },
        storage: async () => impatient,
        depot: async () => depot,
      });
      try {
        const command = 'cat /proc/sys/kernel/random/uuid > /wc/out/once; echo said';
        await worker.add([task('kept', command, { outputs: ['/wc/out/', '>>/wc/run.log'] })]);
        gcp.faults.add({ service: 'storage', match: 'POST', status: 503, times: 1000 });
        expect(await worker.fly()).toBe('fizzled');
        gcp.faults.clear();
        const { _exception } = (await worker.storedData(1)) as { _exception: { _stacktrace: string } };
        const place = join(depotDir, 'unstored');
        const why = _exception._stacktrace;
        expect(why).toContain('Cannot store gs://sandbox/kept/');
        expect(why).toContain(`kept in ${place}/fw_1_0_`);
        expect(why).toContain('lpad rerun_fws -i 1');
        const [kept] = await readdir(place);
        const once = await readFile(join(place, kept as string, 'outputs', 'out', 'once'), 'utf8');
        await rerun(worker.launchpad, 1);
        expect(await worker.fly()).toBe('completed');
        const objects = await stored('kept');
        expect(Object.keys(objects)).toEqual(['STAMP_run.log', 'out/once']);
        expect(objects['out/once']).toBe(once);
        expect(objects['STAMP_run.log']).toContain('SUCCESSFUL TASK: kept');
        expect(await readdir(place)).toEqual([]);
        // Nothing is kept any more: it runs again.
        await rerun(worker.launchpad, 1);
        expect(await worker.fly()).toBe('completed');
        expect((await stored('kept'))['out/once']).not.toBe(once);
      } finally {
        gcp.faults.clear();
        await rm(depotDir, { recursive: true });
      }
    },
    LIMIT,
  );

  withEngine(
    'links that lead out of an output tree are not followed',
    async () => {
      const command =
        'cd /wc/out; echo in > a; ln -s a inside; ln -s /etc/passwd outside; ln -s nowhere broken';
      expect(await fly(task('links', command, { outputs: ['/wc/out/'] }))).toBeNull();
      expect(await stored('links')).toEqual({ 'out/a': 'in\n', 'out/inside': 'in\n' });
    },
    LIMIT,
  );

  withEngine(
    'what ran is stored with the launch, whether it succeeded or not',
    async () => {
      await storage.write('sandbox', 'facts/in', '12345');
      const one = task('facts', 'cat /wc/in /wc/in > /wc/out; sleep 2; exit $CODE', {
        inputs: ['/wc/in'],
        outputs: ['/wc/out'],
        env: { CODE: 0 },
      });
      const facts = async (worker: TestWorker) => {
        const { docker, _exception } = (await worker.storedData(1)) as Record<string, Doc>;
        return (docker ?? _exception?._details) as Doc;
      };
      const expected = {
        image: IMAGE,
        image_id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        image_digest: null,
        exit_code: 0,
        elapsed_secs: expect.any(Number),
        peak_memory_bytes: expect.any(Number),
        memory_limit_bytes: 64 * 2 ** 20,
        bytes_in: 5,
        bytes_out: 10,
      };
      const limited = { ...one, memory: '64m' };
      expect(await fly(limited, async (worker) => expect(await facts(worker)).toEqual(expected))).toBeNull();
      const failing = { ...limited, env: { CODE: 9 } };
      const failed = { ...expected, exit_code: 9, bytes_out: 0 };
      expect(await fly(failing, async (worker) => expect(await facts(worker)).toEqual(failed))).toMatch(
        /exit code 9$/,
      );
    },
    LIMIT,
  );

  withEngine(
    'a text goes to the shell, a list does not; secrets of the environment are not in the log',
    async () => {
      const outputs = ['>/wc/said', '>>/wc/log'];
      const env = { NAME: 'a b', API_TOKEN: 'hush' };
      const text = task('shell', '', {
        command: 'for x in 1 2; do echo "$x $NAME"; done | sort -r',
        outputs,
        env,
      });
      expect(await fly(text)).toBeNull();
      const { said, STAMP_log } = await stored('shell');
      expect(said).toBe('2 a b\n1 a b\n');
      expect(STAMP_log).toContain('"API_TOKEN": "***"');
      expect(STAMP_log).not.toContain('hush');
      const list = task('list', '', { command: ['echo', '$NAME', 1], outputs, env });
      expect(await fly(list)).toBeNull();
      expect((await stored('list')).said).toBe('$NAME 1\n');
      const more = { command: `'two words' x`, entrypoint: 'echo -n', workdir: '/tmp', outputs };
      expect(await fly(task('entry', '', more))).toBeNull();
      expect((await stored('entry')).said).toBe('two words x');
    },
    LIMIT,
  );

  withEngine(
    'a command that fails is run again, with outputs that are empty again; the log tells of all runs',
    async () => {
      // What lives longer than a run: a folder of this machine that the input's tree is not.
      const command =
        'echo run; ls /wc/out; echo x > /wc/out/$(date +%N); [ $(wc -l < /wc/count) -ge 2 ] || { echo >> /wc/count; exit 3; }';
      await storage.write('sandbox', 'again/count', '');
      const one = task('again', command, {
        inputs: ['/wc/count'],
        outputs: ['/wc/out/', '>/wc/said', '>>/wc/log'],
        retries: 2,
      });
      expect(await fly(one)).toBeNull();
      const { said, STAMP_log = '', ...files } = await stored('again');
      expect([said, STAMP_log.match(/^run$/gm)?.length]).toEqual(['run\n', 3]);
      expect(STAMP_log.match(/Docker process exit code 3: run again$/gm)?.length).toBe(2);
      expect(Object.keys(files).filter((name) => name.startsWith('out/'))).toHaveLength(1);
      expect(await fly({ ...one, retries: 1, command: ['sh', '-c', 'exit 4'] })).toMatch(/exit code 4$/);
    },
    LIMIT,
  );

  withEngine(
    'too little memory: told with the mend; with retry_on_oom run again with twice as much, alone',
    async () => {
      const big = `x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo \${#x}`;
      const one = task('oom', big, { memory: '48m', outputs: ['>/wc/said', '>>/wc/log'] });
      expect(await fly(one)).toMatch(
        /^DockerTaskError: Docker process exit code 137 \(out of memory: it had all of its 48 MiB\. Raise `memory`, or let it be doubled: `retry_on_oom: 1`/,
      );
      const saw: string[] = [];
      const check = async (worker: TestWorker) => {
        saw.push(...worker.said.map(({ message }) => message));
        const { docker } = (await worker.storedData(1)) as Record<string, Doc>;
        expect(docker?.memory_limit_bytes).toBe(192 * 2 ** 20);
      };
      expect(await fly({ ...one, retry_on_oom: 2 }, check)).toBeNull();
      expect(
        saw.filter((line) => line.includes('Running it again')).map((line) => line.split('alone, ').at(-1)),
      ).toEqual(['with 96 MiB of memory', 'with 192 MiB of memory']);
      expect((await stored('oom')).said).toBe('60000000\n');
    },
    LIMIT,
  );

  withEngine(
    'with retry_on_oom the second run waits for the containers of other slots, and has the VM alone',
    async () => {
      const env = { ...process.env, DOCKER_HOST: host };
      await using worker = await testWorker({ env, storage: async () => storage });
      const said = () => worker.said.map(({ message }) => message);
      const big = `x=$(head -c 60000000 /dev/zero | tr '\\0' a); echo second run`;
      await worker.add([task('other', 'echo other starts; sleep 4; echo other ends')]);
      await worker.add([task('big', big, { memory: '96m', retry_on_oom: 1, timeout: 600 })]);
      const other = worker.fly();
      await until('the other', () => said().includes('other starts'), LIMIT);
      const flying = worker.fly();
      await until(
        'the first run’s end',
        () => said().some((line) => line.includes('Running it again')),
        LIMIT,
      );
      await worker.add([task('late', 'echo late starts')]);
      const late = worker.fly();
      expect(await Promise.all([other, flying, late])).toEqual(['completed', 'completed', 'completed']);
      const order = ['other ends', 'second run', 'late starts'].map((line) => said().indexOf(line));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    },
    LIMIT,
  );

  withEngine(
    'in an image without a shell a text is split into words',
    async () => {
      const image = `borealis-bare-${process.pid}:1`;
      await using engine = await Engine.open({ DOCKER_HOST: host });
      await imageOf(engine, image, await Bun.file(Bun.which('busybox') as string).bytes(), 'busybox');
      try {
        const one = task('bare', '', { image, command: `/busybox echo 'a b' $HOME`, outputs: ['>/wc/said'] });
        expect(await fly(one)).toBeNull();
        expect((await stored('bare')).said).toBe('a b $HOME\n');
        expect(await fly({ ...one, command: 'nothing here' })).toMatch(
          /The container cannot start: .* Is the first word of `command` a program of the image\? \(exit code 127\)$/,
        );
      } finally {
        await engine.request('DELETE', `/images/${image}`);
      }
    },
    LIMIT,
  );

  withEngine(
    'removed by somebody else: that is what the failure says',
    async () => {
      const removing = async (worker: TestWorker) => {
        const flying = worker.fly();
        await until('its start', () => worker.said.some(({ message }) => message === 'started'), LIMIT);
        await using engine = await Engine.open({ DOCKER_HOST: host });
        for (const { Id } of (await containers()) as { Id: string }[])
          await engine.request('DELETE', `/containers/${Id}?force=true`);
        return await flying;
      };
      const env = { ...process.env, DOCKER_HOST: host };
      await using worker = await testWorker({ env, storage: async () => storage });
      await worker.add([task('gone', 'echo started; sleep 600')]);
      expect(await removing(worker)).toBe('fizzled');
      const { _exception } = (await worker.storedData(1)) as { _exception: { _stacktrace: string } };
      expect(_exception._stacktrace).toContain('the container was removed by somebody else while it ran');
    },
    LIMIT,
  );

  withEngine(
    'two slots with the same paths do not meet',
    async () => {
      const env = { ...process.env, DOCKER_HOST: host };
      await using worker = await testWorker({ env, storage: async () => storage });
      await storage.write('sandbox', 'twin/in', 'same\n');
      const command = 'echo $NAME >> /wc/in; sleep 0.5; cat /wc/in > /wc/out-$NAME; ls /wc > /wc/list-$NAME';
      for (const NAME of ['a', 'b']) {
        const outputs = [`/wc/out-${NAME}`, `/wc/list-${NAME}`, `>>/wc/log-${NAME}`];
        await worker.add([task('twin', command, { inputs: ['/wc/in'], outputs, env: { NAME } })]);
      }
      expect(await Promise.all([worker.fly(), worker.fly()])).toEqual(['completed', 'completed']);
      expect(await stored('twin')).toMatchObject({
        'out-a': 'same\na\n',
        'out-b': 'same\nb\n',
        'list-a': 'in\nlist-a\nout-a\n',
        'list-b': 'in\nlist-b\nout-b\n',
        in: 'same\n',
      });
      expect(await containers()).toEqual([]);
    },
    LIMIT,
  );

  describe('the time is up, whatever is being done', () => {
    /** Of the failure, what it says was being done. */
    const slow = async (one: Doc) =>
      /timeout: its 1 s were over while (.*?)(\. Give|: SIG)/.exec(
        (await fly({ ...one, timeout: 1 })) ?? '',
      )?.[1];

    withEngine(
      'while the image is pulled',
      async () => {
        using dumb = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
        const image = `127.0.0.1:${dumb.port}/own/tool:1`;
        expect(await slow(task('slow-pull', 'true', { image, pull: 'always' }))).toBe(
          'the image was being pulled',
        );
      },
      LIMIT,
    );

    const held = (match: string) =>
      gcp.faults.add({ service: 'storage', match, delayMs: 4 * SECOND, times: 100 });

    withEngine(
      'while inputs are fetched',
      async () => {
        await storage.write('sandbox', 'slow-in/in', 'x');
        held('slow-in');
        expect(await slow(task('slow-in', 'true', { inputs: ['/wc/in'] }))).toBe('inputs were being fetched');
        gcp.faults.clear();
      },
      LIMIT,
    );

    withEngine(
      'while the command runs, deaf to SIGTERM',
      async () => {
        const one = task('slow-run', 'trap "" TERM; echo up; while :; do sleep 0.1; done', { timeout: 1 });
        const env = { ...process.env, DOCKER_HOST: host };
        await using worker = await testWorker({ env, storage: async () => storage, graceMs: 300 });
        await worker.add([one]);
        expect(await worker.fly()).toBe('fizzled');
        const { _exception } = (await worker.storedData(1)) as { _exception: { _stacktrace: string } };
        expect(_exception._stacktrace).toContain(
          'its 1 s were over while the command ran: SIGTERM did not end it, SIGKILL did',
        );
      },
      LIMIT,
    );

    withEngine(
      'while outputs are stored',
      async () => {
        held('/upload/');
        expect(await slow(task('slow-out', 'echo x > /wc/x', { outputs: ['/wc/x'] }))).toBe(
          'outputs were being stored',
        );
        gcp.faults.clear();
      },
      LIMIT,
    );
  });

  const registry = Bun.which('docker-registry');
  test.skipIf(why !== undefined || registry === null)(
    `an image is pulled, also when it is here; one that is not in the registry is told${registry ? '' : ' (needs docker-registry)'}`,
    async () => {
      await using engine = await Engine.open({ DOCKER_HOST: host });
      const port = 20_000 + (process.pid % 20_000);
      const config = join(dir, 'registry.yml');
      const root = join(dir, 'registry');
      await Bun.write(
        config,
        `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${root}}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
      );
      const serving = Bun.spawn([registry as string, 'serve', config], {
        stdio: ['ignore', 'ignore', 'ignore'],
      });
      const name = `127.0.0.1:${port}/own/tool`;
      try {
        await until('the registry', () =>
          fetch(`http://127.0.0.1:${port}/v2/`).then(
            ({ ok }) => ok,
            () => false,
          ),
        );
        await engine.request('POST', `/images/${IMAGE}/tag?repo=${encodeURIComponent(name)}&tag=1`);
        const headers = { 'X-Registry-Auth': btoa('{}') };
        const pushed = await engine.request('POST', `/images/${name}/push?tag=1`, { headers, text: true });
        expect(pushed).not.toContain('errorDetail');
        await engine.request('DELETE', `/images/${name}:1`);
        const pulls = { image: `${name}:1`, pull: 'always' };
        expect(await fly(task('pulled', 'true', pulls))).toBeNull();
        expect(await fly(task('pulled', 'true', pulls))).toBeNull();
        expect(await fly(task('pulled', 'true', { ...pulls, image: `${name}:2` }))).toMatch(
          /^DockerTaskError: Cannot pull \S+:2: .* Push the image, or correct `image` in the Firetask$/,
        );
      } finally {
        await engine.request('DELETE', `/images/${name}:1`).catch(() => {});
        serving.kill();
        await serving.exited;
      }
    },
    LIMIT,
  );

  const setpriv = Bun.which('setpriv');
  const root = process.getuid?.() === 0 && setpriv !== null && host.startsWith('unix://');
  test.skipIf(why !== undefined || !root)(
    `a socket without permission: one message with the mend${root ? '' : ' (needs root and setpriv)'}`,
    async () => {
      const socket = host.slice('unix://'.length);
      // The folder of an Engine of the tests' own is closed to others: the socket itself must be what refuses.
      const folder = await mkdtemp('/tmp/borealis-link-');
      await chmod(folder, 0o755);
      const proxy = Bun.listen({ unix: join(folder, 's'), socket: { data() {} } });
      try {
        await chmod(join(folder, 's'), 0o600);
        const ask = `import { Engine } from ${JSON.stringify(join(import.meta.dir, '../daemon/docker/engine.ts'))};
          await Engine.open({ DOCKER_HOST: 'unix://${join(folder, 's')}' }).catch((thrown) => console.log(thrown.message));`;
        const argv = [
          setpriv as string,
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          process.execPath,
          '-e',
          ask,
        ];
        const child = Bun.spawnSync(argv, { cwd: '/', env: { PATH: process.env.PATH } });
        expect(child.stdout.toString() + child.stderr.toString()).toBe(
          `No permission for the Docker Engine's socket ${join(folder, 's')}. Add this user to its group: sudo usermod -aG docker $USER, then sign in again\n`,
        );
        expect(socket).toStartWith('/');
      } finally {
        proxy.stop(true);
        await rm(folder, { recursive: true });
      }
    },
    LIMIT,
  );
});

describe('without a Docker Engine', () => {
  test('one message that says how to get one', async () => {
    await using worker = await testWorker({
      env: { ...process.env, DOCKER_HOST: 'unix:///nowhere/docker.sock' },
    });
    await worker.add([task('none', 'true')]);
    expect(await worker.fly()).toBe('fizzled');
    const { _exception } = (await worker.storedData(1)) as { _exception: { _stacktrace: string } };
    expect(_exception._stacktrace).toContain(
      'No Docker Engine answers at /nowhere/docker.sock: there is no such socket. Install docker.io and start it, or set DOCKER_HOST',
    );
  });
});
