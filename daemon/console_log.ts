import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UsageError } from '../core/errors.ts';
import type { LogLine, Severity, Sink } from '../core/log.ts';

const RANK: Record<Severity, number> = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3 };

/** Lines for people on stdout: time, severity, who, what; `json` makes one JSON object a line for machines. */
export function consoleSink(o: { level: string; json: boolean; write?: (text: string) => void }): Sink {
  const least = RANK[(o.level === 'CRITICAL' ? 'ERROR' : o.level) as Severity] ?? RANK.INFO;
  const write = o.write ?? ((text: string) => void process.stdout.write(text));
  return (line) => {
    if (RANK[line.severity] < least) return;
    write(`${o.json ? jsonLine(line) : textLine(line)}\n`);
  };
}

/** A copy of the console's lines in `dir`/fireworker.log. Throws UsageError when that cannot be written. */
export function fileSink(dir: string, level: string): Sink {
  const path = join(dir, 'fireworker.log');
  try {
    mkdirSync(dir, { recursive: true });
    appendFileSync(path, '');
  } catch (thrown) {
    throw new UsageError(`logdir=${dir}: ${messageOf(thrown)}. Name a folder that can be written`);
  }
  return consoleSink({ level, json: false, write: (text) => appendFileSync(path, text) });
}

function textLine(line: LogLine): string {
  const { fw_id, task } = line.labels;
  const scope = [fw_id && `fw ${fw_id}`, task].filter(Boolean).join(' ');
  const data = line.data ? ` ${JSON.stringify(line.data)}` : '';
  return `${line.at.toISOString()} ${line.severity.padEnd(7)} ${scope ? `[${scope}] ` : ''}${line.message}${data}`;
}

function jsonLine(line: LogLine): string {
  return JSON.stringify({
    time: line.at.toISOString(),
    severity: line.severity,
    message: line.message,
    labels: line.labels,
    ...line.data,
  });
}
