/** One container's life on a real Docker Engine: by TLS, through restarts of the Engine, without memory, removed by others. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogLine, loggerTo } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import { Captures } from '../daemon/docker/capture.ts';
import {
  type ContainerSpec,
  type Ended,
  type RunOptions,
  runContainer,
  StartError,
} from '../daemon/docker/container.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { LABELS, removeLeftovers } from '../daemon/docker/leftovers.ts';
import { mapPath } from '../daemon/docker/paths.ts';
import { LoggedOutput } from '../daemon/lines.ts';
import { until } from '../daemon/test_worker.ts';
import { fragileEngine, importImage } from '../scripts/docker_engine.ts';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const why = await Engine.open({ DOCKER_HOST: host }).then(
  async (engine) => void (await engine[Symbol.asyncDispose]()),
  (thrown: Error) => ` (${thrown.message})`,
);
const withEngine = test.skipIf(why !== undefined);
const root = process.getuid?.() === 0 && Bun.which('dockerd') !== null;
const withOwnEngine = test.skipIf(!root);
const ownEngines = root ? '' : ' (needs root and dockerd)';
const IMAGE = `borealis-engine-${process.pid}:1`;
const LIMIT = 60 * SECOND;
const MIB = 2 ** 20;

let engine: Engine;
let dropImage = async () => {};
beforeAll(async () => {
  if (why !== undefined) return;
  engine = await Engine.open({ DOCKER_HOST: host });
  dropImage = await importImage(host, IMAGE);
}, LIMIT);
afterAll(async () => {
  if (why !== undefined) return;
  await dropImage();
  await engine[Symbol.asyncDispose]();
}, LIMIT);

/** A container with a shell script, as it runs: what it printed, what was logged, and its end. */
function running(
  on: Engine,
  script: string,
  spec: Partial<ContainerSpec> = {},
  options: Partial<RunOptions> = {},
) {
  const said: LogLine[] = [];
  let printed = '';
  const label = crypto.randomUUID();
  const ended = runContainer(
    on,
    {
      image: IMAGE,
      command: ['sh', '-c', script],
      user: `${process.getuid?.()}:${process.getgid?.()}`,
      mounts: [],
      labels: { 'borealis.test': label },
      network: 'none',
      ...spec,
    },
    {
      signal: new AbortController().signal,
      graceMs: SECOND,
      log: loggerTo([(line) => void said.push(line)]),
      onOutput(bytes) {
        printed += Buffer.from(bytes).toString();
      },
      ...options,
    },
  );
  // Its failure is the test's to look at, when it comes to it.
  ended.catch(() => {});
  return {
    ended,
    said,
    printed: () => printed,
    prints: (text: string) => until(text, () => printed.includes(text), 20 * SECOND),
    /** The Engine's list of it. */
    async listed(): Promise<string[]> {
      const filters = encodeURIComponent(JSON.stringify({ label: [`borealis.test=${label}`] }));
      const found = (await on.request('GET', `/containers/json?all=true&filters=${filters}`)) as {
        Id: string;
      }[];
      return found.map(({ Id }) => Id);
    },
  };
}

const usual: Partial<Ended> = { stoppedBy: null, outOfMemory: false, removed: false };

describe(`a container${why ?? ''}`, () => {
  withEngine(
    'its exit code, its output to the last byte, and nothing is left',
    async () => {
      const one = running(engine, 'echo out; sleep 0.2; echo err >&2; sleep 0.2; printf last; exit 3');
      expect(await one.ended).toMatchObject({ ...usual, exitCode: 3 });
      expect([one.printed(), await one.listed()]).toEqual(['out\nerr\nlast', []]);
    },
    LIMIT,
  );

  withEngine(
    'options: environment, folder, entrypoint, memory, cpus, shared memory, network',
    async () => {
      const script = 'echo "$A|$B|$PWD"; df -k /dev/shm | tail -1; ls /sys/class/net; cat /proc/self/cgroup';
      const one = running(engine, '', {
        entrypoint: ['sh', '-c'],
        command: [script],
        env: { A: 'a b', B: '' },
        workdir: '/tmp/deep',
        memoryBytes: 64 * MIB,
        cpus: 0.5,
        shmBytes: 8 * MIB,
      });
      let host: Record<string, unknown> = {};
      await until('its settings', async () => {
        const [id] = await one.listed();
        const found = id && (await engine.request('GET', `/containers/${id}/json`).catch(() => null));
        if (found) host = (found as { HostConfig: Record<string, unknown> }).HostConfig;
        return found;
      });
      expect((await one.ended).exitCode).toBe(0);
      expect(one.printed()).toMatch(/^a b\|\|\/tmp\/deep\n\S+ +8192 [^\n]*\nlo\n/);
      expect(host).toMatchObject({ Memory: 64 * MIB, MemorySwap: 64 * MIB, NanoCpus: 5e8, ShmSize: 8 * MIB });
    },
    LIMIT,
  );

  const cannot: [string, Partial<ContainerSpec>, number, RegExp][] = [
    [
      'no such program',
      { command: ['nothing'] },
      127,
      /Is the first word of `command` a program of the image\? \(exit code 127\)$/,
    ],
    [
      'no program',
      { command: ['/tmp'] },
      126,
      /Is the first word of `command` a program, .* \(exit code 126\)$/,
    ],
    [
      'GPUs that are not there',
      { gpus: 'all' },
      125,
      /GPUs need a VM that has them, with the NVIDIA container toolkit/,
    ],
    [
      'a network that is not there',
      { network: 'no-such' },
      125,
      /^The container cannot start: .*no-such.* \(exit code 125\)$/,
    ],
    ['too little memory', { memoryBytes: 1000 }, 125, /[Mm]inimum memory limit/],
    [
      'a folder that is not there',
      { mounts: [{ source: '/nowhere', target: '/x' }] },
      125,
      /Do the task and the Docker Engine share a file system\?/,
    ],
  ];
  withEngine.each(cannot)(
    'cannot start: %s',
    async (_, spec, code, message) => {
      const one = running(engine, 'true', spec);
      const thrown = await one.ended.catch((e) => e);
      expect(thrown).toBeInstanceOf(StartError);
      expect([thrown.code, await one.listed()]).toEqual([code, []]);
      expect(thrown.message).toMatch(message);
    },
    LIMIT,
  );

  withEngine(
    'stopped: SIGTERM, and SIGKILL for what does not listen',
    async () => {
      const signal = AbortSignal.timeout(1500);
      const polite = running(
        engine,
        'trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.05; done',
        {},
        { signal },
      );
      const deaf = running(
        engine,
        'trap "" TERM; echo up; while :; do sleep 0.05; done',
        {},
        { signal, graceMs: 300 },
      );
      await polite.prints('up');
      await deaf.prints('up');
      expect(await polite.ended).toMatchObject({ ...usual, exitCode: 7, stoppedBy: 'SIGTERM' });
      expect(polite.printed()).toEndWith('bye\n');
      expect(await deaf.ended).toMatchObject({ ...usual, exitCode: 137, stoppedBy: 'SIGKILL' });
      expect(deaf.said.map(({ message }) => message)).toEqual([
        'Stopping the container: SIGTERM now, SIGKILL in 0.3 s',
        'SIGTERM did not end the container in time: SIGKILL',
      ]);
    },
    LIMIT,
  );

  withEngine(
    'when there is no time, SIGKILL at once',
    async () => {
      const [stop, hurry] = [new AbortController(), new AbortController()];
      const options = { signal: stop.signal, hastened: hurry.signal, graceMs: LIMIT };
      const one = running(engine, 'trap "" TERM; echo up; while :; do sleep 0.05; done', {}, options);
      await one.prints('up');
      stop.abort(new Error('stop'));
      hurry.abort();
      expect(await one.ended).toMatchObject({ exitCode: 137, stoppedBy: 'SIGKILL' });
    },
    LIMIT,
  );

  withEngine(
    'out of memory: itself, a child of it, and not at all',
    async () => {
      const big = "x=$(head -c 100000000 /dev/zero | tr '\\0' a); sleep 2; echo still here";
      const itself = running(engine, big, { memoryBytes: 32 * MIB });
      expect(await itself.ended).toMatchObject({
        exitCode: 137,
        outOfMemory: true,
        peakMemoryBytes: 32 * MIB,
      });
      const parent = () =>
        running(engine, `sh -c "$BIG"; echo child $?; exit 5`, { memoryBytes: 32 * MIB, env: { BIG: big } });
      let child = parent();
      // Now and then the kernel takes the parent as well, while the child's memory is not back yet: that is its choice.
      for (let again = 0; again < 3 && (await child.ended).exitCode === 137; again++) child = parent();
      expect(await child.ended).toMatchObject({ exitCode: 5, outOfMemory: true, peakMemoryBytes: 32 * MIB });
      expect(child.printed()).toContain('child 137');
      const { peakMemoryBytes, ...rest } = await running(engine, big).ended;
      expect(rest).toEqual({ exitCode: 0, stoppedBy: null, outOfMemory: false, removed: false });
      expect(peakMemoryBytes).toBeGreaterThan(50 * MIB);
    },
    LIMIT,
  );

  withEngine(
    'removed by somebody else, and killed by somebody else',
    async () => {
      const removed = running(engine, 'echo up; sleep 600');
      await removed.prints('up');
      await engine.request('DELETE', `/containers/${(await removed.listed())[0]}?force=true`);
      expect(await removed.ended).toMatchObject({ exitCode: 137, removed: true, stoppedBy: null });
      const killed = running(engine, 'echo up; sleep 600');
      await killed.prints('up');
      await engine.request('POST', `/containers/${(await killed.listed())[0]}/kill`);
      expect(await killed.ended).toMatchObject({ ...usual, exitCode: 137 });
    },
    LIMIT,
  );

  withEngine(
    'what cannot take its output ends it',
    async () => {
      const onOutput = () => Promise.reject(new Error('the disk is full'));
      const one = running(engine, 'while :; do echo line; done', {}, { onOutput });
      await expect(one.ended).rejects.toThrow('the disk is full');
      expect(await one.listed()).toEqual([]);
    },
    LIMIT,
  );

  withEngine(
    'much output: into a file byte for byte, into the log line by line, in flat memory, also when it is read slowly',
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'output-'));
      try {
        let [lines, longest] = [0, 0];
        const log = loggerTo([
          ({ message }) => {
            lines++;
            longest = Math.max(longest, message.length);
          },
        ]);
        /** A line of so many bytes, lines of ten characters, and bytes that are no UTF-8. Returns the most memory it took. */
        const takeIn = async (line: number, short: number): Promise<number> => {
          const staged = { ...mapPath('>/w/said', '/w', ''), local: join(dir, 'said') };
          await using captures = await Captures.open([staged], '');
          const logged = new LoggedOutput(log);
          let [most, slow] = [0, 0];
          const onOutput = async (piece: Uint8Array) => {
            await captures.write(piece);
            logged.write(piece);
            most = Math.max(most, process.memoryUsage.rss());
            // At first slower than the container by far.
            if (slow++ < 100) await Bun.sleep(2);
          };
          const script = `head -c ${line} /dev/zero | tr "\\0" x; echo; yes 0123456789 | head -c ${short}; printf "\\377\\376 odd\\n"`;
          const one = running(engine, script, {}, { onOutput });
          expect((await one.ended).exitCode).toBe(0);
          logged.end();
          await captures.end('');
          expect(Bun.file(staged.local).size).toBe(line + 1 + short + 7);
          const end = Bun.file(staged.local).slice(line + 1 + short);
          expect(Buffer.from(await end.bytes()).toString('latin1')).toBe('\xff\xfe odd\n');
          return most;
        };
        Bun.gc(true);
        const before = process.memoryUsage.rss();
        const most = await takeIn(450_000_000, 55_000_000);
        expect(lines).toBeGreaterThan(5_000_000);
        expect(longest).toBeLessThanOrEqual(64 * 1024);
        // What is free again is not given back at once; but half of it was never there together.
        expect(most - before).toBeLessThan(250e6);
      } finally {
        await rm(dir, { recursive: true });
      }
    },
    LIMIT,
  );

  withEngine(
    'leftovers of an earlier life of this worker are removed; what a living worker has is not',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'leftovers-'));
      await Bun.write(join(folder, 'alive'), '');
      const worker = crypto.randomUUID();
      const own = { launchpad: 'pad', worker, host: 'here' };
      const make = async (labels: Record<string, string>) => {
        const Labels = {
          [LABELS.launchpad]: 'pad',
          [LABELS.worker]: worker,
          [LABELS.host]: 'here',
          ...labels,
        };
        const body = { Image: IMAGE, Cmd: ['sleep', '600'], Labels };
        return ((await engine.request('POST', '/containers/create', { body })) as { Id: string }).Id;
      };
      const dead = await make({ [LABELS.guard]: join(folder, 'dead'), [LABELS.fwId]: '7' });
      await engine.request('POST', `/containers/${dead}/start`);
      const others = [
        await make({ [LABELS.guard]: join(folder, 'alive') }),
        await make({ [LABELS.guard]: join(folder, 'dead'), [LABELS.worker]: `${worker}-2` }),
        await make({ [LABELS.guard]: join(folder, 'dead'), [LABELS.host]: 'there' }),
      ];
      try {
        const said: string[] = [];
        expect(
          await removeLeftovers(engine, own, { log: loggerTo([(line) => void said.push(line.message)]) }),
        ).toBe(1);
        expect(said).toEqual([
          `Removing container ${dead.slice(0, 12)} of Firework 7, which a dead worker left`,
        ]);
        await expect(engine.request('GET', `/containers/${dead}/json`)).rejects.toThrow('No such container');
        for (const id of others) await engine.request('GET', `/containers/${id}/json`);
      } finally {
        for (const id of others) await engine.request('DELETE', `/containers/${id}?force=true`);
        await rm(folder, { recursive: true });
      }
    },
    LIMIT,
  );
});

describe(`an Engine that is restarted while a container runs${ownEngines}`, () => {
  const COUNT = 'for i in $(seq 1 40); do echo "line $i"; sleep 0.1; done; exit 4';
  const cases: [string, string[], 'kill' | 'end'][] = [
    ['crashes, with live-restore', ['--live-restore'], 'kill'],
    ['ends, with live-restore', ['--live-restore'], 'end'],
  ];
  withOwnEngine.each(cases)(
    'it %s: the container goes on, and its end is known',
    async (_, args, how) => {
      await using own = await fragileEngine({ args });
      if (!own) throw new Error('no Engine');
      await importImage(own.host, IMAGE);
      await using on = await Engine.open({ DOCKER_HOST: own.host });
      const one = running(on, COUNT);
      await one.prints('line 3\n');
      await own[how]();
      await own.startAgain();
      expect(await one.ended).toMatchObject({ ...usual, exitCode: 4 });
      expect(one.printed()).toContain('line 40\n');
      const said = one.said.map(({ message }) => message);
      const all = [
        'The Docker Engine went away while the container runs: waiting for it to come back',
        'The Docker Engine is back, the container still runs. Some of its output may be missing',
      ];
      // One that ends waits some seconds for those that are attached (26): the container may be over first.
      expect(said).toEqual(how === 'kill' ? all : all.slice(0, said.length));
      expect(await one.listed()).toEqual([]);
    },
    LIMIT,
  );

  withOwnEngine(
    'it crashes, with live-restore, and the container ends meanwhile: its exit code is known',
    async () => {
      await using own = await fragileEngine({ args: ['--live-restore'] });
      if (!own) throw new Error('no Engine');
      await importImage(own.host, IMAGE);
      await using on = await Engine.open({ DOCKER_HOST: own.host });
      const one = running(on, 'echo up; sleep 0.5; exit 5');
      await one.prints('up');
      await own.kill();
      await Bun.sleep(1000);
      await own.startAgain();
      expect(await one.ended).toMatchObject({ ...usual, exitCode: 5 });
    },
    LIMIT,
  );

  withOwnEngine(
    'it crashes, without live-restore: the container ends with it, and that is no success',
    async () => {
      await using own = await fragileEngine();
      if (!own) throw new Error('no Engine');
      await importImage(own.host, IMAGE);
      await using on = await Engine.open({ DOCKER_HOST: own.host });
      const one = running(on, COUNT);
      await one.prints('line 3\n');
      await own.kill();
      await own.startAgain();
      expect(await one.ended).toMatchObject({ ...usual, exitCode: null });
      expect(one.printed()).not.toContain('line 40\n');
    },
    LIMIT,
  );

  withOwnEngine(
    'it ends, without live-restore: the container is stopped before',
    async () => {
      await using own = await fragileEngine();
      if (!own) throw new Error('no Engine');
      await importImage(own.host, IMAGE);
      await using on = await Engine.open({ DOCKER_HOST: own.host });
      const one = running(on, `trap 'echo stopped; exit 143' TERM; ${COUNT}`);
      await one.prints('line 3\n');
      const ending = own.end();
      await one.prints('stopped');
      await ending;
      await own.startAgain();
      expect([143, null]).toContain((await one.ended).exitCode);
    },
    LIMIT,
  );
});

/** A certificate authority, and what it signed for a server on 127.0.0.1 and for a client. */
async function certificates(dir: string): Promise<void> {
  const script = `
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem
    for who in server client; do
      openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who-key.pem -out $who.csr
      [ $who = server ] && ext='subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth' || ext='extendedKeyUsage=clientAuth'
      printf "$ext\n" > $who.ext
      openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $who.ext -out $who.pem
    done
    mkdir client && cp ca.pem client/ && cp client.pem client/cert.pem && cp client-key.pem client/key.pem
    mkdir stranger && cp ca.pem stranger/`;
  const made = Bun.spawnSync(['sh', '-ec', script], { cwd: dir, stderr: 'pipe' });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
}

const openssl = Bun.which('openssl') !== null;
test.skipIf(!root || !openssl)(
  `an Engine on tcp with TLS${root && openssl ? '' : ' (needs root, dockerd and openssl)'}`,
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tls-'));
    try {
      await certificates(dir);
      const probe = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
      const { port } = probe;
      probe.stop(true);
      const args = ['--host', `tcp://127.0.0.1:${port}`, '--tlsverify'].concat(
        ['--tlscacert', join(dir, 'ca.pem')],
        ['--tlscert', join(dir, 'server.pem')],
        ['--tlskey', join(dir, 'server-key.pem')],
      );
      await using own = await fragileEngine({ args });
      if (!own) throw new Error('no Engine');
      await importImage(own.host, IMAGE);
      const DOCKER_HOST = `tcp://127.0.0.1:${port}`;
      const env = { DOCKER_HOST, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: join(dir, 'client') };
      await using on = await Engine.open(env);
      const one = running(on, 'seq 1 20000; exit 6');
      expect((await one.ended).exitCode).toBe(6);
      expect(one.printed().trimEnd().split('\n')).toHaveLength(20_000);
      const stop = new AbortController();
      const stopped = running(
        on,
        'trap "exit 0" TERM; echo up; while :; do sleep 0.05; done',
        {},
        { signal: stop.signal },
      );
      await stopped.prints('up');
      stop.abort(new Error('stop'));
      expect((await stopped.ended).stoppedBy).toBe('SIGTERM');

      await expect(Engine.open({ DOCKER_HOST })).rejects.toThrow(/cannot be used: .*HTTPS/i);
      const stranger = { ...env, DOCKER_CERT_PATH: join(dir, 'stranger') };
      await expect(Engine.open(stranger)).rejects.toThrow(/^No Docker Engine answers at 127\.0\.0\.1:\d+: /);
      // Another authority than the one that signed the Engine's certificate.
      await rm(join(dir, 'client/ca.pem'));
      await Bun.write(join(dir, 'client/ca.pem'), Bun.file(join(dir, 'client.pem')));
      await expect(Engine.open(env)).rejects.toThrow(/certificate/);
      const unchecked = { DOCKER_HOST, DOCKER_TLS: '1', DOCKER_CERT_PATH: join(dir, 'client') };
      await using trusting = await Engine.open(unchecked);
      expect(await trusting.request('GET', '/_ping', { text: true })).toBe('OK');
    } finally {
      await rm(dir, { recursive: true });
    }
  },
  LIMIT,
);
