/**
 * The disk image of worker VMs: its template is one that Packer takes, and what provision.sh makes of a Debian, here the root
 * of a container, is a worker. Run again it changes nothing.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MINUTE } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { until } from '../daemon/test_worker.ts';
import { debianRoot } from '../scripts/debian_root.ts';
import { importImage } from '../scripts/docker_engine.ts';
import { pathWithSbin } from '../scripts/system_packages.ts';
import { run } from './run.ts';

const root = resolve(import.meta.dir, '..');
const image = join(root, 'image');

const packer = Bun.which('packer');
describe.skipIf(!packer)(`the template${packer ? '' : ' (needs packer)'}`, () => {
  const template = join(image, 'fireworker.pkr.hcl');
  const variables = (o: Record<string, string | undefined>) =>
    Object.entries(o).flatMap(([name, value]) => ['-var', `${name}=${value}`]);
  const packed = { project: 'p', release: join(root, 'LICENSE') };

  test.each([
    {},
    { arch: 'arm64' },
    { docker_images: '["alpine:3", "eu-docker.pkg.dev/p/r/sim:1"]', swap_mb: '2048', ops_agent: 'true' },
    { iap: 'true', subnetwork: 'workers', service_account: 'a@p.iam.gserviceaccount.com' },
  ])('with %j', async (o) => {
    await run([packer as string, 'validate', ...variables({ ...packed, ...o }), template]);
  });

  test('asks for what it must know', async () => {
    const argv = [
      packer as string,
      'validate',
      '-machine-readable',
      ...variables({ project: 'p' }),
      template,
    ];
    await expect(run(argv)).rejects.toThrow('release');
  });

  test('is formatted', async () => {
    await run([packer as string, 'fmt', '-check', '-diff', image]);
  });
});

const shellcheck = Bun.which('shellcheck');
test.skipIf(!shellcheck)(`provision.sh has no slips${shellcheck ? '' : ' (needs shellcheck)'}`, async () => {
  await run([shellcheck as string, join(image, 'provision.sh')]);
});

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
const registry = Bun.which('docker-registry');
const engineAnswers = await Engine.open({ DOCKER_HOST: host }).then(
  (engine) => engine[Symbol.asyncDispose]().then(() => true),
  () => false,
);
const lacking = [
  engineAnswers ? [] : ['a Docker Engine'],
  process.getuid?.() === 0 && Bun.which('debootstrap', { PATH: pathWithSbin() })
    ? []
    : ['root and debootstrap'],
  registry ? [] : ['docker-registry'],
].flat();

describe.skipIf(lacking.length > 0)(
  `provision.sh in a Debian root${lacking.length > 0 ? ` (needs ${lacking.join(', ')})` : ''}`,
  () => {
    const name = `borealis-image-test-${process.pid}`;
    const port = 20_000 + (process.pid % 20_000);
    const prePulled = `127.0.0.1:${port}/own/tool:1`;
    let dir: string;
    let engine: Engine;
    let container: string;
    let serving: Bun.Subprocess;
    /** What the first run and the second one left in the folders that are not the system's own. */
    const states: string[] = [];

    /** Runs a shell's line in the container; throws with all its output when it fails. */
    async function inside(line: string): Promise<string> {
      const Cmd = ['bash', '-c', line];
      const body = { AttachStdout: true, AttachStderr: true, Tty: true, Cmd };
      const { Id } = (await engine.request('POST', `/containers/${container}/exec`, { body })) as {
        Id: string;
      };
      const start = { body: { Tty: true }, text: true };
      const said = String(await engine.request('POST', `/exec/${Id}/start`, start)).replaceAll('\r\n', '\n');
      const { ExitCode } = (await engine.request('GET', `/exec/${Id}/json`)) as { ExitCode: number };
      if (ExitCode !== 0) throw new Error(`${line}: exit code ${ExitCode}\n${said}`);
      return said;
    }

    /** A registry with one image, which is then not in the Engine. */
    async function serveImage(): Promise<void> {
      const config = join(dir, 'registry.yml');
      const text = `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${dir}/registry}}\n`;
      await writeFile(config, `${text}http: {addr: "127.0.0.1:${port}"}\n`);
      serving = Bun.spawn([registry as string, 'serve', config], { stdio: ['ignore', 'ignore', 'ignore'] });
      const answers = () =>
        fetch(`http://127.0.0.1:${port}/v2/`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until('the registry', answers);
      const drop = await importImage(host, prePulled);
      const headers = { 'X-Registry-Auth': btoa('{}') };
      const path = `/images/${prePulled.replace(/:1$/, '')}/push?tag=1`;
      expect(await engine.request('POST', path, { headers, text: true })).not.toContain('errorDetail');
      await drop();
    }

    /** The archive of a release, of the binaries that the tests are about. */
    async function packRelease(): Promise<void> {
      const files = ['fireworker', 'borealisctl'].map((binary) => join(root, 'dist', binary));
      await mkdir(join(dir, 'in'));
      const top = ['--transform', 's#^#borealis-0/#', '-C', join(root, 'dist')];
      await run(['tar', '-cf', join(dir, 'in', 'borealis.tar'), ...top, 'fireworker', 'borealisctl']);
      expect(files.every(existsSync)).toBe(true);
    }

    async function provision(settings: string): Promise<void> {
      await inside(
        `cp /in/borealis.tar /root/ && RELEASE=/root/borealis.tar ${settings} bash /image/provision.sh`,
      );
      states.push(
        await inside(
          'find /etc /usr/local /home /root /swapfile ! -type d -not -path /etc/resolv.conf -not -path "*/__pycache__/*" -printf "%p %M %u %l " \\( -type f -exec md5sum -b {} \\; -o -printf "\\n" \\) | sort',
        ),
      );
    }

    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'image-'));
      engine = await Engine.open({ DOCKER_HOST: host });
      await engine.upload(`/images/create?fromSrc=-&repo=${name}&tag=1`, Bun.file(await debianRoot()));
      await Promise.all([serveImage(), packRelease()]);
      const socket = host.startsWith('unix://')
        ? [`${host.slice('unix://'.length)}:/var/run/docker.sock`]
        : [];
      const body = {
        Image: `${name}:1`,
        Cmd: ['sleep', 'infinity'],
        Env: ['TERM=dumb', 'SYSTEMD_COLORS=0', ...(socket.length === 0 ? [`DOCKER_HOST=${host}`] : [])],
        HostConfig: { NetworkMode: 'host', Binds: [`${dir}/in:/in:ro`, `${image}:/image:ro`, ...socket] },
      };
      const made = await engine.request('POST', `/containers/create?name=${name}`, { body });
      container = (made as { Id: string }).Id;
      await engine.request('POST', `/containers/${container}/start`);
      const settings = `DOCKER_IMAGES='${prePulled}' SWAP_MB=16`;
      await provision(settings);
      await provision(settings);
    }, 6 * MINUTE);

    afterAll(async () => {
      serving?.kill();
      if (container) await engine.request('DELETE', `/containers/${container}?force=1&v=1`);
      for (const made of [prePulled, `${name}:1`])
        await engine?.request('DELETE', `/images/${made}?force=1`).catch(() => {});
      await engine?.[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    }, MINUTE);

    test('the worker starts at boot, and so does Docker', async () => {
      for (const unit of ['fireworker', 'docker', 'chrony', 'logrotate.timer'])
        expect([unit, await inside(`systemctl is-enabled ${unit}`)]).toEqual([unit, 'enabled\n']);
      await inside('systemd-analyze verify fireworker.service');
    });

    test('as its user the programs run, and it may use Docker', async () => {
      const { version } = await Bun.file(join(root, 'package.json')).json();
      const as = (line: string) => inside(`runuser -u fireworker -- ${line}`);
      expect(await as('fireworker --version')).toBe(`fireworker ${version}\n`);
      expect(await as('borealisctl --version')).toBe(`borealisctl ${version}\n`);
      expect(await as('lpad --version')).toBe(`lpad (Borealis) v${version}\n`);
      expect(await as('gce --help')).toContain('gce NAME-PREFIX');
      expect(await as('id -nG')).toBe('fireworker docker\n');
      expect(await as('docker --version')).toContain('Docker version');
      expect(await as('cat /home/fireworker/my_launchpad.yaml')).toContain('idle_for_rockets: 900');
      expect(await as('stat -c %A-%U /home/fireworker/my_launchpad.yaml')).toBe('-rw--------fireworker\n');
    });

    test('the image that was named is there', async () => {
      expect(await engine.request('GET', `/images/${prePulled}/json`)).toMatchObject({
        RepoTags: [prePulled],
      });
      await inside('test ! -e /root/.docker');
    });

    test('nothing upgrades itself while tasks run', async () => {
      for (const unit of ['apt-daily.timer', 'apt-daily-upgrade.timer', 'unattended-upgrades.service'])
        expect(await inside(`systemctl is-enabled ${unit} || true`)).toBe('masked\n');
      expect(await inside('apt-config dump APT::Periodic::Enable')).toBe('APT::Periodic::Enable "0";\n');
    });

    test('the clock is that of the cloud', async () => {
      expect(await inside('cat /etc/chrony/sources.d/google.sources')).toContain('metadata.google.internal');
      expect(await inside('grep sourcedir /etc/chrony/chrony.conf')).toContain('/etc/chrony/sources.d');
    });

    test('logs stay small: a large one is rotated, and its writer goes on', async () => {
      expect(JSON.parse(await inside('cat /etc/docker/daemon.json'))).toEqual({ 'log-driver': 'local' });
      expect(await inside('systemd-analyze cat-config systemd/journald.conf')).toMatch(/^SystemMaxUse=1G$/m);
      const log = '/var/log/fireworker/fireworker.log';
      const write = `runuser -u fireworker -- sh -c 'echo later >>${log}'`;
      await inside(`${write}; truncate -s 101M ${log}; logrotate /etc/logrotate.conf; ${write}`);
      expect(await inside(`cat ${log}; ls -1 /var/log/fireworker`)).toBe(
        'later\nfireworker.log\nfireworker.log.1.gz\n',
      );
    });

    test('there is swap, once', async () => {
      expect(await inside('grep -c swap /etc/fstab')).toBe('1\n');
      expect(await inside('stat -c "%s %a" /swapfile')).toBe(`${16 * 2 ** 20} 600\n`);
      expect(await inside('file -b /swapfile 2>/dev/null || blkid -o value -s TYPE /swapfile')).toMatch(
        /swap/i,
      );
    });

    test('what belongs to one machine, or is needed no more, is gone', async () => {
      expect(await inside('stat -c %s /etc/machine-id')).toBe('0\n');
      expect(await inside('ls -A /var/lib/apt/lists /root/*.tar /etc/ssh 2>/dev/null || true')).not.toMatch(
        /debian|\.tar|host/,
      );
    });

    test('the second run has changed nothing', () => {
      expect(states[0]?.split('\n').length).toBeGreaterThan(300);
      expect(states[1]).toBe(states[0] as string);
    });

    test(
      'a third run, with other settings, changes what they say, and not the LaunchPad file',
      async () => {
        await inside('echo "host: db.example.org" > /home/fireworker/my_launchpad.yaml');
        await provision('');
        await inside('test ! -e /swapfile && ! grep swap /etc/fstab');
        expect(await inside('cat /home/fireworker/my_launchpad.yaml')).toBe('host: db.example.org\n');
      },
      MINUTE,
    );

    test('what cannot be is told', async () => {
      const fails = (line: string) => inside(`! ${line} bash /image/provision.sh`);
      expect(await fails('RELEASE=/no/such')).toContain('RELEASE must name the archive of the binaries');
      expect(await fails('RELEASE=/in/borealis.tar SWAP_MB=2G')).toContain('SWAP_MB=2G: must be a number');
    });
  },
);
