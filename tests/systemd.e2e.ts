/**
 * A real systemd boots a Debian and runs the built worker by the unit file that VMs have, in a miniature cloud. The Debian is a
 * container with all the rights that this process has.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { addWorkflows, LaunchPad, launchPadSettings, newWorkflow } from '../core/launchpad/index.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { until } from '../daemon/test_worker.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import { debianRoot } from '../scripts/debian_root.ts';
import { pathWithSbin } from '../scripts/system_packages.ts';

const root = resolve(import.meta.dir, '..');
const LIMIT = 40 * SECOND;

const docker = Bun.which('docker', { PATH: pathWithSbin() });
const why = await whyNot();
async function whyNot(): Promise<string | null> {
  if (!docker) return 'needs the program docker';
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(join(root, 'dist/fireworker'))) return 'needs npm run build';
  try {
    await using _ = await Engine.open(process.env);
    await debianRoot();
    return null;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** Runs a program to its end, and returns what it said. Throws when it failed. */
async function run(argv: readonly string[], stdin?: string): Promise<string> {
  const child = Bun.spawn([...argv], {
    stdin: stdin === undefined ? 'ignore' : Bun.file(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')}: ${err}${out}`);
  return out.trim();
}

/** Every right that this process has: more cannot be given, as Docker's --privileged would. */
async function capabilities(): Promise<string[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  const mine = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(status)?.[1]}`);
  return CAPABILITIES.filter((_, bit) => (mine >> BigInt(bit)) & 1n);
}
/** In the order of their numbers (linux/capability.h), as far as Docker 20.10 knows them. */
const CAPABILITIES =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ'.split(
    ' ',
  );

/**
 * What a VM's image has, and then systemd. It gets a tree of cgroups of version 2 for itself, whatever this machine has:
 * Docker's is read-only.
 */
const BOOT = `set -e
groupadd docker
useradd --create-home --groups docker fireworker
cp /test/my_launchpad.yaml /home/fireworker/
mkdir -p /etc/systemd/system/fireworker.service.d /etc/systemd/system/multi-user.target.wants
cp /test/fireworker.service /etc/systemd/system/
cp /test/sandbox.conf /etc/systemd/system/fireworker.service.d/
ln -s ../fireworker.service /etc/systemd/system/multi-user.target.wants/
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
exec /sbin/init
`;

const image = `borealis-test-systemd-${process.pid}`;
let dir: string;
let sandbox: Sandbox;
let launchpad: LaunchPad;
let container: string;

const inside = (...argv: string[]) => run([docker as string, 'exec', container, ...argv]);
const property = (name: string) => inside('systemctl', 'show', '--value', '-p', name, 'fireworker');
const journal = (...more: string[]) =>
  inside('journalctl', '--no-pager', '-o', 'cat', '-u', 'fireworker', ...more);
const active = () =>
  until('the worker', async () => (await property('ActiveState')) === 'active', LIMIT).catch(
    async (thrown) => {
      throw new Error(`${messageOf(thrown)}\n${await journal()}`);
    },
  );

async function add(name: string, script: string): Promise<number> {
  const workflow = newWorkflow({
    fws: [{ fw_id: 1, name, spec: { _tasks: [{ _fw_name: 'ScriptTask', script }] } }],
    links: {},
  });
  const [added] = await addWorkflows(launchpad, [workflow]);
  return [...(added as Map<number, number>).values()][0] as number;
}
const stateOf = async (fwId: number) => (await launchpad.fireworks.findOne({ fw_id: fwId }))?.state as string;
const reaches = (fwId: number, state: string) =>
  until(`Firework ${fwId} is ${state}`, async () => (await stateOf(fwId)) === state, LIMIT);
/** A file that a task left in its launch folder. */
async function file(fwId: number, name: string): Promise<string> {
  const launch = await launchpad.launches.findOne({ fw_id: fwId }, { sort: { launch_id: -1 } });
  return await inside('cat', `${launch?.launch_dir}/${name}`);
}

beforeAll(async () => {
  if (why) return;
  dir = await mkdtemp(join(tmpdir(), 'systemd-'));
  sandbox = await startSandbox({ dir: join(dir, 'sandbox'), fireworker: ['sh', '-c', 'exec sleep 600'] });
  const settings = { host: '127.0.0.1', port: sandbox.mongo.port, name: 'fireworks' };
  launchpad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await launchpad.reset();
  const metadata = await bootVm('systemd-0');
  const test = join(dir, 'test');
  await mkdir(test);
  await writeFile(join(test, 'my_launchpad.yaml'), JSON.stringify(settings));
  await chmod(join(test, 'my_launchpad.yaml'), 0o644);
  await writeFile(join(test, 'fireworker.service'), await readFile(join(root, 'systemd/fireworker.service')));
  const variables = Object.entries({ ...sandbox.env, GCE_METADATA_HOST: metadata });
  await writeFile(
    join(test, 'sandbox.conf'),
    `[Service]\n${variables.map(([key, value]) => `Environment="${key}=${value}"\n`).join('')}WatchdogSec=3\nRestartSec=100ms\n`,
  );
  await writeFile(join(test, 'boot'), BOOT);
  await run([docker as string, 'import', '-', image], await debianRoot());
  container = await run([
    docker as string,
    'run',
    '--detach',
    '--network=host',
    '--cgroupns=private',
    '--security-opt=seccomp=unconfined',
    '--security-opt=apparmor=unconfined',
    '--security-opt=systempaths=unconfined',
    ...(await capabilities()).map((name) => `--cap-add=${name}`),
    '--tmpfs=/run',
    '--env=container=docker',
    `--volume=${test}:/test:ro`,
    `--volume=${join(root, 'dist/fireworker')}:/usr/local/bin/fireworker:ro`,
    image,
    '/bin/sh',
    '/test/boot',
  ]);
}, 3 * MINUTE);

afterAll(async () => {
  if (why) return;
  if (container) await run([docker as string, 'rm', '--force', '--volumes', container]);
  await run([docker as string, 'image', 'rm', '--force', image]).catch(() => {});
  await launchpad?.close();
  await sandbox?.stop();
  await rm(dir, { recursive: true, force: true });
}, MINUTE);

/** A VM in which nothing runs. Returns the address of its metadata server. */
async function bootVm(name: string): Promise<string> {
  const zone = `http://127.0.0.1:${sandbox.gcp.port}/compute/v1/projects/sandbox/zones/us-west1-b`;
  const body = {
    name,
    machineType: 'zones/us-west1-b/machineTypes/n1-standard-1',
    disks: [
      { boot: true, initializeParams: { sourceImage: 'projects/sandbox/global/images/family/fireworker' } },
    ],
    networkInterfaces: [{}],
  };
  await fetch(`${zone}/instances`, { method: 'POST', body: JSON.stringify(body) });
  const { vm } = await until(`the VM ${name}`, () => sandbox.gcp.compute.vms.get(name));
  return vm.metadataHost;
}

if (why) test.skip(`a worker under systemd (skipped: ${why})`, () => {});
else describe('a worker under systemd', tests);

function tests(): void {
  test(
    'a VM boots, the worker is started, and flies',
    async () => {
      const fwId = await add('first', 'id -un; id -Gn; env > env; grep Cap /proc/self/status > caps; exit 0');
      await reaches(fwId, 'COMPLETED');
      await active();
      expect(await property('StatusText')).toBe('idle');
      expect(await inside('systemctl', 'is-enabled', 'fireworker')).toBe('enabled');
      // The tasks run as its user, without rights, and know nothing of systemd's socket.
      expect(await file(fwId, 'env')).not.toContain('NOTIFY_SOCKET');
      expect(await file(fwId, 'caps')).toMatch(/^CapBnd:\s0+$/m);
      const entry = await until('its output in Cloud Logging', () =>
        sandbox.gcp.logging.entries.find(({ textPayload }) => textPayload === 'fireworker docker'),
      );
      expect(entry).toMatchObject({
        severity: 'DEBUG',
        labels: { fw_id: String(fwId), worker: 'systemd-0' },
      });
    },
    LIMIT,
  );

  test(
    'the unit is without fault, and well protected',
    async () => {
      expect(await inside('systemd-analyze', 'verify', '--man=no', 'fireworker.service')).toBe('');
      // Fails above 5.0.
      await inside('systemd-analyze', 'security', '--threshold=50', '--no-pager', 'fireworker');
      expect(await property('After')).toMatch(
        /docker\.service.*network-online\.target|network-online\.target.*docker\.service/,
      );
    },
    LIMIT,
  );

  test(
    'the journal has priorities',
    async () => {
      const fwId = await add('breaks', 'exit 3');
      await reaches(fwId, 'FIZZLED');
      const errors = await journal('--priority=err');
      expect(errors).toContain(`Firework ${fwId} 'breaks' failed`);
      expect(errors).not.toContain('INFO');
    },
    LIMIT,
  );

  test(
    'systemctl status tells what flies; a worker that hangs is killed by the watchdog, its task too, and started again',
    async () => {
      const fwId = await add('align', 'echo $$ > pid; exec sleep 600');
      await until(
        'the status',
        async () => (await property('StatusText')) === `flying fw ${fwId} 'align' 0 min`,
      );
      const task = await until('the task', () => file(fwId, 'pid').catch(() => null));
      await inside('systemctl', 'kill', '--kill-whom=main', '--signal=STOP', 'fireworker');
      await until('a new worker', async () => (await property('NRestarts')) === '1', LIMIT);
      await active();
      expect(await journal()).toMatch(/Watchdog timeout/);
      await expect(inside('test', '-e', `/proc/${task}`)).rejects.toThrow();
      await launchpad.fireworks.updateOne({ fw_id: fwId }, { $set: { state: 'ARCHIVED' } });
    },
    LIMIT,
  );

  test(
    'systemctl stop in flight: the Firework is given back, the VM stays, and the worker is not started again',
    async () => {
      const fwId = await add('long', 'sleep 600');
      await reaches(fwId, 'RUNNING');
      const restarts = await property('NRestarts');
      await inside('systemctl', 'stop', 'fireworker');
      expect(await stateOf(fwId)).toBe('READY');
      const [launch, ...others] = await launchpad.launches.find({ fw_id: fwId }).toArray();
      expect(launch?.action.stored_data).toEqual({ _message: 'SIGTERM', _preempted: true });
      expect(others).toEqual([]);
      expect([await property('ActiveState'), await property('Result'), await property('NRestarts')]).toEqual([
        'inactive',
        'success',
        restarts,
      ]);
      expect(sandbox.gcp.compute.vms.has('systemd-0')).toBe(true);
      await launchpad.fireworks.updateOne({ fw_id: fwId }, { $set: { state: 'ARCHIVED' } });
    },
    LIMIT,
  );

  test(
    'a worker that crashes again and again: the VM is switched off',
    async () => {
      await inside('systemctl', 'start', 'fireworker');
      const running = async () =>
        (await run([docker as string, 'inspect', '--format={{.State.Running}}', container])) === 'true';
      await until(
        'the end of the VM',
        async () => {
          await inside('systemctl', 'kill', '--kill-whom=main', '--signal=KILL', 'fireworker').catch(
            () => {},
          );
          return !(await running());
        },
        LIMIT,
      );
    },
    LIMIT,
  );
}
