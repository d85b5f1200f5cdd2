/**
 * Everything that borealisctl says. Data goes to stdout, what is said about it to stderr; a reader that has gone away
 * (`| head`) ends the command as if it had been done.
 */
import { writeSync } from 'node:fs';
import { BorealisError, codeOf, messageOf, UsageError } from '../core/errors.ts';

/** Tables are made for this many columns when nobody says how wide the terminal is. */
const DEFAULT_WIDTH = 80;

/** Writes to stdout at once, so that nothing is lost when the process exits. A closed pipe ends the process, with 0. */
export function print(text: string): void {
  write(1, text);
}

/** `print` with a line break. */
export function printLine(text = ''): void {
  write(1, `${text}\n`);
}

/** A line to stderr: what is said beside the data. */
export function note(text: string): void {
  write(2, `${text}\n`);
}

function write(fd: 1 | 2, text: string): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (thrown) {
      // Some parent made the pipe non-blocking, and it is full.
      if (codeOf(thrown) === 'EAGAIN') Bun.sleepSync(2);
      else if (codeOf(thrown) === 'EPIPE') process.exit(0);
      else throw thrown;
    }
  }
}

/** A value as indented JSON, for `--json`. Dates become ISO strings, Maps dictionaries. */
export function printJson(value: unknown): void {
  const text = JSON.stringify(
    value,
    (_, inner) => (inner instanceof Map ? Object.fromEntries(inner) : inner),
    2,
  );
  printLine(text);
}

/** One value as one line of JSON, for output that goes on. */
export function printJsonLine(value: unknown): void {
  printLine(JSON.stringify(value));
}

export interface Column<Row> {
  title: string;
  value: (row: Row) => string | number | undefined;
  align?: 'left' | 'right';
  /** The column that gives way when the table is too wide: its cells end in `…`. At most one; by default the widest. */
  shrinks?: boolean;
}

/** Prints rows as a table that fits the terminal, or 80 columns. No rows: only the titles. */
export async function printTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Promise<void> {
  printLine(await tableText(rows, columns, process.stdout.columns || DEFAULT_WIDTH));
}

/** The text of a table of at most `width` columns, as long as every column but one fits. */
export async function tableText<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  width = DEFAULT_WIDTH,
): Promise<string> {
  // Loaded here: most commands print no table, and start-up is measured.
  const { default: Table } = await import('cli-table3');
  const cells = rows.map((row) => columns.map((column) => String(column.value(row) ?? '')));
  const table = new Table({
    head: columns.map((column) => color.bold(column.title)),
    colAligns: columns.map((column) => column.align ?? 'left'),
    colWidths: columnWidths(columns, cells, width),
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  });
  table.push(...cells);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const GAP = 2;

/** No lines: they are copied along with the text, and cost width. */
const PLAIN = Object.fromEntries(
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle'
    .split(' ')
    .map((place) => [place, '']),
);

/** Natural widths, gap included; what is beyond `width` is taken from the column that gives way. */
function columnWidths<Row>(
  columns: readonly Column<Row>[],
  cells: readonly string[][],
  width: number,
): number[] {
  const widths = columns.map(
    (column, i) => GAP + Math.max(column.title.length, ...cells.map((row) => Bun.stringWidth(row[i] ?? ''))),
  );
  const total = widths.reduce((sum, one) => sum + one, 0) - GAP;
  const chosen = columns.findIndex((column) => column.shrinks);
  const yielding = chosen >= 0 ? chosen : widths.indexOf(Math.max(...widths));
  if (total > width && widths[yielding])
    widths[yielding] = Math.max(GAP + 8, widths[yielding] - (total - width));
  return widths;
}

type Stream = { isTTY?: boolean };

/** True when colours and redrawn lines are welcome on `stream`. */
export function isFancy(stream: Stream = process.stdout, env = process.env): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

const paint =
  (open: number, close = 39) =>
  (text: string) =>
    isFancy() ? `\x1b[${open}m${text}\x1b[${close}m` : text;

/** Colours for stdout: only on a terminal, and never with NO_COLOR. */
export const color = {
  bold: paint(1, 22),
  dim: paint(2, 22),
  red: paint(31),
  green: paint(32),
  yellow: paint(33),
  blue: paint(34),
  cyan: paint(36),
};

export interface Progress {
  /** What is going on now. Without a terminal a line is printed when the text has changed. */
  update(text: string): void;
  /** Takes the line away; `text`, when given, stays as the last word. */
  done(text?: string): void;
}

/** One line on stderr that tells how far something is: redrawn on a terminal, otherwise a line for each change. */
export function progress(): Progress {
  const fancy = isFancy(process.stderr);
  let shown = '';
  return {
    update(text) {
      if (text === shown) return;
      shown = text;
      if (fancy) write(2, `\r\x1b[K${text.slice(0, (process.stderr.columns || DEFAULT_WIDTH) - 1)}`);
      else note(text);
    },
    done(text) {
      if (fancy && shown) write(2, '\r\x1b[K');
      if (text !== undefined && (fancy || text !== shown)) note(text);
      shown = '';
    },
  };
}

/** Says what went wrong, once, on stderr, and returns the exit code that it deserves: 1 failed, 2 bad usage. */
export function report(thrown: unknown): number {
  if (codeOf(thrown) === 'EPIPE') return 0;
  if (thrown instanceof BorealisError) {
    note(`error: ${thrown.message}`);
    return thrown.exitCode;
  }
  if (thrown instanceof Error && thrown.name === 'CLIError') return report(new UsageError(thrown.message));
  // A bug, or something that nobody foresaw: its stack is for those who mend it.
  note(`error: ${thrown instanceof Error ? (thrown.stack ?? messageOf(thrown)) : messageOf(thrown)}`);
  return 1;
}

/** `report`, and out. */
export function fail(thrown: unknown): never {
  process.exit(report(thrown));
}
