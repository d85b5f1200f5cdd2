/**
 * What every room logs through. A logger is narrowed once (worker, Firework, launch, container) with `with` and handed
 * down; nobody pastes ids into messages. Where lines go (console, JSON, Cloud Logging) is the sink's affair.
 */
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
