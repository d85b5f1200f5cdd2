/** Images from a real registry, by a real Docker Engine: whose name they are pulled in, and what happens when it is busy or away. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogLine, loggerTo } from '../core/log.ts';
import { SECOND } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { type ImageWorld, type Pull, provideImage } from '../daemon/docker/image.ts';
import { testCloud } from '../sandbox/gcp/test_cloud.ts';
import { fragileEngine, importImage } from '../scripts/docker_engine.ts';
import {
  type Front,
  frontOf,
  imageOf,
  type OwnRegistry,
  ownRegistry,
  push,
  registryProgram,
} from './own_registry.ts';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const why = registryProgram
  ? await Engine.open({ DOCKER_HOST: host }).then(
      async (engine) => void (await engine[Symbol.asyncDispose]()),
      (thrown: Error) => ` (${thrown.message})`,
    )
  : ' (needs docker-registry)';
const withEngine = test.skipIf(why !== undefined);
const IMAGE = `borealis-images-${process.pid}:1`;
const LIMIT = 30 * SECOND;

let engine: Engine;
let registry: OwnRegistry;
let front: Front;
let digest: string;
let dropImage = async () => {};
let tool: string;
beforeAll(async () => {
  if (why !== undefined) return;
  engine = await Engine.open({ DOCKER_HOST: host });
  dropImage = await importImage(host, IMAGE);
  registry = await ownRegistry();
  front = frontOf(registry);
  tool = `${front.host}/own/tool:1`;
  // In the registry alone: no layer of it is here.
  const made = `borealis-tool-${process.pid}:1`;
  await imageOf(engine, made, crypto.getRandomValues(new Uint8Array(60_000)));
  digest = await push(engine, made, `${registry.host}/own/tool:1`);
  await drop(made);
}, LIMIT);
afterAll(async () => {
  if (why !== undefined) return;
  await dropImage();
  await engine[Symbol.asyncDispose]();
  await front[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
}, LIMIT);

const QUICK = { firstDelayMs: 10, longestDelayMs: 20, deadlineMs: 5 * SECOND };

interface Asked {
  said: string[];
  warned: string[];
  provide(image: string, pull?: Pull, more?: Partial<ImageWorld>): ReturnType<typeof provideImage>;
}

function asking(env: Record<string, string> = {}): Asked {
  const lines: LogLine[] = [];
  const log = loggerTo([(line) => void lines.push(line)]);
  const world = { DOCKER_CONFIG: '/nowhere', GCE_METADATA_HOST: '127.0.0.1:1', ...env };
  return {
    get said() {
      return lines.map(({ message }) => message);
    },
    get warned() {
      return lines.filter(({ severity }) => severity === 'WARNING').map(({ message }) => message);
    },
    provide: (image, pull = 'always', more = {}) =>
      provideImage(engine, image, pull, { log, signal: new AbortController().signal, env: world, ...more }),
  };
}

const drop = (image: string) => engine.request('DELETE', `/images/${image}`).catch(() => {});

/** The registry's manifests are what is asked for when a pull begins. */
const isManifest = (path: string) => path.includes('/manifests/');

describe(`with a Docker Engine and a registry${why ?? ''}`, () => {
  withEngine(
    'an image is pulled with its progress told, and named by its digest',
    async () => {
      await drop(tool);
      const asked = asking();
      const image = await asked.provide(tool);
      expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(image.digest).toBe(`${front.host}/own/tool@${digest}`);
      const named = `Image ${tool} is ${image.id} (${image.digest})`;
      const news = expect.stringMatching(/^Pulled image \S+: 1 new layer, 0\.\d MB in [\d.]+ s$/);
      expect(asked.said).toEqual([`Pulling image ${tool}`, news, named]);
      const again = asking();
      await again.provide(tool);
      const none = expect.stringMatching(/^Pulled image \S+: up to date \([\d.]+ s\)$/);
      expect(again.said).toEqual([`Pulling image ${tool}`, none, named]);
      await drop(tool);
    },
    LIMIT,
  );

  withEngine(
    'a slow pull tells how far it is',
    async () => {
      await drop(tool);
      const asked = asking();
      front.instead = (request, path) => (path.includes('/blobs/') ? slowly(request, path) : null);
      try {
        await asked.provide(tool, 'always', { tellEveryMs: 100 });
      } finally {
        front.instead = null;
        await drop(tool);
      }
      expect(asked.said).toContainEqual(
        expect.stringMatching(/^Pulling \S+: \d of \d layers, [\d.]+ of [\d.]+ MB, [\d.]+ MB\/s$/),
      );
    },
    LIMIT,
  );

  /** The registry's answer, held back for a while. */
  async function slowly(request: Request, path: string): Promise<Response> {
    await Bun.sleep(400);
    return await fetch(`http://${registry.host}${path}`, {
      method: request.method,
      headers: request.headers,
    });
  }

  withEngine(
    'by digest: that very one; when it is here nobody is asked',
    async () => {
      const named = `${front.host}/own/tool@${digest}`;
      const { provide } = asking();
      const image = await provide(named);
      expect(image.digest).toBe(named);
      front.asked.length = 0;
      expect(await provide(`${front.host}/own/tool:other@${digest}`)).toEqual(image);
      expect(front.asked).toEqual([]);
      await drop(named);
      const unknown = `sha256:${'0'.repeat(64)}`;
      await expect(provide(`${front.host}/own/tool@${unknown}`)).rejects.toThrow(
        /^Cannot pull \S+@sha256:0+: .*Push the image, or correct `image` in the Firetask$/,
      );
    },
    LIMIT,
  );

  withEngine(
    'missing asks only when it is not here, never does not ask',
    async () => {
      await drop(tool);
      const { provide } = asking();
      await expect(provide(tool, 'never')).rejects.toThrow(
        `Image ${tool} is not on this machine, and pull is 'never'`,
      );
      await provide(tool, 'missing');
      front.asked.length = 0;
      await provide(tool, 'missing');
      await provide(tool, 'never');
      expect(front.asked).toEqual([]);
      await drop(tool);
    },
    LIMIT,
  );

  withEngine(
    'many slots that want the same pull it once',
    async () => {
      await drop(tool);
      front.instead = (request, path) => (isManifest(path) ? slowly(request, path) : null);
      front.asked.length = 0;
      const slots = asking();
      const { provide } = slots;
      const stop = new AbortController();
      try {
        // The one that began gives up: the others get it all the same.
        const first = provide(tool, 'always', { signal: stop.signal }).catch((thrown) => thrown.message);
        const others = Promise.all([1, 2, 3, 4].map(() => provide(tool)));
        setTimeout(() => stop.abort(new Error('given up')), 100);
        expect(await first).toBe('given up');
        expect(new Set((await others).map(({ id }) => id)).size).toBe(1);
      } finally {
        front.instead = null;
      }
      expect(front.asked.filter((one) => one.startsWith('GET') && one.includes('/blobs/')).length).toBe(2);
      expect(slots.said.filter((line) => line.includes('is being pulled for another task'))).toHaveLength(4);
      await drop(tool);
    },
    LIMIT,
  );

  withEngine.each([503, 429, 500])(
    'a registry that answers %i is asked again',
    async (status) => {
      await drop(tool);
      let left = 4;
      front.instead = (_, path) =>
        isManifest(path) && left-- > 0
          ? Response.json({ errors: [{ code: 'TOOMANYREQUESTS', message: 'later' }] }, { status })
          : null;
      const asked = asking();
      try {
        await asked.provide(tool, 'always', { policy: QUICK });
      } finally {
        front.instead = null;
      }
      expect(left).toBeLessThanOrEqual(0);
      expect(asked.warned[0]).toMatch(/^Pulling \S+: again in 0\.0 s: /);
      await drop(tool);
    },
    LIMIT,
  );

  withEngine(
    'a registry that is away: with the image here it goes on and says so, without it fails with the mend',
    async () => {
      const away = await ownRegistry();
      const there = `${away.host}/own/tool:1`;
      await push(engine, IMAGE, there);
      const asked = asking();
      const image = await asked.provide(there);
      await away[Symbol.asyncDispose]();
      expect(await asked.provide(there, 'always', { policy: { ...QUICK, deadlineMs: 100 } })).toEqual(image);
      expect(asked.warned.at(-1)).toMatch(
        /^The registry 127\.0\.0\.1:\d+ cannot be reached: going on with the image that is here \(.*connection refused/,
      );
      await drop(there);
      await expect(asked.provide(there, 'always', { policy: { ...QUICK, deadlineMs: 100 } })).rejects.toThrow(
        /^Cannot pull \S+: .*connection refused\. Is the registry reachable from this machine\?$/,
      );
    },
    LIMIT,
  );

  withEngine(
    'what a registry says of names is final, also with the image here',
    async () => {
      const asked = asking();
      const provided = asked.provide(`${front.host}/own/none:1`);
      await expect(provided).rejects.toThrow(/Push the image, or correct `image`/);
      expect(asked.warned).toEqual([]);
    },
    LIMIT,
  );

  withEngine(
    'a pull can be stopped at any time',
    async () => {
      await drop(tool);
      front.instead = (_, path) => (isManifest(path) ? new Promise(() => {}) : null);
      try {
        const signal = AbortSignal.timeout(200);
        await expect(asking().provide(tool, 'always', { signal })).rejects.toThrow(/timed out|timeout/i);
      } finally {
        front.instead = null;
      }
    },
    LIMIT,
  );

  withEngine(
    'a registry that asks for a name: none, a wrong one, of the configuration, of a helper',
    async () => {
      await using closed = await ownRegistry({ me: 'se:cret' });
      const there = `${closed.host}/own/tool:1`;
      await push(engine, IMAGE, there, { username: 'me', password: 'se:cret' });
      const dir = await mkdtemp(join(tmpdir(), 'docker-config-'));
      const withConfig = async (config: object) => {
        await Bun.write(join(dir, 'config.json'), JSON.stringify(config));
        return asking({ DOCKER_CONFIG: dir, PATH: `${dir}:${process.env.PATH}` });
      };
      try {
        const mend = new RegExp(
          `Give this machine access to ${closed.host}, or sign in: docker login ${closed.host}$`,
        );
        await expect(asking().provide(there)).rejects.toThrow(mend);
        const wrong = await withConfig({ auths: { [closed.host]: { auth: btoa('me:wrong') } } });
        await expect(wrong.provide(there)).rejects.toThrow(mend);
        const right = await withConfig({ auths: { [closed.host]: { auth: btoa('me:se:cret') } } });
        await right.provide(there);
        await drop(there);
        await Bun.write(
          join(dir, 'docker-credential-own'),
          `#!/bin/sh\nread -r server; [ "$1 $server" = "get ${closed.host}" ] && echo '{"Username": "me", "Secret": "se:cret"}'\n`,
        );
        await chmod(join(dir, 'docker-credential-own'), 0o755);
        for (const config of [{ credsStore: 'own' }, { credHelpers: { [closed.host]: 'own' } }]) {
          await (await withConfig(config)).provide(there);
          await drop(there);
        }
      } finally {
        await rm(dir, { recursive: true });
      }
    },
    LIMIT,
  );

  const root = process.getuid?.() === 0 && Bun.which('dockerd') !== null;
  test.skipIf(why !== undefined || !root)(
    `Artifact Registry, with the token of the VM's service account${root ? '' : ' (needs root and dockerd)'}`,
    async () => {
      await using cloud = await testCloud();
      await cloud.boot('vm-0');
      const GCE_METADATA_HOST = String(cloud.compute.vms.get('vm-0')?.vm.metadataHost);
      const token = await fetch(
        `http://${GCE_METADATA_HOST}/computeMetadata/v1/instance/service-accounts/default/token`,
        { headers: { 'Metadata-Flavor': 'Google' } },
      );
      const { access_token } = (await token.json()) as { access_token: string };
      await using closed = await ownRegistry({ oauth2accesstoken: access_token });
      await push(engine, IMAGE, `${closed.host}/project/tool:1`, {
        username: 'oauth2accesstoken',
        password: access_token,
      });
      // The Engine's way to Google's name leads to the registry here.
      await using proxy = frontOf(closed);
      const http = `http://${proxy.host}`;
      const google = 'us-docker.pkg.dev';
      await using own = await fragileEngine({
        args: [`--insecure-registry=${google}`],
        env: {
          HTTP_PROXY: http,
          HTTPS_PROXY: http,
          http_proxy: http,
          https_proxy: http,
          NO_PROXY: '',
          no_proxy: '',
        },
      });
      await using there = await Engine.open({ DOCKER_HOST: own?.host });
      const world = { log: loggerTo([]), signal: new AbortController().signal, policy: QUICK };
      const provide = (env: Record<string, string>) =>
        provideImage(there, `${google}/project/tool:1`, 'always', { ...world, env });
      const onVm = { DOCKER_CONFIG: '/nowhere', GCE_METADATA_HOST };
      await expect(provide({ ...onVm, GCE_METADATA_HOST: '127.0.0.1:1' })).rejects.toThrow(
        /Give this machine access to us-docker\.pkg\.dev/,
      );
      expect((await provide(onVm)).digest).toStartWith(`${google}/project/tool@sha256:`);
    },
    2 * LIMIT,
  );

  withEngine(
    'when the disk is as full as the setting says, images that were pulled here go, the longest unused first',
    async () => {
      const names = ['a', 'b', 'c'].map((name) => `${front.host}/own/${name}:1`);
      for (const name of ['a', 'b', 'c']) await push(engine, IMAGE, `${registry.host}/own/${name}:1`);
      const there = async () => {
        const images = (await engine.request('GET', '/images/json')) as { RepoTags: string[] | null }[];
        return images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => names.includes(name));
      };
      const asked = asking();
      const [a, b, c] = names as [string, string, string];
      await asked.provide(a);
      await asked.provide(b);
      await asked.provide(a, 'missing');
      // A disk is never that full; then it always is.
      await asked.provide(b, 'always', { pruneAtPercent: 100 });
      expect((await there()).toSorted()).toEqual([a, b].toSorted());
      await asked.provide(c, 'always', { pruneAtPercent: 0.001 });
      expect(await there()).toEqual([c]);
      const gone = asked.said.filter((line) => line.includes('% full')).map((line) => line.split(' ').at(-1));
      expect(gone.filter((name) => names.includes(name as string))).toEqual([a, b]);
      // What somebody else brought stays.
      expect(await engine.request('GET', `/images/${IMAGE}/json`)).toBeDefined();
      await drop(c);
    },
    LIMIT,
  );
});
