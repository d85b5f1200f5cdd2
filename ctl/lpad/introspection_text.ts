/** FireWorks' text of an introspection: tables as Python's `tabulate` draws them. */
import type { Difference, Subject } from '../../core/launchpad/index.ts';
import { generalFormat } from './python_text.ts';

const TITLES: Record<Subject, string> = {
  launches: 'launches.actions.stored_data._exception._stacktrace',
  tasks: 'fireworks.spec._tasks',
  fireworks: 'fireworks.spec',
  workflows: 'workflows.metadata',
};

const HEADS = ['key', 'value', '#C', '#F', '%C - %F'];

export function introspectionText(subject: Subject, found: readonly Difference[]): string {
  const title = `Introspection report for ${TITLES[subject]}`;
  const line = '='.repeat(title.length);
  return [line, title, line, ...(subject === 'launches' ? traces(found) : [table(found)])].join('\n');
}

function traces(found: readonly Difference[]): string[] {
  return found.flatMap(({ value, fizzled }) => [
    `----${fizzled} Failures have the following stack trace--------------`,
    value,
    '',
  ]);
}

function table(found: readonly Difference[]): string {
  const rows = found.map((one) => [one.key, one.value, one.completed, one.fizzled, one.difference]);
  const columns = HEADS.map((head, i) =>
    column(
      head,
      rows.map((row) => String(row[i])),
      i === 4,
    ),
  );
  const lines = Array.from({ length: found.length + 2 }, (_, i) =>
    columns.map((cells) => cells[i]).join('  '),
  );
  return lines.map((text) => text.trimEnd()).join('\n');
}

const isTruth = (text: string) => text === 'True' || text === 'False';
const isWhole = (text: string) => isTruth(text) || /^\s*[+-]?\d+(_\d+)*\s*$/.test(text);
const isNumber = (text: string) =>
  isWhole(text) ||
  /^\s*[+-]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text) ||
  /^(-?inf|nan)$/i.test(text);

/** A head has two columns of room beside it. */
const ROOM = 2;

/** The cells of a column, all of one width: its head, a line, the values. Numbers are told by their look, as by tabulate. */
function column(head: string, values: readonly string[], isFloat: boolean): string[] {
  const whole = values.every(isWhole) && !isFloat;
  const numbers = values.every(isNumber) && !values.every(isTruth);
  const texts =
    numbers && !whole
      ? alignPoints(values.map((value) => (isTruth(value) ? value : generalFormat(Number(value)))))
      : values;
  const width = Math.max(head.length + ROOM, ...texts.map((text) => text.length));
  const pad = (text: string) => (numbers ? text.padStart(width) : text.padEnd(width));
  return [pad(head), '-'.repeat(width), ...texts.map(pad)];
}

/** Points stand under each other. */
function alignPoints(texts: readonly string[]): string[] {
  const behind = (text: string) => {
    const at = text.search(/[.e]/);
    return at < 0 ? -1 : text.length - at - 1;
  };
  const most = Math.max(...texts.map(behind));
  return texts.map((text) => text + ' '.repeat(most - behind(text)));
}
