/**
 * FireWorks' own tests, as PyPI's package has them, on the one-machine LaunchPad. They connect to localhost:27017 and nowhere
 * else, and two of them wait 45 seconds each for a lock: all take a bit more than two minutes.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;

const SUITES = ['fireworks.core.tests', 'fireworks.tests', 'fireworks.user_objects'];
const PASSED = 106;

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
  // The tests write into, and pack, the folder that they lie in: they run from a copy of the package.
  const where = await run(['-c', 'import fireworks, os; print(os.path.dirname(fireworks.__file__))']);
  await cp(where.trim(), join(folder, 'package', 'fireworks'), { recursive: true });
  const report = join(folder, 'report.xml');
  const options = ['-q', '-p', 'no:cacheprovider', '--disable-warnings', `--junitxml=${report}`];
  const said = await run(['-m', 'pytest', ...options, '--pyargs', ...SUITES], {
    PYTHONPATH: join(folder, 'package'),
    PYTHONDONTWRITEBYTECODE: '1',
    HOME: folder,
    TMPDIR: folder,
  });
  const xml = await readFile(report, 'utf8').catch(() => {
    throw new Error(said);
  });
  const ended = new Map<string, End>();
  for (const [, attributes = '', inside = ''] of xml.matchAll(
    /<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs,
  )) {
    const named = (attribute: string) => new RegExp(`\\b${attribute}="([^"]*)"`).exec(attributes)?.[1] ?? '';
    const name = `${named('classname').split('.').at(-1)}.${named('name')}`;
    const failed = /<(failure|error)\b/.test(inside);
    ended.set(name, failed ? 'failed' : inside.includes('<skipped ') ? 'skipped' : 'passed');
  }
  return ended;
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
