/**
 * Everything that can be tested on this machine, and none skipped in silence. For people before they push, and for CI.
 *
 *     npm test                     all of it
 *     npm test -- side_by_side     the checks and the tests whose file has that in its name
 *
 * The last line is `N passed, N failed, N skipped`; before it stand how long each part took, and the names of the tests that
 * failed. With CI=true a skipped test is a failure, unless it waits for a MongoDB server (MONGODB_URI): none can be installed
 * from Debian or npm. What does not end within its time is ended, and has failed. Ctrl-C ends all of it, and leaves nothing.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';
import { build, buildLibrary } from './build.ts';
import { DEBIAN_ROOT_NEEDS } from './debian_root.ts';
import { dockerEngine } from './docker_engine.ts';
import { fakeGcsServer } from './fake_gcs_server.ts';
import { reportOf } from './junit_report.ts';
import { argvOf, processesIn, type Resident } from './processes_in.ts';
import { pythonEnv } from './python_env.ts';
import { pathWithSbin, provide } from './system_packages.ts';

const root = resolve(import.meta.dir, '..');
const only = process.argv.slice(2);
const inCI = process.env.CI === 'true';

/** For one check or one file. Several times what the slowest takes: a hung run is worse than a failed one. */
const WITHIN_MS = 10 * MINUTE;

/** For one test that does not say itself: what takes a second here may take 20 on a busy machine. */
const TEST_WITHIN_MS = MINUTE;

/** One file more at once than there are cores: most tests wait for a process or a socket. */
const SIDE_BY_SIDE = [`--parallel=${availableParallelism() + 1}`, '--no-isolate'];

/** So many tests that failed are named at the end: more have a cause in common. */
const MOST_NAMED = 50;

interface Outcome {
  passed: number;
  failed: number;
  skipped: string[];
  /** The tests that failed, as far as they are known by name. */
  failures?: string[];
}

const say = (line: string) => console.log(`\n== ${line}`);

const mark = crypto.randomUUID();
const folder = await mkdtemp(join(tmpdir(), 'borealis-test-'));
const reports = await mkdtemp(join(tmpdir(), 'borealis-reports-'));
const bin = join(root, 'node_modules', '.bin');
const env: Record<string, string> = {
  ...(process.env as Record<string, string>),
  PATH: `${bin}:${pathWithSbin()}`,
  TMPDIR: folder,
  BOREALIS_TEST_RUN: mark,
};

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interruption.abort(name));

/** Runs one program in the checkout, its output shown as it comes. Returns its exit code; null when it was ended. */
async function run(argv: string[]): Promise<number | null> {
  const child = Bun.spawn(argv, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const limit = AbortSignal.timeout(WITHIN_MS);
  const end = AbortSignal.any([limit, interruption.signal]);
  const ended = new Promise<null>((resolve) => {
    if (end.aborted) resolve(null);
    end.addEventListener('abort', () => resolve(null));
  });
  const code = await Promise.race([child.exited, ended]);
  if (code !== null) return code;
  if (limit.aborted) say(`${argv.at(-1)} did not end within ${WITHIN_MS / MINUTE} minutes: it is ended here`);
  await killAll();
  return null;
}

/** Processes that this run started: they carry its mark, or live in its folder (a sandbox's VMs, containers). */
async function startedHere(): Promise<Resident[]> {
  const found = new Map((await processesIn(folder)).map((one) => [one.pid, one]));
  for (const pid of (await readdir('/proc').catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    if (pid === process.pid || found.has(pid)) continue;
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (environ.includes(`BOREALIS_TEST_RUN=${mark}`)) found.set(pid, { pid, argv: await argvOf(pid) });
  }
  return [...found.values()];
}

async function killAll(): Promise<void> {
  for (const end = Date.now() + 10 * SECOND; Date.now() < end; await sleep(100)) {
    const left = await startedHere();
    if (left.length === 0) return;
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended just now.
      }
    }
  }
}

async function check(name: string, ...args: string[]): Promise<Outcome> {
  const failed = (await run([join(bin, name), ...args])) === 0 ? 0 : 1;
  return { passed: 1 - failed, failed, skipped: [] };
}

/** Runs `bun test` on `files` and counts from its report, for its closing lines are made for people. */
async function bunTest(...files: string[]): Promise<Outcome> {
  const report = join(reports, `${crypto.randomUUID()}.xml`);
  const code = await run([
    process.execPath,
    'test',
    `--timeout=${TEST_WITHIN_MS}`,
    '--reporter=junit',
    `--reporter-outfile=${report}`,
    ...files,
  ]);
  const xml = await readFile(report, 'utf8').catch(() => '');
  await rm(report, { force: true });
  const said = reportOf(xml);
  const { passed, skipped, failed: failures } = said ?? { passed: 0, skipped: [], failed: [] };
  // A file that does not load, and what fails between tests, is in no report. Bun says so by its exit code alone.
  if (code !== 0 && failures.length === 0)
    failures.push(
      `${files.at(-1)}: ${code === null ? 'was ended' : 'fails outside of its tests'}, see above`,
    );
  return { passed, failed: failures.length, skipped, failures };
}

/** What the run started and left: processes, and files in its temporary folder. */
async function leftBehind(): Promise<string[]> {
  const left = (await startedHere()).map(({ pid, argv }) => `process ${pid}: ${argv.join(' ')}`);
  for (const file of await readdir(folder)) {
    // Bun unpacks a binary's native library here once, under the hash of its content, and uses it again next time.
    if (!/^\.bun-.*\.node$/.test(file)) left.push(`file ${join(folder, file)}`);
  }
  return left;
}

const total: Outcome = { passed: 0, failed: 0, skipped: [] };
const failures: string[] = [];
const failedTests: string[] = [];
const times: string[] = [];

async function step(name: string, work: () => Promise<Outcome>): Promise<void> {
  if (interruption.signal.aborted) return;
  say(name);
  const started = performance.now();
  const outcome = await work().catch((thrown): Outcome => {
    console.log(messageOf(thrown));
    return { passed: 0, failed: 1, skipped: [] };
  });
  times.push(`${((performance.now() - started) / SECOND).toFixed(1).padStart(7)} s  ${name}`);
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  total.skipped.push(...outcome.skipped);
  if (outcome.failed > 0) failures.push(name);
  failedTests.push(...(outcome.failures ?? []));
}

/** All checks and tests, in the order in which they tell most. */
async function testAll(): Promise<void> {
  await step('format and lint', () => check('biome', 'check', '--error-on-warnings', '.'));
  await step('types', () => check('tsc', '--noEmit'));
  if (only.length === 0) {
    await step('fast tests', () =>
      bunTest(...SIDE_BY_SIDE, 'core', 'daemon', 'ctl', 'library', 'sandbox', 'scripts', 'tests'),
    );
  } else {
    const rooms = only.filter((part) => !part.includes('e2e'));
    if (rooms.length > 0)
      await step('fast tests', () => bunTest(...SIDE_BY_SIDE, '--pass-with-no-tests', ...rooms));
  }
  const named = (file: string) => only.length === 0 || only.some((part) => file.includes(part));
  const crossing = (await readdir(join(root, 'tests'))).filter(
    (file) => file.endsWith('.e2e.ts') && named(file),
  );
  if (crossing.length === 0) return;
  await step('build', async () => {
    await build();
    await buildLibrary();
    return { passed: 1, failed: 0, skipped: [] };
  });
  for (const file of crossing.sort()) await step(file, () => bunTest(`./tests/${file}`));
}

await provide(
  [
    { program: 'docker-registry', package: 'docker-registry', why: 'tests of image pulls are skipped' },
    { program: '/usr/bin/busybox', package: 'busybox-static', why: 'tests of DockerTask are skipped' },
    { program: 'packer', package: 'packer', why: "the disk image's template is not validated" },
    { program: 'shellcheck', package: 'shellcheck', why: "the disk image's script is not checked" },
    { program: 'qemu-aarch64-static', package: 'qemu-user-static', why: 'binaries for arm64 are not tried' },
    {
      program: '/usr/aarch64-linux-gnu',
      package: 'libc6-arm64-cross',
      why: 'binaries for arm64 are not tried',
    },
    {
      program: '/usr/aarch64-linux-gnu/lib/libgcc_s.so.1',
      package: 'libgcc-s1-arm64-cross',
      why: 'binaries for arm64 are not tried',
    },
    { program: 'sshd', package: 'openssh-server', why: 'FileTransferTask is not tried by SFTP' },
    { program: 'sftp', package: 'openssh-client', why: 'FileTransferTask is not tried by SFTP' },
    { program: 'faketime', package: 'faketime', why: 'a clock that is set back is not tried' },
    { program: 'setpriv', package: 'util-linux', why: 'the demo is not tried without root' },
    { program: 'systemd-analyze', package: 'systemd', why: 'the unit file is not verified' },
    { program: 'zsh', package: 'zsh', why: 'completion is not tried in zsh' },
    { program: 'fish', package: 'fish', why: 'completion is not tried in fish' },
    ...DEBIAN_ROOT_NEEDS,
  ],
  say,
);
const engine = await dockerEngine({
  say,
  without: 'tests of DockerTask are skipped',
  signal: interruption.signal,
});
try {
  if (engine) env.DOCKER_HOST = engine.host;
  if (only.length === 0 || only.some((part) => 'staging.e2e.ts'.includes(part))) await fakeGcsServer(say);
  const python = await pythonEnv({ say });
  if (python) env.BOREALIS_PYTHON = python;
  await testAll();
} finally {
  await engine?.stop();
}
await step('nothing is left behind', async () => {
  const left = await leftBehind();
  for (const thing of left) console.log(thing);
  return { passed: left.length === 0 ? 1 : 0, failed: left.length, skipped: [] };
});
await killAll();
await Promise.all([folder, reports].map((path) => rm(path, { recursive: true, force: true })));

const unexcused = total.skipped.filter((name) => !name.includes('MONGODB_URI'));
if (total.skipped.length > 0) {
  say('skipped');
  for (const name of total.skipped) console.log(name);
}
if (inCI && unexcused.length > 0) failures.push(`${unexcused.length} skipped tests, which CI may not skip`);
const failed = total.failed + (inCI ? unexcused.length : 0);
say('times');
for (const time of times) console.log(time);
if (interruption.signal.aborted) say(`interrupted by ${interruption.signal.reason}: the rest was not run`);
if (failures.length > 0) say(`failed: ${failures.join(', ')}`);
// The last of all: of a long log often only the end is kept.
for (const name of failedTests.slice(0, MOST_NAMED)) console.log(name);
if (failedTests.length > MOST_NAMED) console.log(`and ${failedTests.length - MOST_NAMED} more`);
console.log(`\n${total.passed} passed, ${failed} failed, ${total.skipped.length} skipped`);
process.exit(interruption.signal.aborted ? 130 : failed === 0 ? 0 : 1);
