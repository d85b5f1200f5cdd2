/**
 * Staging with what is large or not ours: a tree of 20,000 files, a file of 1 GB in flat memory, and a third party's server,
 * fake-gcs-server, which is built from its source where Go is.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Storage } from '../core/cloud/storage.ts';
import { silent } from '../core/log.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import { openDepot } from '../daemon/docker/depot.ts';
import { Staging } from '../daemon/docker/staging.ts';
import { builtFakeGcsServer } from '../scripts/fake_gcs_server.ts';
import { until } from './one_machine.ts';

const never = new AbortController().signal;
let dir: string;
let server: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
let address: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'staging-e2e-'));
  const script = resolve(import.meta.dir, '..', 'bench', 'storage_server.ts');
  server = Bun.spawn([process.execPath, script, join(dir, 'server')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { value } = await server.stdout.getReader().read();
  address = new TextDecoder().decode(value).trim();
});
afterAll(async () => {
  server.kill();
  await server.exited;
  await rm(dir, { recursive: true, force: true });
});

const storageAt = (where: string) => new Storage({ metadataHost: '', storage: new URL(where) });

async function task(name: string, paths: { inputs?: string[]; outputs?: string[] }): Promise<Staging> {
  return await Staging.open(join(dir, name), {
    inputs: paths.inputs ?? [],
    outputs: paths.outputs ?? [],
    internalPrefix: '/wc',
    storagePrefix: 'sandbox/run',
    stamp: '',
    owner: { launchPad: '', fwId: 1, launchId: 1, taskIndex: 0 },
    depot: await openDepot(join(dir, 'depot'), { fetchCacheBytes: 100e6, storeRetryMs: SECOND, log: silent }),
    log: silent,
  });
}

const localOf = (staged: readonly { local: string }[], i = 0) => (staged[i] as { local: string }).local;

test(
  '20,000 files in one tree',
  async () => {
    const storage = storageAt(address);
    await using there = await task('there', { outputs: ['/wc/many/'] });
    const out = localOf(there.outputs);
    for (let i = 0; i < 200; i++) await mkdir(join(out, String(i)));
    for (let i = 0; i < 20_000; i++) await writeFile(join(out, String(i % 200), `file ${i}`), String(i));
    await there.store(storage, there.outputs);
    await using back = await task('back', { inputs: ['/wc/many/'] });
    await back.fetchInputs(storage, never);
    const tree = localOf(back.inputs);
    expect(await readdir(tree, { recursive: true })).toHaveLength(20_200);
    expect(await readFile(join(tree, '199', 'file 19999'), 'utf8')).toBe('19999');
  },
  5 * MINUTE,
);

/** Stores and fetches a file in a process of its own; prints how high its memory was. */
const THERE_AND_BACK = `
import { Storage } from ${JSON.stringify(resolve(import.meta.dir, '..', 'core', 'cloud', 'storage.ts'))};
const [address, from, to] = process.argv.slice(1);
const storage = new Storage({ metadataHost: '', storage: new URL(address) });
await storage.upload(from, 'sandbox', 'large');
await storage.download('sandbox', 'large', to);
console.log(process.resourceUsage().maxRSS);
`;

test(
  'a file of 1 GB goes there and back in flat memory',
  async () => {
    const highest = async (name: string, pieces: number) => {
      const [from, to] = [join(dir, name), join(dir, `${name}-back`)];
      const file = await open(from, 'w');
      for (let i = 0; i < pieces; i++) await file.write(Buffer.alloc(10e6, `piece ${i}`));
      await file.close();
      const child = Bun.spawn([process.execPath, '-e', THERE_AND_BACK, address, from, to], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const said = await new Response(child.stdout).text();
      expect(await child.exited).toBe(0);
      expect((await stat(to)).size).toBe(pieces * 10e6);
      for (const one of [from, to]) await rm(one);
      return Number(said) / 1e3;
    };
    // Ten times the bytes; megabytes.
    const [small, large] = [await highest('small', 10), await highest('large', 100)];
    expect(large - small).toBeLessThan(250);
    expect(large).toBeLessThan(500);
  },
  5 * MINUTE,
);

const built = builtFakeGcsServer();
const skipped = ' (skipped: not built; see scripts/fake_gcs_server.ts)';
describe(`fake-gcs-server, a third party's${built ? '' : skipped}`, () => {
  test.skipIf(!built)(
    'agrees with us on trees, pieces, permissions, checksums and preconditions',
    async () => {
      const root = join(dir, 'fake-gcs');
      await mkdir(root);
      const port = 20_000 + (process.pid % 20_000);
      const where = `http://127.0.0.1:${port}`;
      const argv = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-external-url', where];
      const fake = Bun.spawn([built as string, ...argv, '-backend', 'memory'], {
        stdio: ['ignore', 'ignore', 'ignore'],
      });
      try {
        await until('fake-gcs-server', () =>
          fetch(`${where}/storage/v1/b`).then(
            ({ ok }) => ok,
            () => false,
          ),
        );
        await fetch(`${where}/storage/v1/b`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ name: 'sandbox' }),
        });
        const quarter = 256 * 1024;
        const storage = new Storage(
          { metadataHost: '', storage: new URL(where) },
          { pieceBytes: quarter, storePieceBytes: quarter },
        );
        const large = Buffer.alloc(2_000_000);
        for (let i = 0; i + 4 <= large.length; i += 4) large.writeUInt32LE((i * 2654435761) >>> 0, i);
        await using there = await task('fake-there', { outputs: ['/wc/out/'] });
        const out = localOf(there.outputs);
        await mkdir(join(out, 'empty'));
        await writeFile(join(out, 'large'), large);
        await writeFile(join(out, 'ü ä'), 'odd');
        await writeFile(join(out, 'tool'), '#!/bin/sh\n');
        await chmod(join(out, 'tool'), 0o755);
        await there.store(storage, there.outputs);
        // Stored again: what is the same stays, what is not is replaced. (Of uploads in pieces it lets pass any precondition.)
        const before = await storage.find('sandbox', 'run/out/tool');
        await writeFile(join(out, 'ü ä'), 'other');
        await there.store(storage, there.outputs);
        expect((await storage.find('sandbox', 'run/out/tool'))?.generation).toBe(
          before?.generation as string,
        );
        for (const name of ['cached', 'cached-again']) {
          await using back = await task(name, { inputs: ['/wc/out/', '/wc/out/tool'] });
          await back.fetchInputs(storage, never);
          const tree = localOf(back.inputs);
          expect((await readdir(tree)).sort()).toEqual(['empty', 'large', 'tool', 'ü ä']);
          expect((await readFile(join(tree, 'large'))).equals(large)).toBe(true);
          expect(await readFile(join(tree, 'ü ä'), 'utf8')).toBe('other');
          expect((await stat(join(tree, 'tool'))).mode & 0o777).toBe(0o755);
        }
        await using gone = await task('gone', { inputs: ['/wc/none', '/wc/nowhere/'] });
        await expect(gone.fetchInputs(storage, never)).rejects.toThrow(
          /gs:\/\/sandbox\/run\/none is not in storage/,
        );
      } finally {
        fake.kill();
        await fake.exited;
      }
    },
    MINUTE,
  );
});
