/** Processes that live in a folder: what a run that keeps everything in one folder must not leave. Linux only. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { sleep } from '../core/wait.ts';

export interface Resident {
  pid: number;
  argv: string[];
}

/**
 * The processes, except this one, whose program, working folder, arguments or root file system (that of a container) are in
 * `folder`. Elsewhere than on Linux: none.
 */
export async function processesIn(folder: string): Promise<Resident[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => residentOf(Number(pid), folder)));
  return found.filter((one) => one !== null);
}

async function residentOf(pid: number, folder: string): Promise<Resident | null> {
  if (pid === process.pid) return null;
  const [program, cwd, argv, mounts] = await Promise.all([
    readlink(`/proc/${pid}/exe`).catch(() => ''),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
    argvOf(pid),
    readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => ''),
  ]);
  const inside = (path: string) => `${path}/`.startsWith(`${folder}/`);
  const lives =
    inside(program) ||
    inside(cwd) ||
    argv.some((word) => inside(word.replace(/^(--?[\w-]+=)?(unix:\/\/)?/, ''))) ||
    mounts.split('\n').some((line) => line.split(' ')[4] === '/' && line.includes(`${folder}/`));
  return lives ? { pid, argv } : null;
}

/** A process's words; none when it is gone. */
export async function argvOf(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);
}

/** Kills all of them, and returns when they are gone; after `patienceMs` it gives up. */
export async function killProcessesIn(folder: string, patienceMs = 5000): Promise<void> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(50)) {
    const residents = await processesIn(folder);
    if (residents.length === 0) return;
    for (const { pid } of residents) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended just now.
      }
    }
  }
}
