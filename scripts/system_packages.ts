/**
 * What the demo and the tests need from the system, beyond npm: who has it, and how to get it.
 * As root on Debian or Ubuntu it is installed after one line that says so; anywhere else the line to type is printed.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** A program that must be found, and Debian's package that brings it. */
export interface Need {
  /** A command on PATH, or an absolute path. */
  program: string;
  package: string;
  /** What goes without it, for the line that says so. */
  why: string;
}

const SBIN = '/usr/local/sbin:/usr/sbin:/sbin';

/** PATH with the sbin folders, where Debian keeps dockerd and iptables. */
export function pathWithSbin(env: Record<string, string | undefined> = process.env): string {
  return `${env.PATH ?? '/usr/bin:/bin'}:${SBIN}`;
}

/** The machine, as far as installing goes. */
export interface Machine {
  root: boolean;
  /** The text of /etc/os-release. */
  osRelease: string;
  has(program: string): boolean;
  /** Runs apt-get; null when it succeeded, else its last words. */
  apt(argv: string[]): Promise<string | null>;
}

export async function thisMachine(): Promise<Machine> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return { root: process.getuid?.() === 0, osRelease, has: hasProgram, apt };
}

/** The needs that are not met on this machine. */
export function missing(needs: readonly Need[], has = hasProgram): Need[] {
  return needs.filter((need) => !has(need.program));
}

function hasProgram(program: string): boolean {
  return program.startsWith('/')
    ? existsSync(program)
    : Bun.which(program, { PATH: pathWithSbin() }) !== null;
}

/** True when this process may install Debian packages. */
export function canInstall({ root, osRelease, has }: Machine): boolean {
  return root && has('apt-get') && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(osRelease);
}

/** The command that a person types to meet `needs`. */
export function installLine(needs: readonly Need[]): string {
  return `sudo apt-get update && sudo apt-get install -y ${packagesOf(needs).join(' ')}`;
}

function packagesOf(needs: readonly Need[]): string[] {
  return [...new Set(needs.map((need) => need.package))];
}

/**
 * Installs what is missing of `needs` when that is allowed here, and says so in one line through `say`.
 * Returns what is still missing afterwards: for each the caller leaves something out, and says what.
 */
export async function provide(
  needs: readonly Need[],
  say: (line: string) => void,
  machine?: Machine,
): Promise<Need[]> {
  const here = machine ?? (await thisMachine());
  const wanted = missing(needs, here.has);
  if (wanted.length === 0) return [];
  if (!canInstall(here)) {
    for (const need of wanted) say(`${need.program} is not installed: ${need.why}.`);
    say(`To install, on Debian or Ubuntu: ${installLine(wanted)}`);
    return wanted;
  }
  const packages = packagesOf(wanted);
  say(`Installing Debian packages that are missing here: ${packages.join(' ')}`);
  const install = (names: string[]) =>
    here.apt(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...names]);
  // The lists of a fresh image are empty or old: the first try may fail for that alone.
  const failure =
    (await install(packages)) &&
    ((await here.apt(['apt-get', 'update', '-qq'])) || (await install(packages)));
  // A package that this release does not have (packer, in Debian 13) keeps away all that are asked for with it.
  if (failure && packages.length > 1) for (const one of packages) await install([one]);
  const left = missing(needs, here.has);
  if (failure) {
    say(`apt-get failed: ${failure}`);
    for (const need of left) say(`${need.program} is not installed: ${need.why}.`);
  }
  return left;
}

/**
 * Runs apt-get without questions, and without Debian's starting of services. Returns its last words when it failed. In a
 * session of its own: a Ctrl-C at the terminal must not leave packages half installed.
 */
async function apt(argv: string[]): Promise<string | null> {
  const env = { ...process.env, PATH: pathWithSbin(), DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const child = Bun.spawn(argv, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const err = await new Response(child.stderr).text();
  return (await child.exited) === 0 ? null : err.trim().split('\n').at(-1) || `exit code ${child.exitCode}`;
}
