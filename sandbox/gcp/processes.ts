/** Processes by their identity, not by their number alone: a number is used again, a number with its start time is not. */
import { readFileSync } from 'node:fs';

export interface ProcessId {
  pid: number;
  /** Changes when the number is given to another process. */
  started: string;
}

/** Who has this number now; null when nobody has. */
export function identify(pid: number): ProcessId | null {
  try {
    // The fields after the name in parentheses, which may hold anything; the 22nd of all is the start time.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return null;
    return { pid, started: fields[19] ?? '' };
  } catch {
    if (process.platform === 'linux') return null;
    const ps = Bun.spawnSync(['ps', '-o', 'lstart=', '-p', String(pid)]);
    const started = ps.stdout.toString().trim();
    return started ? { pid, started } : null;
  }
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.started === id.started;
}

/** Sends a signal to the whole group that a process leads, if it is still that process. */
export function signalGroup(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(id)) return;
  try {
    process.kill(-id.pid, signal);
  } catch {
    // It ended just now.
  }
}
