import { expect, test } from 'bun:test';
import type { LogEntry } from '../../core/cloud/read_logs.ts';
import { tail } from './tail.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const entry = (insertId: string, second: number): LogEntry => ({
  insertId,
  timestamp: new Date(START + second * 1000).toISOString(),
  severity: 'INFO',
  labels: {},
  message: insertId,
});

/** Follows a log to which each look adds `comes[i]`; what is told until the looks are over. */
async function follow(comes: LogEntry[][], most: number): Promise<string> {
  const log: LogEntry[] = [];
  const told: string[] = [];
  let look = 0;
  const list = async (since: Date | null, atMost: number) => {
    log.push(...(comes[look] ?? []));
    const found = log
      .filter(({ timestamp }) => !since || Date.parse(timestamp) >= since.getTime())
      .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    return found.slice(Math.max(0, found.length - atMost));
  };
  const entries = tail({ list, most, follow: comes.length > 1, sleep: async () => look++ });
  for await (const { message } of entries) {
    told.push(message);
    if (look === comes.length - 1 && message === comes.at(-1)?.at(-1)?.message) break;
  }
  return told.join(' ');
}

test('the newest lines of the past, and the end', async () => {
  expect(await follow([[entry('a', 0), entry('b', 1), entry('c', 2)]], 2)).toBe('b c');
  expect(await follow([[]], 2)).toBe('');
});

test('each line once, what comes late too, nothing from before the beginning', async () => {
  const comes = [
    [entry('a', 0), entry('b', 1), entry('c', 2)],
    [],
    [entry('late', 1.5), entry('d', 3)],
    [entry('e', 200)],
    [entry('f', 300)],
  ];
  expect(await follow(comes, 2)).toBe('b c late d e f');
});

test('a log that is empty at first', async () => {
  expect(await follow([[], [entry('a', 0)], [entry('b', 1)]], 10)).toBe('a b');
});
