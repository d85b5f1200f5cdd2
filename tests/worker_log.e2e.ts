/** What the built worker says, and where: on the console, in a file, in Cloud Logging, to systemd. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Compute } from '../core/cloud/compute.ts';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { listLogs } from '../core/cloud/read_logs.ts';
import {
  addWorkflows,
  type Doc,
  LaunchPad,
  launchPadSettings,
  newWorkflow,
} from '../core/launchpad/index.ts';
import { SECOND } from '../core/wait.ts';
import { notifySocket } from '../daemon/test_notify_socket.ts';
import { until } from '../daemon/test_worker.ts';
import { TestLine } from '../sandbox/gcp/test_line.ts';
import { startMongo } from '../sandbox/mongo/server.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';

const FIREWORKER = join(import.meta.dir, '..', 'dist', 'fireworker');
const LIMIT = 60 * SECOND;

let dir: string;
let sandbox: Sandbox;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'worker-log-'));
  // A VM in which nothing runs: the tests start its worker.
  sandbox = await startSandbox({ dir: join(dir, 'sandbox'), fireworker: ['sh', '-c', 'exec sleep 600'] });
});
afterAll(async () => {
  await sandbox.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A VM, and a LaunchPad of its own. */
async function boot(name: string, attributes: Record<string, string> = {}): Promise<LaunchPad> {
  const settings = { host: '127.0.0.1', port: sandbox.mongo.port, name };
  const launchpad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await launchpad.reset();
  const compute = new Compute('sandbox', 'us-west1-b', readEndpoints(sandbox.env));
  const [made] = await compute.insert([
    {
      name,
      machineType: 'zones/us-west1-b/machineTypes/n1-standard-1',
      networkInterfaces: [{}],
      metadata: {
        items: Object.entries({ db: name, ...attributes }).map(([key, value]) => ({ key, value })),
      },
      disks: [
        { boot: true, initializeParams: { sourceImage: 'projects/sandbox/global/images/family/fireworker' } },
      ],
    },
  ]);
  if (made?.error) throw made.error;
  return launchpad;
}

async function add(launchpad: LaunchPad, name: string, script: string): Promise<number> {
  const fws = [{ fw_id: 1, name, spec: { _tasks: [{ _fw_name: 'ScriptTask', name: 'step', script }] } }];
  const [ids] = await addWorkflows(launchpad, [newWorkflow({ fws, links: {} })]);
  return [...(ids as Map<number, number>).values()][0] as number;
}
const stateOf = async (launchpad: LaunchPad, fwId: number) =>
  (await launchpad.fireworks.findOne({ fw_id: fwId }))?.state as string;

interface Worker {
  process: Bun.Subprocess;
  cwd: string;
  /** All that it printed so far. */
  said(): Promise<string>;
}

/** Starts the worker of a VM, which stays when it ends; `vm` null: on a machine that is none. */
async function start(
  vm: string | null,
  o: { argv?: string[]; env?: Record<string, string | undefined>; launchpad?: Doc; out?: number } = {},
): Promise<Worker> {
  const cwd = join(dir, `worker-${crypto.randomUUID().slice(0, 8)}`);
  await mkdir(cwd);
  const launchpad = o.launchpad ?? { host: '127.0.0.1', port: sandbox.mongo.port, name: vm };
  await writeFile(join(cwd, 'my_launchpad.yaml'), JSON.stringify(launchpad));
  const GCE_METADATA_HOST = vm ? sandbox.gcp.compute.vms.get(vm)?.vm.metadataHost : '127.0.0.1:1';
  const out = openSync(join(cwd, 'said'), 'a');
  const child = Bun.spawn([FIREWORKER, '--development', ...(o.argv ?? [])], {
    cwd,
    env: {
      PATH: process.env.PATH,
      HOME: cwd,
      TMPDIR: cwd,
      ...sandbox.env,
      FW_CONFIG_FILE: '',
      GCE_METADATA_HOST,
      ...o.env,
    },
    stdio: ['ignore', o.out ?? out, out],
  });
  closeSync(out);
  return { process: child, cwd, said: () => readFile(join(cwd, 'said'), 'utf8') };
}

const logged = (worker: string) =>
  sandbox.gcp.logging.entries.filter(({ labels }) => (labels as Doc).worker === worker);
const textOf = ({ textPayload, jsonPayload }: Doc) =>
  String(textPayload ?? (jsonPayload as Doc | undefined)?.message);

describe('one rocket', () => {
  test(
    'is found by one query: its labels, and severities',
    async () => {
      await using launchpad = await boot('one-rocket');
      const first = await add(launchpad, 'align', 'echo reading; echo odd >&2');
      const second = await add(launchpad, 'merge', 'echo other; exit 3');
      const worker = await start('one-rocket', { argv: ['--once'] });
      expect(await worker.process.exited).toBe(0);
      const again = await start('one-rocket', { argv: ['--once'] });
      expect(await again.process.exited).toBe(0);
      const ask = (query: string) => listLogs('sandbox', readEndpoints(sandbox.env), query, 1000);
      const launch = await launchpad.launches.findOne({ fw_id: first });
      const page = await readFile(join(import.meta.dir, '../docs/fleets.md'), 'utf8');
      const query = /```text\n(logName[^`]*)```/.exec(page)?.[1] ?? '';
      const mine = await ask(
        query
          .replace('demo-[0-9]+', 'one-rocket')
          .replace('"12"', `"${first}"`)
          .replace('"3"', `"${launch?.launch_id}"`),
      );
      expect(mine.map(({ message }) => message).join('\n')).toMatch(
        /^Running Firework \d+ 'align' in \S+\n(.*\n)*reading\n(.*\n)*Firework \d+ 'align' is COMPLETED/m,
      );
      const { labels } = mine.find(({ message }) => message === 'odd') as (typeof mine)[0];
      expect(labels).toEqual({
        worker: 'one-rocket',
        fw_id: String(first),
        launch_id: String(launch?.launch_id),
        firework: 'align',
        task: 'step',
      });
      expect(mine.map(({ message }) => message)).not.toContain('other');
      const broken = await ask(`labels.worker="one-rocket" AND labels.firework="merge" AND severity>=ERROR`);
      expect(broken.map(({ message, severity }) => [severity, message])).toEqual([
        ['ERROR', expect.stringContaining(`Firework ${second} 'merge' failed`)],
      ]);
    },
    LIMIT,
  );
});

describe('Cloud Logging is away', () => {
  /** The worker's way to Logging, which the test holds in its hands. */
  async function lineTo(): Promise<TestLine> {
    const line = new TestLine(sandbox.gcp.port);
    await line.open();
    return line;
  }
  const by = (line: TestLine) => ({
    CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: `http://127.0.0.1:${line.port}`,
  });

  test(
    'from start to end, nobody answers: rockets fly, the end is bounded, and the console says what was not sent',
    async () => {
      await using line = await lineTo();
      line.hang();
      await using launchpad = await boot('mute');
      const fwId = await add(launchpad, 'a', 'echo hello');
      const worker = await start('mute', { argv: ['--once'], env: by(line) });
      const began = performance.now();
      expect(await worker.process.exited).toBe(0);
      expect(performance.now() - began).toBeLessThan(20 * SECOND);
      expect(await stateOf(launchpad, fwId)).toBe('COMPLETED');
      expect(await worker.said()).toMatch(/ WARNING \d+ lines have not reached Cloud Logging\n/);
      expect(logged('mute')).toEqual([]);
    },
    LIMIT,
  );

  test(
    'it is refused, and back later: everything arrives, in order',
    async () => {
      await using line = await lineTo();
      await using launchpad = await boot('later');
      const worker = await start('later', { env: by(line) });
      await until('the first line', () => logged('later').length > 0, LIMIT);
      await line.refuse();
      const fwId = await add(launchpad, 'a', 'seq 1 2000');
      await until('the rocket', async () => (await stateOf(launchpad, fwId)) === 'COMPLETED', LIMIT);
      await until(
        'the news',
        async () => (await worker.said()).includes('Cloud Logging does not take lines'),
        LIMIT,
      );
      await line.open();
      await until(
        'the news',
        async () => (await worker.said()).includes('Cloud Logging takes lines again'),
        LIMIT,
      );
      worker.process.kill('SIGTERM');
      expect(await worker.process.exited).toBe(0);
      const numbers = logged('later')
        .map(textOf)
        .filter((text) => /^\d+$/.test(text));
      expect(numbers).toEqual(Array.from({ length: 2000 }, (_, i) => String(i + 1)));
    },
    LIMIT,
  );

  test(
    'while a task prints 300 MB: memory is bounded, the oldest lines go, and it is said how many',
    async () => {
      await using line = await lineTo();
      await using launchpad = await boot('flood');
      const worker = await start('flood', { env: by(line) });
      await until('the first line', () => logged('flood').length > 0, LIMIT);
      line.hang();
      const fwId = await add(
        launchpad,
        'flood',
        'yes 0123456789012345678901234567890123456789 | head -c 300000000; echo; echo last',
      );
      let most = 0;
      await until(
        'the rocket',
        async () => {
          const status = await readFile(`/proc/${worker.process.pid}/status`, 'utf8');
          most = Math.max(most, Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]) / 1024);
          return (await stateOf(launchpad, fwId)) === 'COMPLETED';
        },
        LIMIT,
      );
      expect(most).toBeGreaterThan(50);
      expect(most).toBeLessThan(500);
      line.cut();
      await line.open();
      worker.process.kill('SIGTERM');
      expect(await worker.process.exited).toBe(0);
      const lines = logged('flood').map(textOf);
      const dropped = lines.flatMap((text) => /^(\d+) lines were dropped here: /.exec(text)?.[1] ?? []);
      const printed = lines.filter((text) => text.startsWith('0123456789')).length;
      expect(printed + dropped.map(Number).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(7_000_000);
      expect(lines).toContain('last');
      expect(await worker.said()).toMatch(
        / WARNING \d+ lines were dropped: Cloud Logging was slow or away\n/,
      );
    },
    2 * LIMIT,
  );
});

describe('the console', () => {
  test(
    'goes away, or its disk is full: the worker flies on',
    async () => {
      await using launchpad = await boot('deaf');
      const fwId = await add(launchpad, 'a', 'echo hello');
      const full = openSync('/dev/full', 'w');
      const worker = await start('deaf', { argv: ['--once'], out: full });
      closeSync(full);
      expect(await worker.process.exited).toBe(0);
      expect(await stateOf(launchpad, fwId)).toBe('COMPLETED');
      expect(logged('deaf').map(textOf)).toContain('hello');
      expect(await worker.said()).toBe('');
    },
    LIMIT,
  );

  test(
    'on a machine that is no VM: INFO, and to the project that its environment names',
    async () => {
      await using launchpad = await boot('no-vm');
      await add(launchpad, 'a', 'echo hello');
      const settings = {
        host: '127.0.0.1',
        port: sandbox.mongo.port,
        name: 'no-vm',
        logdir: 'logs',
        strm_lvl: 'ERROR',
      };
      const worker = await start(null, { argv: ['--once', '--name', 'laptop'], launchpad: settings });
      expect(await worker.process.exited).toBe(0);
      // What was said before the settings were read, and what is an error.
      expect(await worker.said()).toBe('');
      expect(await readFile(join(worker.cwd, 'logs/fireworker.log'), 'utf8')).toContain('is COMPLETED after');
      const lines = logged('laptop');
      expect(lines.map(textOf).join('\n')).toContain('is COMPLETED after');
      expect(lines.map(textOf)).not.toContain('hello');
      expect(lines[0]?.resource).toMatchObject({ type: 'generic_node', labels: { project_id: 'sandbox' } });
    },
    LIMIT,
  );
});

describe('a password in the connection string', () => {
  const secret = 'p%40ss-W0rd';
  test.each([
    ['right', (port: number) => `mongodb://me:${secret}@127.0.0.1:${port}/fw?authSource=admin`, 0],
    ['wrong', (port: number) => `mongodb://me:un${secret}@127.0.0.1:${port}/fw?authSource=admin`, 1],
    ['for nobody who answers', () => `mongodb://me:${secret}@127.0.0.1:1/fw?serverSelectionTimeoutMS=100`, 1],
    ['without uri_mode', (port: number) => `mongodb://me:${secret}@127.0.0.1:${port}/fw`, 1],
    [
      'that is no connection string',
      () => `mongodb://me:p@ss-W0rd@127.0.0.1:1/fw?serverSelectionTimeoutMS=100`,
      null,
    ],
  ])(
    '%s: is nowhere in what is said',
    async (kind, hostOf, code) => {
      const name = `secret-${kind.replaceAll(/[ _]/g, '-')}`;
      await using _ = await boot(name);
      const mongo = await startMongo({ user: 'me', password: 'p@ss-W0rd' });
      const socket = notifySocket(`@borealis-${crypto.randomUUID()}`);
      try {
        const host = hostOf(mongo.port);
        const settings = { host, uri_mode: kind !== 'without uri_mode', logdir: 'logs', strm_lvl: 'DEBUG' };
        const worker = await start(name, {
          argv: ['--once', '--json-logs'],
          launchpad: settings,
          env: { NOTIFY_SOCKET: socket.path, FIREWORKER_ERROR_DELETE_DELAY: '0' },
        });
        const exitCode = await worker.process.exited;
        if (code !== null) expect(exitCode).toBe(code);
        const file = await readFile(join(worker.cwd, 'logs/fireworker.log'), 'utf8').catch(() => '');
        const all = [await worker.said(), file, JSON.stringify(logged(name)), JSON.stringify(socket.told())];
        expect(all[0]).not.toBe('');
        for (const text of all) expect(text).not.toMatch(/ss-W0rd/);
      } finally {
        socket[Symbol.dispose]();
        await mongo.stop();
      }
    },
    LIMIT,
  );
});

describe('systemd, by NOTIFY_SOCKET', () => {
  test(
    'is told that the worker is ready, what it flies, and that it ends; tasks know nothing of it',
    async () => {
      await using launchpad = await boot('told');
      using socket = notifySocket(`@borealis-${crypto.randomUUID()}`);
      const worker = await start('told', { env: { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' } });
      const heard: string[] = [];
      const hear = (line: string) =>
        until(line, () => heard.push(...socket.told().flat()) && heard.includes(line), LIMIT);
      await hear('READY=1');
      await hear('STATUS=idle');
      const fwId = await add(launchpad, 'align', 'env > env; while ! test -e go; do sleep 0.05; done');
      await hear(`STATUS=flying fw ${fwId} 'align' 0 min`);
      const launch = await launchpad.launches.findOne({ fw_id: fwId });
      expect(await readFile(join(launch?.launch_dir, 'env'), 'utf8')).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/);
      worker.process.kill('SIGTERM');
      expect(await worker.process.exited).toBe(0);
      await hear('STOPPING=1');
      expect(heard.filter((line) => line === 'WATCHDOG=1').length).toBeGreaterThan(3);
      expect(heard[0]).toBe('STATUS=starting');
    },
    LIMIT,
  );

  test(
    'is told of an error that ends it, for as long as its VM waits',
    async () => {
      await using _ = await boot('broken', { idle_for_rockets: 'soon', error_delete_delay: '1' });
      using socket = notifySocket(`@borealis-${crypto.randomUUID()}`);
      const worker = await start('broken', { env: { NOTIFY_SOCKET: socket.path } });
      await worker.process.exited;
      const heard = socket.told().flat();
      expect(
        heard.find((line) => line.startsWith('STATUS=stopped by an error: idle_for_rockets=soon')),
      ).toBeDefined();
      expect(heard).toContain('EXTEND_TIMEOUT_USEC=301000000');
      expect(heard).not.toContain('READY=1');
    },
    LIMIT,
  );
});
