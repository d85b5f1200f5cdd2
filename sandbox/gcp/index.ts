/** Google Cloud in miniature: Compute, Storage and Logging on one loopback port, a metadata server for each VM. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Server } from 'bun';
import { Compute } from './compute.ts';
import { Faults, faultOf } from './faults.ts';
import { bodyOf, errorAnswer, type Handler, json, Router } from './http.ts';
import { Logging } from './logging.ts';
import { Secrets } from './secrets.ts';
import { Storage } from './storage/index.ts';
import { sweepVms } from './vms.ts';

export interface GcpOptions {
  /** storage/, logs/ and vms/ go here. */
  dir: string;
  /** The worker's program with its first arguments: what a VM boots. */
  fireworker: readonly string[];
  /** Further environment for every VM. */
  env?: Readonly<Record<string, string>>;
  /** The text of my_launchpad.yaml in the VMs' disk image. */
  launchpadFile: string;
  project?: string;
  zone?: string;
  port?: number;
  /** Times of Compute, which a test shortens: see VmWorld. */
  graceMs?: number;
  preemptionMs?: number;
  maintenanceMs?: number;
  runSecondMs?: number;
  /** False: stored objects have no MD5, but CRC32C alone. */
  md5?: boolean;
  /** Told of every request to one of Google's APIs: `POST /compute/v1/projects/...`. */
  onCall?: (call: string, request: Request) => void;
}

export interface Gcp {
  port: number;
  /** The endpoint variables that clients of Google Cloud read. */
  env: Record<string, string>;
  /** Needed to change the sandbox itself: faults, preemption. */
  token: string;
  faults: Faults;
  compute: Compute;
  storage: Storage;
  logging: Logging;
  secrets: Secrets;
  preempt(vm: string): Promise<void>;
  /** Stops the VMs, then the servers. */
  stop(graceMs?: number): Promise<void>;
}

/** From the environment of whoever started the sandbox, VMs get these. */
const PASSED_ON = [
  'PATH',
  'LANG',
  'TZ',
  'TMPDIR',
  'DOCKER_HOST',
  'DOCKER_CONFIG',
  'BOREALIS_TEST_RUN',
  'FIREWORKER_PING_TIME_SECS',
  'FIREWORKER_LOST_RUN_SECS',
  'FIREWORKER_ERROR_DELETE_DELAY',
  'FIREWORKER_PYTHON',
];

export async function startGcp(o: GcpOptions): Promise<Gcp> {
  const { project = 'sandbox', zone = 'us-west1-b', dir } = o;
  await mkdir(dir, { recursive: true });
  await sweepVms(dir);
  const faults = new Faults();
  const token = crypto.randomUUID();
  let server: Server<undefined> | null = null;
  const origin = () => `http://127.0.0.1:${server?.port}`;
  const vmEnv: Record<string, string> = {};
  const compute = new Compute(
    {
      dir,
      fireworker: o.fireworker,
      env: vmEnv,
      launchpadFile: o.launchpadFile,
      project,
      zone,
      graceMs: o.graceMs ?? 90_000,
      preemptionMs: o.preemptionMs ?? 30_000,
      maintenanceMs: o.maintenanceMs ?? 60_000,
      runSecondMs: o.runSecondMs ?? 1000,
    },
    faults,
    origin,
  );
  const storage = new Storage(join(dir, 'storage'), project, origin, o.md5);
  const logging = new Logging(join(dir, 'logs'));
  const secrets = new Secrets(project);
  const router = new Router();
  // Asked first, for most requests are for objects.
  storage.routes(router);
  compute.routes(router);
  logging.routes(router);
  secrets.routes(router);
  ownRoutes(router, token, faults, compute, storage);
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: o.port ?? 0,
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request) {
      const response = await answer(request, router, faults, o.onCall);
      response.headers.set('date', new Date().toUTCString());
      return response;
    },
  });
  const env: Record<string, string> = {
    STORAGE_EMULATOR_HOST: origin(),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${origin()}/compute/v1/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: `${origin()}/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `${origin()}/`,
    CLOUDSDK_CORE_PROJECT: project,
    CLOUDSDK_COMPUTE_ZONE: zone,
  };
  const passedOn = PASSED_ON.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name] as string]],
  );
  Object.assign(vmEnv, Object.fromEntries(passedOn), env, o.env);
  if (!storage.objects.bucket('sandbox')) storage.createBucket({ name: 'sandbox', location: 'us-west1' });
  return {
    port: Number(server.port),
    env,
    token,
    faults,
    compute,
    storage,
    logging,
    secrets,
    preempt: (vm) => compute.preempt(vm),
    async stop(graceMs = 10_000) {
      await compute.stop(graceMs);
      await server?.stop(true);
      storage.objects.close();
    },
  };
}

async function answer(
  request: Request,
  router: Router,
  faults: Faults,
  onCall: GcpOptions['onCall'],
): Promise<Response> {
  // A page in somebody's browser has no business here.
  if (request.headers.has('origin'))
    return errorAnswer(403, 'forbidden', 'Requests from web pages are refused');
  const url = new URL(request.url);
  const path = wholePath(url.pathname);
  const answered = async () =>
    (await router.answer(request, url, path)) ?? errorAnswer(404, 'notFound', `Not Found: ${path}`);
  const service = serviceOf(path);
  if (service) onCall?.(`${request.method} ${path}`, request);
  return service ? await faults.around(service, `${request.method} ${path}`, answered) : await answered();
}

function serviceOf(path: string) {
  if (path.startsWith('/compute/')) return 'compute';
  if (path.startsWith('/v2/')) return 'logging';
  if (/^\/v1\/projects\/[^/]+\/secrets/.test(path)) return 'secrets';
  return path.includes('/storage/') ? 'storage' : null;
}

/**
 * The path of a request, undecoded, for %2F in an object's name is part of one segment. Clients of an override write double
 * slashes. And Google's Node library (7.22) takes STORAGE_EMULATOR_HOST for the address of the whole API: it leaves
 * /storage/v1 out.
 */
function wholePath(pathname: string): string {
  const path = pathname.replace(/\/{2,}/g, '/');
  return /^\/b(\/|$)/.test(path) ? `/storage/v1${path}` : path;
}

/** The sandbox's own doors: what is there, and (with the token) faults and preemption. */
function ownRoutes(router: Router, token: string, faults: Faults, compute: Compute, storage: Storage): void {
  const withToken =
    (handler: Handler): Handler =>
    (call) =>
      call.request.headers.get('x-sandbox-token') === token
        ? handler(call)
        : errorAnswer(403, 'forbidden', 'This needs the token of sandbox.json as X-Sandbox-Token');
  router
    .on('GET', '/sandbox/status', () => {
      const vms = [...compute.vms.values()].map(({ vm }) => ({
        name: vm.name,
        state: vm.state,
        pid: vm.pid,
        metadata: vm.metadataHost,
      }));
      return json({ vms, buckets: storage.objects.buckets().map((bucket) => bucket.name) });
    })
    .on(
      'POST',
      '/sandbox/faults',
      withToken(async ({ request }) => {
        faults.add(faultOf(await bodyOf(request)));
        return json({});
      }),
    )
    .on(
      'DELETE',
      '/sandbox/faults',
      withToken(() => {
        faults.clear();
        return json({});
      }),
    )
    .on(
      'POST',
      '/sandbox/vms/:name/preempt',
      withToken(async ({ params }) => {
        await compute.preempt(params.name ?? '');
        return json({});
      }),
    );
}
