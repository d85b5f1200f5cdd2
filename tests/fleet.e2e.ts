/**
 * A fleet's whole life: 30 workers, real processes, on 300 Fireworks; some are preempted in flight, all are sent home
 * half-way, others come and finish the work, and nothing is left. Only the built borealisctl acts.
 */
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { MINUTE, SECOND } from '../core/wait.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import { faultsIn } from './invariants.ts';
import { until } from './one_machine.ts';

const dist = resolve(import.meta.dir, '..', 'dist');
const WORKERS = 30;
const FIREWORKS = 300;
const PREEMPTED = 5;

/** A fork, as many steps as fit, and what waits for all of them. */
const step = (id: number, script: string) => ({
  fw_id: id,
  name: `step ${id}`,
  spec: { _tasks: [{ _fw_name: 'ScriptTask', script }] },
});
const middle = Array.from({ length: FIREWORKS - 2 }, (_, i) => i + 2);
const workflow = {
  name: 'three hundred',
  fws: [step(1, 'true'), ...middle.map((id) => step(id, 'sleep 1')), step(FIREWORKS, 'true')],
  links: { 1: middle, ...Object.fromEntries(middle.map((id) => [id, [FIREWORKS]])) },
};

interface PsRow {
  name: string;
  worker: string;
  flying: { fw_id: number }[] | null;
  estimated_cost_usd: number;
}

test(
  '30 workers, 300 Fireworks, 5 preemptions, quit-soon half-way, a second fleet, and nothing left',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'fleet-'));
    const calls: string[] = [];
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    const sandbox = await startSandbox({
      dir: join(dir, 'sandbox'),
      fireworker: [join(dist, 'fireworker')],
      onCall: (call) => calls.push(call),
    });
    stack.defer(() => sandbox.stop());
    const launchpad = await LaunchPad.open(
      launchPadSettings({ host: '127.0.0.1', port: sandbox.mongo.port, name: 'fireworks' }, 'test'),
    );
    stack.defer(() => launchpad.close());
    await launchpad.reset();
    const ctl = (...words: string[]) => borealisctl(dir, sandbox, words);
    const ps = async () => JSON.parse(await ctl('ps', 'demo', '--json')) as PsRow[];
    const completed = () => launchpad.fireworks.countDocuments({ state: 'COMPLETED' });

    await writeFile(join(dir, 'wf.json'), JSON.stringify(workflow));
    await ctl('lpad', 'add', 'wf.json');
    await ctl('up', 'demo', '--count', String(WORKERS), '--spot');
    expect(sandbox.gcp.compute.vms.size).toBe(WORKERS);

    // Five that fly are taken back by Google.
    await until('many fly', async () => (await completed()) >= 40, MINUTE);
    const flying = (await ps()).filter((vm) => vm.worker === 'flying' && vm.flying?.length === 1);
    expect(flying.length).toBeGreaterThanOrEqual(PREEMPTED);
    const memory = await memoryOf(sandbox);
    const taken = flying.slice(0, PREEMPTED).map(({ name }) => name);
    await Promise.all(taken.map((name) => ctl('sandbox', 'preempt', name, '--dir', sandbox.dir)));
    expect((await ps()).map(({ name }) => name)).not.toContain(taken[0]);

    await until('half of it is done', async () => (await completed()) >= FIREWORKS / 2, MINUTE);
    await ctl('quit-soon', 'demo');
    await until('the first fleet has gone home', () => sandbox.gcp.compute.vms.size === 0, MINUTE);
    const left = FIREWORKS - (await completed());
    expect(left).toBeGreaterThan(0);
    expect(await launchpad.fireworks.countDocuments({ state: 'RUNNING' })).toBe(0);

    await ctl('up', 'demo', '--base', String(WORKERS), '--count', String(WORKERS));
    expect(await ctl('watch', '-i', '1')).toContain('1 workflow COMPLETED');
    await ctl('quit-when-idle', 'demo');
    await until('the second fleet has gone home', () => sandbox.gcp.compute.vms.size === 0, MINUTE);

    expect(await completed()).toBe(FIREWORKS);
    expect(await faultsIn(launchpad)).toEqual([]);
    // No worker asks any more, and everything that was asked for has come to its end.
    await Bun.sleep(SECOND);
    const before = calls.length;
    await Bun.sleep(2 * SECOND);
    expect(calls.slice(before)).toEqual([]);
    for (const zone of ['us-west1-b', 'us-west1-a']) expect(await openOperations(sandbox, zone)).toEqual([]);
    expect(await ctl('ps', 'demo', '--json')).toBe('[]\n');
    console.log(
      `30 workers took ${memory.toFixed(0)} MB each, on average; ${calls.length} calls of Google's APIs in all`,
    );
  },
  3 * MINUTE,
);

/** Runs the built borealisctl; what it prints. Throws when it fails. */
async function borealisctl(cwd: string, sandbox: Sandbox, words: readonly string[]): Promise<string> {
  const child = Bun.spawn([join(dist, 'borealisctl'), ...words], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: cwd, ...sandbox.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`borealisctl ${words.join(' ')}: ${out}${err}`);
  return out;
}

/** Megabytes of a worker of its own, on average: pages that they share are counted once. */
async function memoryOf(sandbox: Sandbox): Promise<number> {
  const pids = [...sandbox.gcp.compute.vms.values()].flatMap(({ vm }) => vm.pid ?? []);
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      const path = `/proc/${pid}/smaps_rollup`;
      const text = existsSync(path) ? await readFile(path, 'utf8').catch(() => '') : '';
      return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, pids.length);
}

async function openOperations(sandbox: Sandbox, zone: string): Promise<unknown[]> {
  const { CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: base, CLOUDSDK_CORE_PROJECT: project } = sandbox.env;
  const url = `${base}projects/${project}/zones/${zone}/operations?filter=${encodeURIComponent('status != DONE')}`;
  const { items = [] } = (await (await fetch(url)).json()) as { items?: unknown[] };
  return items;
}
