import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
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

/** A copy of the console's lines in `dir`/fireworker.log. */
export function fileSink(dir: string, level: string): Sink {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'fireworker.log');
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
