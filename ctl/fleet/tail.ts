/** What is new in a log, told once, as it comes. */
import type { LogEntry } from '../../core/cloud/read_logs.ts';
import { MINUTE, SECOND } from '../../core/wait.ts';

/** Of one look, so that a chatty fleet does not fill the memory. */
const MOST_AT_ONCE = 20_000;

/** Entries come late: a worker sends them once a second, and longer after Logging was away. */
const LATE_MS = MINUTE;

export interface TailOptions {
  /** The newest `most` entries since a time (none: of all), oldest first. */
  list: (since: Date | null, most: number) => Promise<LogEntry[]>;
  /** How many of the past. */
  most: number;
  follow: boolean;
  sleep: (ms: number) => Promise<unknown>;
}

/** The newest entries, then with `follow` every later one, until whoever reads stops. */
export async function* tail({ list, most, follow, sleep }: TailOptions): AsyncGenerator<LogEntry> {
  const told = new Map<string, number>();
  let newest = 0;
  let oldest = 0;
  for (let first = true; ; first = false) {
    // Some time is read again and again, for what comes late; what is older than the first line that was told is not told.
    const since = first ? null : new Date(newest - LATE_MS);
    const entries = await list(since, first ? most : MOST_AT_ONCE);
    if (first && entries[0]) oldest = Date.parse(entries[0].timestamp);
    for (const entry of entries) {
      const ms = Date.parse(entry.timestamp);
      const isNew = ms >= oldest && !told.has(entry.insertId);
      told.set(entry.insertId, ms);
      newest = Math.max(newest, ms);
      if (isNew) yield entry;
    }
    if (!follow) return;
    for (const [id, ms] of told) if (ms < newest - 2 * LATE_MS) told.delete(id);
    await sleep(2 * SECOND);
  }
}
