import { appendFileSync, fstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UsageError } from '../core/errors.ts';
import { type LogLine, plainData, type Severity, type Sink } from '../core/log.ts';
import type { SlowStream } from './slow_stream.ts';

const RANK: Record<Severity, number> = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3 };

/** journald's priorities. https://www.freedesktop.org/software/systemd/man/sd-daemon.html */
const PRIORITY: Record<Severity, number> = { DEBUG: 7, INFO: 6, WARNING: 4, ERROR: 3 };

/** Lines for people: time, severity, who, what; `json` makes one JSON object a line for machines. */
export function consoleSink(o: { level: string; json: boolean; to: SlowStream; journal?: boolean }): Sink {
  const show = o.json ? jsonLine : o.journal ? journalLine : textLine;
  return lineSink(rankOf(o.level), (line) => o.to.write(show(line)));
}

/**
 * What happens, in `dir`/fireworker.log: INFO and more, whatever the console shows, and what tasks print when `strm_lvl` is
 * DEBUG. As FireWorks' log files it grows and is not rotated; it is opened for each line, so that others may rotate it. Throws
 * UsageError when it cannot be written.
 */
export function fileSink(dir: string, level: string): Sink {
  const path = join(dir, 'fireworker.log');
  try {
    mkdirSync(dir, { recursive: true });
    appendFileSync(path, '');
  } catch (thrown) {
    throw new UsageError(`logdir=${dir}: ${messageOf(thrown)}. Name a folder that can be written`);
  }
  return lineSink(Math.min(rankOf(level), RANK.INFO), (line) => {
    try {
      appendFileSync(path, textLine(line));
      return true;
    } catch {
      // The disk is full, or the folder is gone: no reason to stop flying.
      return false;
    }
  });
}

/** Whether stdout is journald's, which takes a priority with each line. */
export function isJournal(env: Readonly<Record<string, string | undefined>>, fd = 1): boolean {
  if (!env.JOURNAL_STREAM) return false;
  const { dev, ino } = fstatSync(fd);
  return env.JOURNAL_STREAM === `${dev}:${ino}`;
}

/** What `write` cannot take is counted, and told in its place when there is room again. */
function lineSink(least: number, write: (line: LogLine) => boolean): Sink {
  let dropped = 0;
  return (line) => {
    if (RANK[line.severity] < least) return;
    const message = `${dropped} lines were dropped here: they could not be written`;
    if (dropped > 0 && write({ ...line, severity: 'WARNING', message, data: undefined })) dropped = 0;
    if (dropped > 0 || !write(line)) dropped++;
  };
}

function rankOf(level: string): number {
  return RANK[(level === 'CRITICAL' ? 'ERROR' : level) as Severity] ?? RANK.INFO;
}

function textLine(line: LogLine): string {
  const { fw_id, task } = line.labels;
  const scope = [fw_id && `fw ${fw_id}`, task].filter(Boolean).join(' ');
  const data = line.data ? ` ${JSON.stringify(plainData(line.data))}` : '';
  return `${line.at.toISOString()} ${line.severity.padEnd(7)} ${scope ? `[${scope}] ` : ''}${line.message}${data}\n`;
}

/** Each line of a text is an entry of the journal, and wants its own priority. */
function journalLine(line: LogLine): string {
  return textLine(line).replaceAll(/^(?=.)/gm, `<${PRIORITY[line.severity]}>`);
}

function jsonLine(line: LogLine): string {
  const { at, severity, message, labels, data } = line;
  const own = { time: at.toISOString(), severity, message, labels };
  // Twice: first for people who look at it, last so that data of the same names does not take their place.
  return `${JSON.stringify({ ...own, ...(data && plainData(data)), ...own })}\n`;
}
