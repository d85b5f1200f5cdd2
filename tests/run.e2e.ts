/** `borealisctl run` and `scale`, built, with real workers in a sandbox. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { MINUTE } from '../core/wait.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import { type Ran, until } from './one_machine.ts';

/** Several times what the slowest takes, for a busy machine. */
const LIMIT = 3 * MINUTE;

const dist = resolve(import.meta.dir, '..', 'dist');
let dir: string;
let sandbox: Sandbox;
let launchpad: LaunchPad;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'run-'));
  sandbox = await startSandbox({ dir: join(dir, 'sandbox'), fireworker: [join(dist, 'fireworker')] });
  const settings = { host: '127.0.0.1', port: sandbox.mongo.port, name: 'fireworks' };
  launchpad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await launchpad.reset();
});
afterAll(async () => {
  await launchpad.close();
  await sandbox.stop();
  await rm(dir, { recursive: true, force: true });
});

function start(words: readonly string[], where = sandbox) {
  return Bun.spawn([join(dist, 'borealisctl'), ...words], {
    cwd: dir,
    env: { PATH: process.env.PATH ?? '', HOME: dir, ...where.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

async function ended(child: ReturnType<typeof start>): Promise<Ran> {
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}
const ctl = (...words: string[]) => ended(start(words));

/** A file with a workflow of one Firework for each script. */
async function file(name: string, ...scripts: string[]): Promise<string> {
  const fws = scripts.map((script, i) => ({
    fw_id: i,
    name: `${name} ${i}`,
    spec: { _tasks: [{ _fw_name: 'ScriptTask', script, fizzle_bad_rc: true }] },
  }));
  await writeFile(join(dir, `${name}.json`), JSON.stringify({ name, fws, links: {} }));
  return `${name}.json`;
}
const gone = () => until('the fleet has gone home', () => sandbox.gcp.compute.vms.size === 0, MINUTE);

test(
  'run: adds, makes a fleet, watches, sends it home, and reports',
  async () => {
    const good = await file('good', 'true', 'true', 'true');
    const { code, out, err } = await ctl('run', good, '--count', '2', '--prefix', 'demo', '--spot');
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(err).toContain('Created 2 VMs: demo-0 .. demo-1');
    expect(err).toContain('The workers go home as soon as nothing is READY');
    expect(out).toStartWith('Added 1 workflow: -i 1\n');
    expect(out).toContain('good--1 COMPLETED: 3 COMPLETED');
    expect(out).toMatch(
      /Took \d+s; 2 VMs, 0\.\d\d VM-hours, about \$0\.\d\d \(an estimate: USD, list prices/,
    );
    await gone();
  },
  LIMIT,
);

test(
  'run: what failed is told with the last lines of its log, and the exit code is 1',
  async () => {
    const bad = await file('bad', 'true', 'echo it is too hot; exit 3');
    const { code, out } = await ctl('run', bad, '--count', '1', '--prefix', 'demo', '--json');
    expect(code).toBe(1);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const names = events.flatMap(({ event }) => event ?? []);
    expect(names).toEqual(['added', 'up', 'sent_home', 'report']);
    const report = events.at(-1);
    expect(report.workflows).toMatchObject([{ state: 'FIZZLED', counts: { COMPLETED: 1, FIZZLED: 1 } }]);
    expect(report.failures).toMatchObject([{ name: 'bad 1' }]);
    expect(report.failures[0].log.join('\n')).toContain('FIZZLED');
    expect(report).toMatchObject({
      vms: 1,
      vm_hours: expect.any(Number),
      estimated_cost_usd: expect.any(Number),
    });
    await gone();
  },
  LIMIT,
);

test(
  'run: Ctrl-C leaves the fleet and says how to come back',
  async () => {
    const child = start(['run', await file('long', 'sleep 300'), '-c', '1', '--prefix', 'demo']);
    await until(
      'it flies',
      async () => (await launchpad.fireworks.countDocuments({ state: 'RUNNING' })) === 1,
    );
    child.kill('SIGINT');
    const { code, err } = await ended(child);
    expect(code).toBe(130);
    const id = (await launchpad.fireworks.findOne({ state: 'RUNNING' }))?.fw_id;
    expect(err).toContain(`Come back: borealisctl watch -i ${id}`);
    expect(err).toContain('Send the fleet home: borealisctl quit-soon demo');
    expect([...sandbox.gcp.compute.vms.keys()]).toEqual(['demo-0']);
    const asked = await ctl('down', 'demo');
    expect(asked).toMatchObject({ code: 2 });
    expect(asked.err).toContain(`In flight: demo-0 runs long 0--${id}`);
    const down = await ctl('down', 'demo', '--yes');
    expect(down.err).toContain('Deleted 1 VM: demo-0');
    expect(await launchpad.fireworks.countDocuments({ fw_id: id, state: 'READY' })).toBe(1);
    await launchpad.fireworks.updateMany({ state: 'READY' }, { $set: { state: 'PAUSED' } });
  },
  LIMIT,
);

test(
  'scale: as many VMs as there is work, and down --drain lets them finish it',
  async () => {
    // Steps that end when the test says so.
    const step = `until [ -e '${join(dir, 'go')}' ]; do sleep 0.1; done`;
    await ctl('lpad', 'add', await file('steps', step, step, step));
    const none = await ctl('scale', 'demo', '--max', '5', '--category', 'gpu', '--once');
    expect(none).toMatchObject({ code: 0, err: '0 READY, 0 WAITING, 0 flying: 0 VMs fit\n' });
    const dry = await ctl('scale', 'demo', '--max', '2', '--once', '--dry-run');
    expect(JSON.parse(dry.out).requests).toMatchObject([
      { body: { perInstanceProperties: { 'demo-0': {}, 'demo-1': {} } } },
    ]);
    expect(sandbox.gcp.compute.vms.size).toBe(0);
    const once = await ctl('scale', 'demo', '--max', '2', '--once');
    expect(once.err).toContain('3 READY, 0 WAITING, 0 flying: 0 VMs become 2');
    const again = await ctl('scale', 'demo', '--max', '5', '--once', '--json');
    expect(JSON.parse(again.out)).toMatchObject({ move: 'stay', why: expect.stringContaining('cool-down') });
    const follow = start(['scale', 'demo', '--max', '3', '--follow', '--cooldown', '0', '--every', '1']);
    await until('the third VM', () => sandbox.gcp.compute.vms.size === 3);
    follow.kill('SIGINT');
    expect((await ended(follow)).code).toBe(130);
    await until(
      'all fly',
      async () => (await launchpad.fireworks.countDocuments({ state: 'RUNNING' })) === 3,
    );
    const down = start(['down', 'demo', '--drain', '--yes']);
    await until('all finish', async () => {
      const rows = JSON.parse((await ctl('ps', 'demo', '--json')).out) as { worker: string }[];
      return rows.every(({ worker }) => worker === 'finishing');
    });
    await writeFile(join(dir, 'go'), '');
    const drained = await ended(down);
    expect(drained).toMatchObject({ code: 0 });
    expect(drained.err).toContain('Waiting for 3 VMs to finish the task in flight');
    expect(sandbox.gcp.compute.vms.size).toBe(0);
    expect(await launchpad.fireworks.countDocuments({ name: /^steps/, state: 'COMPLETED' })).toBe(3);
  },
  LIMIT,
);

test(
  'a password that is a secret is read on the VM',
  async () => {
    const user = { user: 'me', password: 'pass word' };
    const guarded = await startSandbox({
      dir: join(dir, 'guarded'),
      fireworker: [join(dist, 'fireworker')],
      ...user,
    });
    try {
      guarded.gcp.secrets.add('mongo', user.password);
      const settings = {
        host: '127.0.0.1',
        port: guarded.mongo.port,
        name: 'fireworks',
        authsource: 'admin',
      };
      const own = await LaunchPad.open(
        launchPadSettings({ ...settings, username: user.user, password: user.password }, 'test'),
      );
      await own.reset();
      await own.close();
      const pad = join(guarded.dir, 'my_launchpad.yaml');
      const password = 'password=secret:projects/sandbox/secrets/mongo';
      const workflow = await file('secret', 'true');
      const words = ['run', workflow, '-c', '1', '--prefix', 'safe', '-l', pad, '-m', password];
      const { code, out } = await ended(start(words, guarded));
      expect({ code, out }).toMatchObject({
        code: 0,
        out: expect.stringContaining('COMPLETED: 1 COMPLETED'),
      });
      const console_ = await Bun.file(join(guarded.dir, 'vms', 'safe-0', 'console.log')).text();
      expect(console_).not.toContain(user.password);
      await until('it has gone home', () => guarded.gcp.compute.vms.size === 0, MINUTE);
    } finally {
      await guarded.stop();
    }
  },
  LIMIT,
);
