/**
 * Staging of DockerTasks: ours against borealis's Python CloudStorage, on the same server. What they store and fetch lies in memory,
 * for the disk's writing of one side's bytes would slow the other; and the server does as little as it can, for the real one takes
 * nothing of the worker's machine: objects have no MD5 (both clients check CRC32C), and one large file that goes up is checked and
 * forgotten (storage_sink.ts).
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Storage } from '../core/cloud/storage.ts';
import { silent } from '../core/log.ts';
import { openDepot } from '../daemon/docker/depot.ts';
import { Staging } from '../daemon/docker/staging.ts';
import { python } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';

const PACKAGE = 'borealis-fireworks==0.12.0';

interface Load {
  name: string;
  about: string;
  unit: string;
  /** What is transferred, in the unit's things. */
  amount: number;
  /** Of one copy. */
  bytes: number;
  /** What goes up is checked and forgotten by the server. */
  forgotten?: boolean;
  /** Takes minutes on a busy machine. */
  onRequest?: boolean;
  fill(folder: string): Promise<void>;
}

const MB = 1_000_000;

const LOADS: Load[] = [
  {
    name: 'tree',
    about: '1,000 files of 10 kB in 10 folders',
    unit: 'files/s',
    amount: 1000,
    bytes: 1000 * 10_000,
    async fill(folder) {
      for (let i = 0; i < 1000; i++) {
        await mkdir(join(folder, String(i % 10)), { recursive: true });
        await writeFile(join(folder, String(i % 10), String(i)), Buffer.alloc(10_000, String(i)));
      }
    },
  },
  {
    name: '1gb',
    about: 'one file of 1 GB',
    onRequest: true,
    unit: 'MB/s',
    amount: 1000,
    bytes: 1000 * MB,
    forgotten: true,
    async fill(folder) {
      await using file = await open(join(folder, 'large'), 'w');
      for (let i = 0; i < 100; i++) await file.write(Buffer.alloc(10 * MB, `piece ${i}`));
    },
  },
];

/** The peer's package beside the Python that has what it needs; null where it cannot be had. */
async function peerPackage(): Promise<string | null> {
  if (!python) return null;
  const folder = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis', PACKAGE);
  if (!existsSync(folder)) {
    // Without what it needs for logs and Docker: storage alone is used.
    const argv = [python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, PACKAGE];
    if ((await Bun.spawn(argv, { stdio: ['ignore', 'ignore', 'inherit'] }).exited) !== 0) return null;
  }
  return folder;
}

const MEMORY = '/dev/shm';

/** A folder in memory; on the disk where there is no room: four copies, and as much to work with. */
async function newFolder(bytes: number): Promise<string> {
  const free = await statfs(MEMORY).then(
    ({ bavail, bsize }) => Math.min(bavail * bsize, freemem()),
    () => 0,
  );
  const inMemory = free > 8 * bytes;
  if (!inMemory)
    console.error(`bench: no room for ${(8 * bytes) / MB} MB in ${MEMORY}: the disk is measured with it`);
  return await mkdtemp(join(inMemory ? MEMORY : tmpdir(), 'staging-bench-'));
}

function staging(load: Load, way: 'up' | 'down'): Bench {
  return {
    name: `staging-${load.name}-${way}`,
    about: `${load.about}, ${way === 'up' ? 'stored' : 'fetched'}; peer: CloudStorage of ${PACKAGE}`,
    unit: load.unit,
    repeats: 3,
    onRequest: load.onRequest,
    async open() {
      const dir = await newFolder(load.bytes);
      const program = load.forgotten && way === 'up' ? 'storage_sink.ts' : 'storage_server.ts';
      const server = Bun.spawn([process.execPath, resolve(import.meta.dir, program), join(dir, 'server')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const { value } = await server.stdout.getReader().read();
      const address = new TextDecoder().decode(value).trim();
      const source = join(dir, 'source');
      await mkdir(source);
      await load.fill(source);
      const storage = () => new Storage({ metadataHost: '', storage: new URL(address) });
      const library = await peerPackage();
      let run = 0;
      if (way === 'down') await storage().uploadTree(source, 'sandbox', 'stored/tree/');

      async function ours(): Promise<number> {
        const prefix = way === 'up' ? `ours-${run++}` : 'stored';
        await using task = await Staging.open(join(dir, 'task'), {
          inputs: way === 'down' ? ['/wc/tree/'] : [],
          outputs: way === 'up' ? ['/wc/tree/'] : [],
          internalPrefix: '/wc',
          storagePrefix: `sandbox/${prefix}`,
          stamp: '',
          owner: { launchPad: '', fwId: 1, launchId: 1, taskIndex: 0 },
          depot: await openDepot(dir, { fetchCacheBytes: 0, storeRetryMs: 0, log: silent }),
          log: silent,
        });
        for (const { local } of task.outputs) await load.fill(local);
        const start = performance.now();
        if (way === 'down') await task.fetchInputs(storage(), new AbortController().signal);
        else await task.store(storage(), task.outputs);
        return load.amount / ((performance.now() - start) / 1000);
      }

      async function peer(): Promise<number> {
        const prefix = way === 'up' ? `sandbox/peer-${run++}` : 'sandbox/stored';
        const folder = way === 'up' ? source : join(dir, 'back');
        const child = Bun.spawn(
          [python as string, resolve(import.meta.dir, 'peer_staging.py'), way, folder, prefix],
          {
            env: {
              PATH: process.env.PATH,
              HOME: dir,
              PYTHONPATH: library as string,
              STORAGE_EMULATOR_HOST: address,
            },
            stdio: ['ignore', 'pipe', 'inherit'],
          },
        );
        const said = await new Response(child.stdout).text();
        if ((await child.exited) !== 0) throw new Error(`peer_staging.py ${way} failed`);
        await rm(join(dir, 'back'), { recursive: true, force: true });
        return load.amount / Number(said);
      }

      return {
        ours,
        peer: library ? peer : null,
        async [Symbol.asyncDispose]() {
          server.kill();
          await server.exited;
          await rm(dir, { recursive: true, force: true });
        },
      };
    },
  };
}

export const benches: Bench[] = LOADS.flatMap((load) => [staging(load, 'up'), staging(load, 'down')]);
