import { describe, expect, test } from 'bun:test';
import { canInstall, installLine, type Machine, missing, type Need, provide } from './system_packages.ts';

const needs: Need[] = [
  { program: 'dockerd', package: 'docker.io', why: 'DockerTasks cannot run' },
  { program: 'docker', package: 'docker.io', why: 'DockerTasks cannot run' },
  { program: 'busybox', package: 'busybox-static', why: 'there is no image to run' },
];

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n';
const MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n';
const FEDORA = 'NAME="Fedora Linux"\nID=fedora\n';

test('only what is not found is asked for, each package once', () => {
  const wanted = missing(needs, (program) => program === 'busybox');
  expect(wanted.map((need) => need.program)).toEqual(['dockerd', 'docker']);
  expect(installLine(wanted)).toBe('sudo apt-get update && sudo apt-get install -y docker.io');
});

test('an absolute path is looked at as a file', () => {
  expect(missing([{ program: '/', package: 'base-files', why: '' }])).toEqual([]);
  expect(missing([{ program: '/no/such/program', package: 'none', why: '' }])).toHaveLength(1);
});

/** A machine on which `installs` says what a run of `apt-get install` ends with; it has apt-get and `has`. */
function machine(o: { root: boolean; osRelease: string; has?: string[]; installs?: (string | null)[] }) {
  const has = new Set(['apt-get', ...(o.has ?? [])]);
  const ran: string[] = [];
  const outcomes = [...(o.installs ?? [])];
  const apt = async (argv: string[]) => {
    ran.push(argv.join(' '));
    if (argv[1] !== 'install') return null;
    const outcome = outcomes.shift() ?? null;
    if (outcome === null) for (const need of needs) if (argv.includes(need.package)) has.add(need.program);
    return outcome;
  };
  const it: Machine = { root: o.root, osRelease: o.osRelease, has: (program) => has.has(program), apt };
  return { it, ran };
}

async function provided(it: Machine) {
  const said: string[] = [];
  const left = await provide(needs, (line) => said.push(line), it);
  return { said, left: left.map((need) => need.program) };
}

test.each([
  ['root on Debian', true, DEBIAN, true],
  ['root on what is like Debian', true, MINT, true],
  ['somebody else on Debian', false, DEBIAN, false],
  ['root on Fedora', true, FEDORA, false],
  ['root where nothing says what it is', true, '', false],
])('may %s install?', (_, root, osRelease, may) => {
  expect(canInstall(machine({ root, osRelease }).it)).toBe(may);
});

describe('provide', () => {
  test.each([
    ['without root', false, DEBIAN],
    ['elsewhere than on Debian', true, FEDORA],
  ])('%s it says what is left out and what to type, and runs nothing', async (_, root, osRelease) => {
    const { it, ran } = machine({ root, osRelease, has: ['docker'] });
    expect(await provided(it)).toEqual({
      said: [
        'dockerd is not installed: DockerTasks cannot run.',
        'busybox is not installed: there is no image to run.',
        'To install, on Debian or Ubuntu: sudo apt-get update && sudo apt-get install -y docker.io busybox-static',
      ],
      left: ['dockerd', 'busybox'],
    });
    expect(ran).toEqual([]);
  });

  const install = 'apt-get install -y -qq --no-install-recommends docker.io busybox-static';
  const line = 'Installing Debian packages that are missing here: docker.io busybox-static';

  test('as root on Debian it installs, after one line', async () => {
    const { it, ran } = machine({ root: true, osRelease: DEBIAN });
    expect(await provided(it)).toEqual({ said: [line], left: [] });
    expect(ran).toEqual([install]);
  });

  test('an old list of packages is fetched anew', async () => {
    const { it, ran } = machine({ root: true, osRelease: DEBIAN, installs: ['E: Unable to locate', null] });
    expect(await provided(it)).toEqual({ said: [line], left: [] });
    expect(ran).toEqual([install, 'apt-get update -qq', install]);
  });

  test('what cannot be installed is told, with what is left out', async () => {
    const { it } = machine({
      root: true,
      osRelease: DEBIAN,
      has: ['dockerd', 'docker'],
      installs: ['E: no', 'E: no'],
    });
    expect(await provided(it)).toEqual({
      said: [
        'Installing Debian packages that are missing here: busybox-static',
        'apt-get failed: E: no',
        'busybox is not installed: there is no image to run.',
      ],
      left: ['busybox'],
    });
  });

  test('a package that this release does not have does not keep the others away', async () => {
    const none = "E: Package 'busybox-static' has no installation candidate";
    const installs = [none, none, null, none];
    const { it, ran } = machine({ root: true, osRelease: DEBIAN, installs });
    expect(await provided(it)).toEqual({
      said: [line, `apt-get failed: ${none}`, 'busybox is not installed: there is no image to run.'],
      left: ['busybox'],
    });
    const alone = ['docker.io', 'busybox-static'].map((name) => install.replace(/docker\.io .*/, name));
    expect(ran).toEqual([install, 'apt-get update -qq', install, ...alone]);
  });

  test('where nothing is missing it says nothing', async () => {
    const { it, ran } = machine({ root: true, osRelease: DEBIAN, has: ['dockerd', 'docker', 'busybox'] });
    expect(await provided(it)).toEqual({ said: [], left: [] });
    expect(ran).toEqual([]);
  });
});
