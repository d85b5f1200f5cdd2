/**
 * What every room logs through. A logger is narrowed once (worker, Firework, launch, container) with `with` and handed
 * down; nobody pastes ids into messages. Where lines go (console, JSON, Cloud Logging) is the sink's affair.
 */
import { messageOf } from './errors.ts';

export type Severity = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR';

/** What narrows a line: plain strings and numbers, so that they can become labels. */
export type Labels = Record<string, string | number>;

export interface LogLine {
  at: Date;
  severity: Severity;
  message: string;
  labels: Labels;
  /** Further facts about this line only. */
  data?: Record<string, unknown>;
}

export type Sink = (line: LogLine) => void;

export interface Logger {
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warning(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
  /** The same logger with more labels. */
  with(labels: Labels): Logger;
}

/** `data` as plain JSON values, whatever it holds: what a sink may keep, print and send. Never throws. */
export function plainData(data: Record<string, unknown>): Record<string, unknown> {
  const plain = (_: string, value: unknown) =>
    typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))
      ? String(value)
      : value instanceof Error
        ? value.message
        : value;
  try {
    return JSON.parse(JSON.stringify(data, plain));
  } catch (thrown) {
    return { data: `cannot be shown: ${messageOf(thrown).split('\n')[0]}` };
  }
}

/** A logger that hands each line to all of `sinks`. */
export function loggerTo(sinks: readonly Sink[], labels: Labels = {}): Logger {
  const say = (severity: Severity) => (message: string, data?: Record<string, unknown>) => {
    const line: LogLine = { at: new Date(), severity, message, labels, ...(data && { data }) };
    for (const sink of sinks) sink(line);
  };
  return {
    debug: say('DEBUG'),
    info: say('INFO'),
    warning: say('WARNING'),
    error: say('ERROR'),
    with: (more) => loggerTo(sinks, { ...labels, ...more }),
  };
}

/** A logger that drops everything. */
export const silent: Logger = loggerTo([]);
