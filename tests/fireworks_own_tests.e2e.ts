/**
 * FireWorks' own tests, as PyPI's package has them, on the one-machine LaunchPad. They connect to localhost:27017 and nowhere
 * else. Two of them hold a lock for 45 seconds each, so they fly beside the others, each in a database of its own.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;

const SUITES = ['fireworks.core.tests', 'fireworks.tests', 'fireworks.user_objects'];
/** What runs side by side, as pytest's -k selects it: each test is in one of them. */
const PARTS = ['not WFLockTest', 'WFLockTest and completed', 'WFLockTest and not completed'];
const PASSED = 106;
/** The database's name as FireWorks' tests of the LaunchPad have it. */
const DATABASE = '"fireworks_unittest"';

const ZOPEN = "FireWorks calls monty's zopen without a mode, which newer ones of monty do not take";
const FILES = "the test reads YAML and text files that PyPI's package is without";

/** What fails on any server, and why. */
const FAILS: Readonly<Record<string, string>> = {
  'LaunchPadOfflineTest.test__recover_completed': ZOPEN,
  'GridfsStoredDataTest.test_many_detours_offline': ZOPEN,
  'CommonAdapterTest.test_override': FILES,
  'CommonAdapterTest.test_serialization': FILES,
  'CommonAdapterTest.test_status_cmd_pbs': FILES,
  'CommonAdapterTest.test_yaml_load': FILES,
  'FileWriteDeleteTest.test_run': FILES,
  'CompressDecompressArchiveDirTest.test_compress_dir': FILES,
  'FilePadTasksTest.test_addfilesfrompatterntask_run': FILES,
  'FilePadTasksTest.test_addfilestask_run': FILES,
  'FilePadTasksTest.test_getfilestask_run': FILES,
};

const PYMONGO = 'FireWorks skips it with pymongo 4';
const USERS = 'wants a server that lets a nobody make users';

/** What is skipped on any server, and why. */
const SKIPS: Readonly<Record<string, string>> = {
  'AuthenticationTest.test_no_admin_privileges_for_plebs': USERS,
  'AuthenticationTest.test_authenticating_to_users_db': USERS,
  'AuthenticationTest.test_authsource_inferred_from_db_name': USERS,
  'LaunchPadLostRunsDetectTest.test_detect_lostruns': PYMONGO,
  'LaunchPadLostRunsDetectTest.test_detect_lostruns_defuse': PYMONGO,
  'LaunchPadLostRunsDetectTest.test_state_after_run_start': PYMONGO,
  'FilePadTasksTest.test_getfilesbyquerytask_run': 'FireWorks skips it always',
};

/** The server, or why there is none. */
const server: Mongo | string = python
  ? await startMongo({ port: 27017 }).catch((thrown) => `port 27017 is taken (${thrown.message})`)
  : 'there is no BOREALIS_PYTHON (bun scripts/python_env.ts)';
if (typeof server === 'string') console.log(`FireWorks' own tests: skipped, for ${server}`);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fireworks-tests-'));
});
afterAll(async () => {
  if (typeof server !== 'string') await server.stop();
  await rm(folder, { recursive: true });
});

/** Runs Python to its end. */
async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn([python as string, ...argv], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return said.join('');
}

type End = 'passed' | 'failed' | 'skipped';

/** Each test's name and how it ended. */
async function ownTests(): Promise<Map<string, End>> {
  const where = await run(['-c', 'import fireworks, os; print(os.path.dirname(fireworks.__file__))']);
  const ended = await Promise.all(PARTS.map((part, n) => testsIn(part, n, where.trim())));
  return new Map(ended.flat());
}

async function testsIn(part: string, n: number, installed: string): Promise<[string, End][]> {
  // The tests write into, and pack, the folder that they lie in: they run from a copy of the package.
  const home = join(folder, `part-${n}`);
  await cp(installed, join(home, 'fireworks'), { recursive: true });
  const naming = join(home, 'fireworks/core/tests/test_launchpad.py');
  const tests = await readFile(naming, 'utf8');
  expect(tests).toContain(DATABASE);
  await writeFile(naming, tests.replaceAll(DATABASE, `"fireworks_unittest_${n}"`));
  const report = join(home, 'report.xml');
  const options = ['-q', '-p', 'no:cacheprovider', '--disable-warnings', `--junitxml=${report}`];
  const said = await run(['-m', 'pytest', ...options, '-k', part, '--pyargs', ...SUITES], {
    PYTHONPATH: home,
    PYTHONDONTWRITEBYTECODE: '1',
    HOME: home,
    TMPDIR: home,
  });
  const xml = await readFile(report, 'utf8').catch(() => {
    throw new Error(said);
  });
  const cases = [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)];
  return cases.map(([, attributes = '', inside = '']) => {
    const named = (attribute: string) => new RegExp(`\\b${attribute}="([^"]*)"`).exec(attributes)?.[1] ?? '';
    const name = `${named('classname').split('.').at(-1)}.${named('name')}`;
    const failed = /<(failure|error)\b/.test(inside);
    return [name, failed ? 'failed' : inside.includes('<skipped ') ? 'skipped' : 'passed'];
  });
}

test.skipIf(typeof server === 'string')(
  "FireWorks' own tests pass",
  async () => {
    const ended = await ownTests();
    const those = (how: End) => [...ended].filter((one) => one[1] === how).map(([name]) => name);
    expect(those('failed').filter((name) => !(name in FAILS))).toEqual([]);
    expect(those('skipped').filter((name) => !(name in SKIPS))).toEqual([]);
    expect(those('passed').length).toBeGreaterThanOrEqual(PASSED);
  },
  400_000,
);
