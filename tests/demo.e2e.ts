/** The demo comes to its end, and however it ends, it leaves nothing behind. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { chown, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MINUTE, sleep } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { isAlive } from '../sandbox/gcp/processes.ts';
import { build } from '../scripts/build.ts';
import { dockerEngine } from '../scripts/docker_engine.ts';
import { killProcessesIn, processesIn } from '../scripts/processes_in.ts';
import { pathWithSbin } from '../scripts/system_packages.ts';

const root = resolve(import.meta.dir, '..');
const BUN = [process.execPath, 'scripts/demo.ts'];
const NPM = ['npm', 'run', 'demo'];

const asRoot = process.getuid?.() === 0;
/** Why tests that need an Engine of the demo's own cannot run here. */
const noEngine =
  asRoot && Bun.which('dockerd', { PATH: pathWithSbin() }) ? '' : ' (skipped: needs root and dockerd)';

/** A copy of the checkout in which nothing was built yet: there a demo builds, and here it takes what is in dist. */
let fresh: string;
beforeAll(async () => {
  await build();
  fresh = await mkdtemp(join(tmpdir(), 'demo-checkout-'));
  for (const name of await readdir(root))
    if (!['.git', 'dist', 'node_modules'].includes(name))
      await cp(join(root, name), join(fresh, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(fresh, 'node_modules'));
}, MINUTE);
afterAll(() => rm(fresh, { recursive: true }));

/** Everything that a demo could leave. Its temporary folder is below `folder`. */
interface World {
  folder: string;
  before: Leavings;
}

interface Leavings {
  /** What is in the checkouts. */
  checkouts: string[][];
  interfaces: string[];
  /** Folders of Docker Engines whose starter is gone. */
  engines: string[];
}

async function leavings(): Promise<Leavings> {
  const engines: string[] = [];
  for (const name of await readdir('/tmp')) {
    if (!name.startsWith('borealis-docker-')) continue;
    const owner = await readFile(join('/tmp', name, 'owner.json'), 'utf8').catch(() => null);
    if (owner !== null && !isAlive(JSON.parse(owner))) engines.push(name);
  }
  return {
    checkouts: await Promise.all(
      [root, fresh, join(root, 'dist')].map(async (path) => (await readdir(path)).sort()),
    ),
    interfaces: await readdir('/sys/class/net').catch(() => []),
    engines,
  };
}

/** A busy machine takes its time; a test that hangs is ended. */
const WITHIN_MS = 3 * MINUTE;

let world: World;
beforeEach(async () => {
  world = { folder: await mkdtemp(join(tmpdir(), 'demo-')), before: await leavings() };
});
afterEach(async () => {
  await killProcessesIn(world.folder);
  await rm(world.folder, { recursive: true, force: true });
});

interface Demo {
  pid: number;
  /** What it has said until now. */
  said(): string;
  /** Resolves when it has said this. */
  says(pattern: RegExp): Promise<void>;
  exited: Promise<number>;
}

/** Starts a demo as a terminal does: it leads a process group. Without DOCKER_HOST it starts an Engine of its own. */
function startDemo(
  argv: readonly string[],
  env: Record<string, string | undefined> = {},
  checkout = root,
): Demo {
  const child = Bun.spawn([...argv], {
    cwd: checkout,
    env: { ...process.env, DOCKER_HOST: undefined, TMPDIR: world.folder, DEMO_FOLDER: world.folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  let ended = false;
  const listen = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) said += decoder.decode(chunk, { stream: true });
  };
  const heard = Promise.all([listen(child.stdout), listen(child.stderr)]);
  const exited = child.exited.then(async (code) => {
    await heard;
    ended = true;
    return code;
  });
  return {
    pid: child.pid,
    said: () => said,
    exited,
    async says(pattern) {
      while (!pattern.test(said)) {
        if (ended) throw new Error(`The demo ended before it said ${pattern}:\n${said}`);
        await sleep(20);
      }
    },
  };
}

/** Nothing of this demo is left: processes, containers, files, mounts, ports, network interfaces. */
async function expectNothingLeft(demo: Demo): Promise<void> {
  expect(await processesIn(world.folder)).toEqual([]);
  expect(await readdir(world.folder)).toEqual([]);
  expect(await leavings()).toEqual(world.before);
  expect((await readFile('/proc/self/mounts', 'utf8')).includes(world.folder)).toBe(false);
  const ports = [...demo.said().matchAll(/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1]));
  for (const port of ports) expect([port, await accepts(port)]).toEqual([port, false]);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** The command lines that it showed, in order, without the paths and ports that change. */
const typed = (said: string) => [...said.matchAll(/^\$ (.*)$/gm)].map((match) => match[1] as string);

const COMMANDS = (kind: 'docker' | 'script') => [
  'borealisctl sandbox up --detach',
  '. "$BOREALIS_SANDBOX/env"',
  'borealisctl up demo --count 3',
  'borealisctl storage cp examples/word-atlas/input/ gs://sandbox/word-atlas/input/',
  `borealisctl lpad add examples/word-atlas/workflow.${kind}.yaml`,
  'borealisctl watch',
  'borealisctl lpad get_wflows -d less',
  'borealisctl ps demo',
  'borealisctl storage ls -l gs://sandbox/word-atlas/',
  'borealisctl storage cat gs://sandbox/word-atlas/output/summary.txt',
  'borealisctl quit-soon demo',
  'borealisctl ps demo',
  'borealisctl sandbox down',
];

/** What each demo that comes to its end shows. */
function expectWholeDemo(said: string, kind: 'docker' | 'script'): void {
  expect(typed(said)).toEqual(COMMANDS(kind));
  // Live: the workflow is seen at work, and to grow from 12 Fireworks to 16.
  const progress = [...said.matchAll(/word atlas--1 {2}(\d+)\/(\d+) /g)].map(
    ([, done, of]) => `${done}/${of}`,
  );
  expect(progress.length).toBeGreaterThan(3);
  expect(progress[0]).toEndWith('/12');
  expect(progress.at(-1)).toBe('16/16');
  expect(said).toContain('16/16  16 COMPLETED\n1 workflow COMPLETED\n');
  for (const file of [
    'merged.txt',
    'output/atlas.svg',
    'output/index.html',
    'parts/part-7.txt',
    'counts/7.txt',
  ])
    expect(said).toMatch(new RegExp(`^ *[1-9]\\d* .* gs://sandbox/word-atlas/${file}$`, 'm'));
  expect(said).toContain('8681 words, 1426 different ones');
  for (const vm of ['demo-0', 'demo-1', 'demo-2']) expect(said).toContain(`${vm} deleted itself\n`);
  expect(said).toContain("There are no VMs in fleet 'demo'");
  expect(said).toMatch(/Done in \d+ s; nothing is left running\.\n$/);
}

describe('to the end', () => {
  test.skipIf(noEngine !== '')(
    `with an Engine of its own, by npm${noEngine}`,
    async () => {
      const started = Date.now();
      const demo = startDemo(NPM, {}, fresh);
      expect([await demo.exited, demo.said()]).toEqual([0, expect.any(String)]);
      expect(demo.said()).toContain('Building fireworker and borealisctl\n');
      expectWholeDemo(demo.said(), 'docker');
      expect(demo.said()).toMatch(/gs:\/\/sandbox\/word-atlas\/logs\/\d{8}\.\d{6}_draw/);
      expect(Date.now() - started).toBeLessThan(60_000);
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );

  test.skipIf(noEngine !== '')(
    `with an Engine that was there, which is then as before, and a proxy, which is not asked${noEngine}`,
    async () => {
      const engine = await dockerEngine({ say: console.log, without: 'this test fails' });
      if (!engine) throw new Error('There is no Docker Engine');
      try {
        const content = async () => {
          await using client = await Engine.open({ DOCKER_HOST: engine.host });
          const of = (path: string) => client.request('GET', path) as Promise<{ Id: string }[]>;
          return [await of('/containers/json?all=true'), await of('/images/json')].map((list) =>
            list.map(({ Id }) => Id).sort(),
          );
        };
        const before = await content();
        const demo = startDemo([...BUN, '--keep'], {
          DOCKER_HOST: engine.host,
          HTTP_PROXY: 'http://127.0.0.1:9',
          http_proxy: 'http://127.0.0.1:9',
        });
        expect([await demo.exited, demo.said()]).toEqual([0, expect.any(String)]);
        expect(await content()).toEqual(before);
        // --keep leaves the results, and them alone.
        const [kept = '', ...others] = await readdir(world.folder);
        expect(others).toEqual([]);
        expect(await readdir(join(world.folder, kept))).toEqual(['results']);
        const chart = await readFile(join(world.folder, kept, 'results/output/atlas.svg'), 'utf8');
        expect(chart).toContain('8681 words');
        await rm(join(world.folder, kept), { recursive: true });
        await expectNothingLeft(demo);
      } finally {
        await engine.stop();
      }
    },
    WITHIN_MS,
  );

  test(
    'where no Engine can be had: one line says how to get one, and the steps are ScriptTasks',
    async () => {
      // Somebody who is not root, but may read this checkout wherever it is.
      const nobody =
        'setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search';
      // In a folder that is not below one which only its owner may enter.
      await rm(world.folder, { recursive: true });
      world.folder = await mkdtemp('/tmp/demo-');
      const home = join(world.folder, 'home');
      await mkdir(home);
      if (asRoot) for (const path of [world.folder, home]) await chown(path, 65534, 65534);
      const demo = startDemo([...(asRoot ? nobody.split(' ') : []), ...BUN], {
        HOME: home,
        DOCKER_HOST: 'unix:///nonexistent/docker.sock',
      });
      expect([await demo.exited, demo.said()]).toEqual([0, expect.any(String)]);
      const lines = demo
        .said()
        .split('\n')
        .filter((line) => line.includes('No Docker Engine'));
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(
        /the steps run as ScriptTasks.* To get one: sudo (apt-get install -y docker\.io|systemctl)/,
      );
      expectWholeDemo(demo.said(), 'script');
      await rm(home, { recursive: true });
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );
});

const group = (pid: number, signal: NodeJS.Signals) => process.kill(-pid, signal);
const alone = (pid: number, signal: NodeJS.Signals) => process.kill(pid, signal);

/** The number of the dockerd that the demo in this test has started, when it has. */
async function ownDockerd(): Promise<number | null> {
  for (const { pid, argv } of await processesIn('/tmp')) {
    if (!argv[0]?.endsWith('dockerd')) continue;
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (environ.includes(`DEMO_FOLDER=${world.folder}\0`)) return pid;
  }
  return null;
}

async function engineStarts(): Promise<void> {
  while ((await ownDockerd()) === null) await sleep(10);
}

interface Interruption {
  when: string;
  until: (demo: Demo) => Promise<unknown>;
  /** Where: the fresh one, for a demo that builds. */
  checkout?: () => string;
  argv?: readonly string[];
  send?: typeof group;
  signal?: NodeJS.Signals;
  /** Sent again after so long. */
  againMs?: number;
}

/** `borealisctl watch` tells of the first part of the workflow, when some of it is done. How much, nobody knows beforehand. */
const FLYING = / [1-9]\d*\/12 .*RUNNING/;

const INTERRUPTIONS: Interruption[] = [
  { when: 'as it begins', until: (demo) => demo.says(/Building/), checkout: () => fresh },
  {
    when: 'as it builds',
    until: (demo) => demo.says(/Building/).then(() => sleep(900)),
    checkout: () => fresh,
    send: alone,
  },
  { when: 'as an Engine starts', until: engineStarts, argv: NPM },
  {
    when: 'as the sandbox starts',
    until: (demo) => demo.says(/\$ borealisctl sandbox up/),
    send: alone,
    argv: NPM,
  },
  { when: 'as VMs boot', until: (demo) => demo.says(/\$ borealisctl up/), signal: 'SIGTERM' },
  { when: 'as VMs fly', until: (demo) => demo.says(FLYING), argv: NPM },
  { when: 'as VMs fly, and again', until: (demo) => demo.says(FLYING), againMs: 700 },
  { when: 'as VMs fly', until: (demo) => demo.says(/ 1\d\/16 /), send: alone, signal: 'SIGTERM' },
  { when: 'as VMs go home', until: (demo) => demo.says(/Set quit=soon/), send: alone },
  { when: 'as it cleans up', until: (demo) => demo.says(/The sandbox in .* is gone/), signal: 'SIGHUP' },
  {
    when: 'at any moment',
    until: (demo) => demo.says(/Taking/).then(() => sleep(Math.random() * 5000)),
  },
];

describe('interrupted', () => {
  for (const {
    when,
    until,
    argv = BUN,
    checkout = () => root,
    send = group,
    signal = 'SIGINT',
    againMs,
  } of INTERRUPTIONS) {
    const how = `${signal} to ${send === group ? 'all' : 'one'}, ${argv === NPM ? 'npm' : 'bun'}`;
    test.skipIf(noEngine !== '')(
      `${when} (${how})${noEngine}`,
      async () => {
        const demo = startDemo(argv, {}, checkout());
        await until(demo);
        send(demo.pid, signal);
        if (againMs !== undefined) {
          await sleep(againMs);
          send(demo.pid, signal);
        }
        const code = await demo.exited;
        expect([code, demo.said()]).toEqual([130, expect.stringContaining('Interrupted: cleaning up')]);
        expect(demo.said().match(/Interrupted: cleaning up/g)).toHaveLength(1);
        await expectNothingLeft(demo);
      },
      WITHIN_MS,
    );
  }

  test.skipIf(noEngine !== '')(
    `by a reader that goes away: npm run demo | head${noEngine}`,
    async () => {
      const demo = startDemo([
        'bash',
        '-c',
        `set -o pipefail; '${process.execPath}' scripts/demo.ts | head -3`,
      ]);
      await demo.exited;
      expect(typed(demo.said())).toEqual([]);
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );
});

describe('fails half-way', () => {
  test(
    'when there is no fireworker for the VMs',
    async () => {
      const demo = startDemo(BUN, { BOREALIS_FIREWORKER: '/nonexistent/fireworker' });
      const code = await demo.exited;
      expect([code, demo.said()]).toEqual([
        1,
        expect.stringContaining('BOREALIS_FIREWORKER=/nonexistent/fireworker: there is no such file'),
      ]);
      expect(typed(demo.said())).toEqual(['borealisctl sandbox up --detach']);
      expect(demo.said()).toContain('error: `borealisctl sandbox up --detach` failed with exit code 1');
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );

  test(
    'when there is no temporary folder',
    async () => {
      const demo = startDemo(BUN, { TMPDIR: '/dev/null' });
      const code = await demo.exited;
      expect([code, demo.said()]).toEqual([1, expect.stringMatching(/^error: .*\/dev\/null/)]);
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );

  test.skipIf(noEngine !== '')(
    `when its Engine is killed while VMs fly${noEngine}`,
    async () => {
      const demo = startDemo(BUN);
      await demo.says(FLYING);
      process.kill((await ownDockerd()) ?? Number.NaN, 'SIGKILL');
      expect([await demo.exited, demo.said()]).toEqual([
        1,
        expect.stringContaining('error: the Docker Engine has died'),
      ]);
      await expectNothingLeft(demo);
    },
    WITHIN_MS,
  );
});

test.skipIf(noEngine !== '')(
  `what a killed demo left, the next one puts away${noEngine}`,
  async () => {
    const killed = startDemo(BUN);
    await killed.says(FLYING);
    process.kill(killed.pid, 'SIGKILL');
    // Its children hold the pipes until they are gone: the next one ends them.
    const next = startDemo(BUN, { BOREALIS_FIREWORKER: '/nonexistent/fireworker' });
    expect([await next.exited, await killed.exited]).toEqual([1, 137]);
    await expectNothingLeft(killed);
  },
  WITHIN_MS,
);
