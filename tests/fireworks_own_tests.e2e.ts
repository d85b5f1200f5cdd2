/**
 * FireWorks' own tests, unmodified, from PyPI's source package, on the one-machine LaunchPad. They connect to localhost:27017
 * and nowhere else. Two of them hold a lock for 45 seconds each, so they fly beside the others, each in a database of its own.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';
import { fireworksSource } from '../scripts/python_env.ts';

const python = process.env.BOREALIS_PYTHON;

const SUITES = ['fireworks.core.tests', 'fireworks.tests', 'fireworks.user_objects'];
/** What runs side by side, as pytest's -k selects it: each test is in one of them. */
const PARTS = ['not WFLockTest', 'WFLockTest and completed', 'WFLockTest and not completed'];
const PASSED = 117;

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

const source = python ? await fireworksSource(python, console.log) : null;

/** The server, or why there is none. */
const server: Mongo | string = !python
  ? 'there is no BOREALIS_PYTHON (bun scripts/python_env.ts)'
  : !source
    ? "there is no source package of FireWorks'"
    : await startMongo({ port: 27017 }).catch((thrown) => `port 27017 is taken (${thrown.message})`);
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
  const ended = await Promise.all(PARTS.map((part, n) => testsIn(part, n)));
  return new Map(ended.flat());
}

async function testsIn(part: string, n: number): Promise<[string, End][]> {
  // The tests write into, and pack, the folder that they lie in: each part has its own.
  const home = join(folder, `part-${n}`);
  await mkdir(home);
  await run(['-m', 'tarfile', '-e', source as string, home]);
  const plugin = `import fireworks.core.tests.test_launchpad as tests\ntests.TEST_DB_NAME += '_${n}'\n`;
  await writeFile(join(home, 'own_database.py'), plugin);
  const report = join(home, 'report.xml');
  const quiet = ['-q', '-p', 'no:cacheprovider', '--disable-warnings', `--junitxml=${report}`];
  const options = [...quiet, '-p', 'own_database', '-k', part];
  const said = await run(['-m', 'pytest', ...options, '--pyargs', ...SUITES], {
    PYTHONPATH: `${home}:${join(home, basename(source as string, '.tar.gz'))}`,
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
    expect(those('failed')).toEqual([]);
    expect(those('skipped').filter((name) => !(name in SKIPS))).toEqual([]);
    expect(those('passed').length).toBeGreaterThanOrEqual(PASSED);
  },
  400_000,
);
