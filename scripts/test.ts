/**
 * Everything that can be tested on this machine, and none skipped in silence. For people before they push, and for CI.
 *
 *     npm test                     all of it
 *     npm test -- side_by_side     the checks and the tests whose file has that in its name
 *
 * The last line is `N passed, N failed, N skipped`. With CI=true a skipped test is a failure, unless it waits for a
 * MongoDB server (MONGODB_URI): none can be installed from Debian or npm.
 */
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from './build.ts';
import { dockerEngine } from './docker_engine.ts';
import { pythonEnv } from './python_env.ts';
import { pathWithSbin, provide } from './system_packages.ts';

const root = resolve(import.meta.dir, '..');
const only = process.argv.slice(2);
const inCI = process.env.CI === 'true';

interface Outcome {
  passed: number;
  failed: number;
  skipped: string[];
}

const say = (line: string) => console.log(`\n== ${line}`);

/** Runs one program in the checkout, its output shown as it comes. Returns its exit code. */
async function run(argv: string[], env: Record<string, string>): Promise<number> {
  const child = Bun.spawn(argv, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  return await child.exited;
}

async function check(argv: string[], env: Record<string, string>): Promise<Outcome> {
  const failed = (await run([process.execPath, 'x', ...argv], env)) === 0 ? 0 : 1;
  return { passed: 1 - failed, failed, skipped: [] };
}

/** Runs `bun test` on `files` and counts from its report, for its closing lines are made for people. */
async function bunTest(files: string[], env: Record<string, string>, folder: string): Promise<Outcome> {
  const report = join(folder, `report-${crypto.randomUUID()}.xml`);
  const code = await run(
    [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`, ...files],
    env,
  );
  const xml = await readFile(report, 'utf8').catch(() => '');
  await rm(report, { force: true });
  const total = /<testsuites[^>]* tests="(\d+)"[^>]* failures="(\d+)" skipped="(\d+)"/.exec(xml);
  // No report, or a file that does not even load: bun says so by its exit code alone.
  if (!total) return { passed: 0, failed: 1, skipped: [] };
  const [tests, failures, skips] = total.slice(1).map(Number) as [number, number, number];
  const skipped = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*>\s*<skipped/g)].map(
    (match) => match[1] ?? '',
  );
  return { passed: tests - failures - skips, failed: failures || (code === 0 ? 0 : 1), skipped };
}

/** What the run started and left: processes that carry its mark, and files in its temporary folder. */
async function leftBehind(mark: string, folder: string): Promise<string[]> {
  const left: string[] = [];
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    // A sandbox gives its VMs an environment of their own, but they live in a folder of the run.
    if (!environ.includes(`BOREALIS_TEST_RUN=${mark}`) && !cwd.startsWith(folder)) continue;
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    left.push(`process ${pid}: ${argv.replaceAll('\0', ' ').trim()}`);
  }
  for (const file of await readdir(folder)) {
    // Bun unpacks a binary's native library here once, under the hash of its content, and uses it again next time.
    if (!/^\.bun-.*\.node$/.test(file)) left.push(`file ${join(folder, file)}`);
  }
  return left;
}

const mark = crypto.randomUUID();
const folder = await mkdtemp(join(tmpdir(), 'borealis-test-'));
const reports = await mkdtemp(join(tmpdir(), 'borealis-reports-'));
const env: Record<string, string> = {
  ...(process.env as Record<string, string>),
  PATH: `${join(root, 'node_modules', '.bin')}:${pathWithSbin()}`,
  TMPDIR: folder,
  BOREALIS_TEST_RUN: mark,
};
const total: Outcome = { passed: 0, failed: 0, skipped: [] };
const failures: string[] = [];

async function step(name: string, work: () => Promise<Outcome>): Promise<void> {
  say(name);
  const outcome = await work();
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  total.skipped.push(...outcome.skipped);
  if (outcome.failed > 0) failures.push(name);
}

await provide(
  [
    { program: 'dockerd', package: 'docker.io', why: 'tests of DockerTask are skipped' },
    { program: 'docker-registry', package: 'docker-registry', why: 'tests of image pulls are skipped' },
    { program: '/usr/bin/busybox', package: 'busybox-static', why: 'tests of DockerTask are skipped' },
    { program: 'python3', package: 'python3', why: 'tests with Python FireWorks are skipped' },
    {
      program: '/usr/share/doc/python3-venv',
      package: 'python3-venv',
      why: 'tests with Python FireWorks are skipped',
    },
  ],
  say,
);
const engine = await dockerEngine({ say, without: 'tests of DockerTask are skipped' });
try {
  if (engine) env.DOCKER_HOST = engine.host;
  const python = await pythonEnv({ say });
  if (python) env.BOREALIS_PYTHON = python;

  await step('format and lint', () => check(['biome', 'check', '.'], env));
  await step('types', () => check(['tsc', '--noEmit'], env));
  const named = (file: string) => only.length === 0 || only.some((part) => file.includes(part));
  if (only.length === 0) {
    const rooms = ['core', 'daemon', 'ctl', 'sandbox', 'scripts', 'tests'];
    await step('fast tests', () => bunTest(rooms, env, reports));
  } else {
    const rooms = only.filter((part) => !part.includes('e2e'));
    if (rooms.length > 0)
      await step('fast tests', () => bunTest(['--pass-with-no-tests', ...rooms], env, reports));
  }
  const crossing = (await readdir(join(root, 'tests')))
    .filter((file) => file.endsWith('.e2e.ts'))
    .filter(named);
  if (crossing.length > 0) {
    await step('build', async () => {
      await build();
      return { passed: 1, failed: 0, skipped: [] };
    });
  }
  for (const file of crossing.sort()) {
    await step(file, () => bunTest([`./tests/${file}`], env, reports));
  }
} finally {
  await engine?.stop();
}
await step('nothing is left behind', async () => {
  const left = await leftBehind(mark, folder);
  for (const thing of left) console.log(thing);
  return { passed: left.length === 0 ? 1 : 0, failed: left.length, skipped: [] };
});
await Promise.all([folder, reports].map((path) => rm(path, { recursive: true, force: true })));

const unexcused = total.skipped.filter((name) => !name.includes('MONGODB_URI'));
if (total.skipped.length > 0) {
  say('skipped');
  for (const name of total.skipped) console.log(name);
}
if (inCI && unexcused.length > 0) failures.push(`${unexcused.length} skipped tests, which CI may not skip`);
const failed = total.failed + (inCI ? unexcused.length : 0);
if (failures.length > 0) say(`failed: ${failures.join(', ')}`);
console.log(`\n${total.passed} passed, ${failed} failed, ${total.skipped.length} skipped`);
process.exit(failed === 0 ? 0 : 1);
