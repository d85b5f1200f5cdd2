/** For tests: a cloud in a folder of its own, gone at the end of the block that it is made in. Not part of the program. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Gcp, type GcpOptions, startGcp } from './index.ts';

export interface TestCloud extends Gcp, AsyncDisposable {
  dir: string;
  /** http://127.0.0.1:PORT */
  origin: string;
  /** The URL of the zone in Compute. */
  zone: string;
  /** One request; a `body` that is an object is sent as JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The same; its answer as JSON. */
  json(method: string, path: string, body?: unknown): Promise<Json>;
  /** Creates a VM and returns when it runs. */
  boot(name: string, attributes?: Record<string, string>, more?: Json): Promise<void>;
}

export type Json = Record<string, unknown>;

/** A program that lives until it is told to end: all that most tests ask of a worker. */
export const IDLE_WORKER = ['sh', '-c', 'exec sleep 600'];
/** One whose manners the VM's attribute `mode` chooses: see test_worker.ts. */
export const TEST_WORKER = [process.execPath, resolve(import.meta.dir, 'test_worker.ts')];

export async function testCloud(o: Partial<GcpOptions> = {}): Promise<TestCloud> {
  const dir = await mkdtemp(join(tmpdir(), 'gcp-'));
  const gcp = await startGcp({
    dir,
    fireworker: IDLE_WORKER,
    launchpadFile: 'host: 127.0.0.1\n',
    graceMs: 2000,
    ...o,
  });
  const origin = `http://127.0.0.1:${gcp.port}`;
  const zone = `${origin}/compute/v1/projects/sandbox/zones/us-west1-b`;
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(path.startsWith('http') ? path : origin + path, {
      method,
      headers,
      ...(body !== undefined && {
        body:
          typeof body === 'string'
            ? body
            : body instanceof Uint8Array
              ? Uint8Array.from(body)
              : JSON.stringify(body),
      }),
    });
  const json = async (method: string, path: string, body?: unknown) =>
    (await (await call(method, path, body)).json()) as Json;
  return Object.assign(gcp, {
    dir,
    origin,
    zone,
    call,
    json,
    async boot(name: string, attributes: Record<string, string> = {}, more: Json = {}) {
      const operation = await json('POST', `${zone}/instances`, vmBody(name, attributes, more));
      const done = await json('POST', `${zone}/operations/${operation.name}/wait`);
      if (done.error) throw new Error(JSON.stringify(done.error));
    },
    async [Symbol.asyncDispose]() {
      await gcp.stop(1000);
      await rm(dir, { recursive: true, force: true });
    },
  });
}

/** The body of instances.insert. */
export function vmBody(name: string, attributes: Record<string, string> = {}, more: Json = {}): Json {
  return {
    name,
    machineType: 'zones/us-west1-b/machineTypes/n1-standard-1',
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: { sourceImage: 'projects/sandbox/global/images/family/fireworker' },
      },
    ],
    networkInterfaces: [{ network: 'global/networks/default', accessConfigs: [{ name: 'external-nat' }] }],
    metadata: { items: Object.entries(attributes).map(([key, value]) => ({ key, value })) },
    ...more,
  };
}

/** Waits until something is true, which a test then need not time. */
export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await what()); ) {
    if (Date.now() > end) throw new Error(`it never came true: ${what}`);
    await Bun.sleep(5);
  }
}
