/** A container's output: ours into a file and a log, line by line, against docker-py's `logs(stream=True)`, on the same Engine. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loggerTo } from '../core/log.ts';
import { Captures } from '../daemon/docker/capture.ts';
import { runContainer } from '../daemon/docker/container.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { mapPath } from '../daemon/docker/paths.ts';
import { LoggedOutput } from '../daemon/lines.ts';
import { dockerEngine, importImage } from '../scripts/docker_engine.ts';
import { python } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';

const IMAGE = 'borealis-bench-output:1';
const PACKAGE = 'docker==7.1.0';

interface Load {
  name: string;
  about: string;
  line: string;
  bytes: number;
}

const LOADS: Load[] = [
  { name: 'lines', about: 'lines of 80 characters', line: 'x'.repeat(79), bytes: 40_000_000 },
  { name: 'short-lines', about: 'lines of 8 characters', line: 'x'.repeat(7), bytes: 8_000_000 },
];

/** The peer's package beside the Python that has what it needs; null where it cannot be had. */
async function peerPackage(): Promise<string | null> {
  if (!python) return null;
  const folder = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis', PACKAGE);
  if (!existsSync(folder)) {
    const argv = [python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, PACKAGE];
    if ((await Bun.spawn(argv, { stdio: ['ignore', 'ignore', 'inherit'] }).exited) !== 0) return null;
  }
  return folder;
}

/** What a task does with its output. Returns MB/s, from the first byte to the last. */
async function ours(engine: Engine, folder: string, command: string[], bytes: number): Promise<number> {
  const staged = { ...mapPath('>/w/said', '/w', ''), local: join(folder, 'said') };
  await using captures = await Captures.open([staged], '');
  let lines = 0;
  const logged = new LoggedOutput(loggerTo([() => void lines++]));
  let [first, last] = [0, 0];
  await runContainer(
    engine,
    { image: IMAGE, command, user: '0:0', mounts: [], labels: {}, network: 'none' },
    {
      signal: new AbortController().signal,
      graceMs: 1000,
      log: loggerTo([]),
      async onOutput(piece) {
        first ||= performance.now();
        await captures.write(piece);
        logged.write(piece);
        last = performance.now();
      },
    },
  );
  logged.end();
  await captures.end('');
  if (Bun.file(staged.local).size !== bytes || lines === 0) throw new Error('some output is missing');
  return bytes / 1e3 / (last - first);
}

async function theirs(packages: string, host: string, command: string[], bytes: number): Promise<number> {
  const child = Bun.spawn([python as string, join(import.meta.dir, 'peer_docker.py'), IMAGE, ...command], {
    env: { PATH: process.env.PATH, PYTHONPATH: packages, DOCKER_HOST: host },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [came, seconds] = (await new Response(child.stdout).text()).trim().split(' ').map(Number);
  if ((await child.exited) !== 0 || came !== bytes || !seconds) throw new Error('the peer failed');
  return bytes / 1e6 / seconds;
}

const benchOf = ({ name, about, line, bytes }: Load): Bench => ({
  name: `docker-output-${name}`,
  about: `${bytes / 1e6} MB of output in ${about}; peer: docker-py's logs(stream=True)`,
  unit: 'MB/s',
  repeats: 3,
  async open() {
    await using opened = new AsyncDisposableStack();
    const docker = await dockerEngine({ say: console.error, without: 'nothing is measured' });
    if (!docker) throw new Error('There is no Docker Engine');
    opened.defer(() => docker.stop());
    opened.defer(await importImage(docker.host, IMAGE));
    const engine = opened.use(await Engine.open({ DOCKER_HOST: docker.host }));
    const folder = await mkdtemp(join(tmpdir(), 'borealis-bench-'));
    opened.defer(() => rm(folder, { recursive: true }));
    const packages = await peerPackage();
    const command = ['sh', '-c', `yes ${line} | head -c ${bytes}`];
    const kept = opened.move();
    return {
      ours: () => ours(engine, folder, command, bytes),
      peer: packages === null ? null : () => theirs(packages, docker.host, command, bytes),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  },
});

export const benches: Bench[] = LOADS.map(benchOf);
