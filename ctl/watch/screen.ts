/** How watching looks: a block that is redrawn on a terminal, else a line for each change, or JSON lines. */
import { color, isFancy, print, printJsonLine, printLine } from '../output.ts';
import { countsOf, countsText, duration, endOf, type Seen } from './workflow.ts';

/** One workflow with all that is told of it. */
export interface View {
  seen: Seen;
  /** `name--fw_id` of some that run. */
  running: readonly string[];
  /** How many run. */
  runningCount: number;
  elapsedMs: number;
  remainingMs: number | null;
}

export interface Screen {
  /** Shows the workflows as they are; `changed` tells which differ from the last time, by their place. */
  show(views: readonly View[], changed: ReadonlySet<number>): void;
  /** Something about the watching itself: the LaunchPad is away. */
  tell(text: string): void;
  /** Leaves the terminal as it should be for what comes next. */
  end(): void;
}

const BAR = 24;

/** `name--id` as commands and other lists write it. */
export const labelOf = (seen: Seen): string => `${seen.name}--${seen.fwId}`;

/** A bar of `width` characters: done, running, failed, and the rest. */
export function bar(seen: Seen, width = BAR, paint = color): string {
  const counts = countsOf(seen);
  const total = Math.max(1, seen.fwStates.size);
  const bad = (counts.get('FIZZLED') ?? 0) + (counts.get('DEFUSED') ?? 0) + (counts.get('ARCHIVED') ?? 0);
  const parts = [counts.get('COMPLETED') ?? 0, bad, counts.get('RUNNING') ?? 0];
  // Rounded down, but what there is at all is seen.
  const cells = parts.map((count) => (count === 0 ? 0 : Math.max(1, Math.floor((count / total) * width))));
  const over = cells.reduce((sum, cell) => sum + cell, 0) - width;
  const widest = cells.indexOf(Math.max(...cells));
  const fitted = cells.map((cell, i) => (i === widest ? cell - Math.max(0, over) : cell));
  const rest = Math.max(0, -over);
  const [done = 0, failed = 0, running = 0] = fitted;
  return `${paint.green('█'.repeat(done))}${paint.red('█'.repeat(failed))}${paint.yellow('▒'.repeat(running))}${paint.dim('░'.repeat(rest))}`;
}

/** Two lines of at most `width` columns: name, bar and numbers; then what runs. */
export function block(view: View, width: number): string[] {
  const { seen } = view;
  const counts = countsOf(seen);
  const end = endOf(seen);
  const numbers = `${counts.get('COMPLETED') ?? 0}/${seen.fwStates.size}`;
  const times = [
    duration(view.elapsedMs),
    ...(view.remainingMs === null || end !== 'going' ? [] : [`about ${duration(view.remainingMs)} left`]),
  ].join(', ');
  const name = cut(labelOf(seen), Math.max(10, width - BAR - numbers.length - times.length - 6));
  const lines = [`${color.bold(name)}  ${bar(seen)}  ${numbers}  ${color.dim(times)}`];
  const { COMPLETED: _, ...others } = Object.fromEntries(counts);
  const told = countsText(new Map(Object.entries(others)) as ReturnType<typeof countsOf>);
  const more = view.runningCount - view.running.length;
  const names = [...view.running, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  const second = end === 'going' ? [told, names].filter(Boolean).join(': ') : end;
  if (second) lines.push(`  ${cut(second, width - 3)}`);
  return lines;
}

const cut = (text: string, width: number) =>
  text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;

/** For a terminal: everything again in the same place, those that go on first when there is no room for all. */
export function terminalScreen(size: () => { columns: number; rows: number }): Screen {
  let drawn = 0;
  let notice = '';
  let last: readonly View[] = [];
  const draw = () => {
    const { columns, rows } = size();
    const room = Math.max(3, rows - 2);
    const sorted = [...last].sort(
      (a, b) => Number(endOf(a.seen) !== 'going') - Number(endOf(b.seen) !== 'going'),
    );
    const lines: string[] = [];
    let hidden = 0;
    for (const view of sorted) {
      const own = block(view, columns);
      if (lines.length + own.length > room) hidden++;
      else lines.push(...own);
    }
    if (hidden > 0) lines.push(color.dim(`  and ${hidden} more workflows`));
    if (notice) lines.push(color.yellow(notice.slice(0, columns - 1)));
    const up = drawn > 0 ? `\x1b[${drawn}A` : '';
    print(`${up}\r\x1b[J${lines.map((line) => `${line}\n`).join('')}`);
    drawn = lines.length;
  };
  return {
    show(views) {
      last = views;
      notice = '';
      draw();
    },
    tell(text) {
      notice = text;
      draw();
    },
    end() {},
  };
}

/** Without a terminal: a line when something changed. */
export function lineScreen(now: () => Date = () => new Date()): Screen {
  let told = '';
  const stamp = () => now().toTimeString().slice(0, 8);
  return {
    show(views, changed) {
      told = '';
      for (const [i, { seen, running, runningCount }] of views.entries()) {
        if (!changed.has(i)) continue;
        const more = runningCount - running.length;
        const names = [...running, ...(more > 0 ? [`${more} more`] : [])].join(', ');
        const numbers = `${countsOf(seen).get('COMPLETED') ?? 0}/${seen.fwStates.size}`;
        printLine(
          `${stamp()} ${labelOf(seen)}  ${numbers}  ${countsText(countsOf(seen))}${names ? `  (${names})` : ''}`,
        );
      }
    },
    tell(text) {
      if (text !== told) printLine(`${stamp()} ${text}`);
      told = text;
    },
    end() {},
  };
}

/** For programs: one JSON object a line. */
export function jsonScreen(now: () => Date = () => new Date()): Screen {
  return {
    show(views, changed) {
      for (const [i, { seen, running, elapsedMs }] of views.entries()) {
        if (!changed.has(i)) continue;
        printJsonLine({
          at: now().toISOString(),
          fw_id: seen.fwId,
          name: seen.name,
          state: seen.state,
          total: seen.fwStates.size,
          counts: Object.fromEntries(countsOf(seen)),
          running,
          elapsed_secs: Math.round(elapsedMs / 1000),
          ended: endOf(seen) !== 'going',
        });
      }
    },
    tell(text) {
      printJsonLine({ at: now().toISOString(), message: text });
    },
    end() {},
  };
}

/** The one that fits: JSON lines when they are asked for, a redrawn block on a terminal, lines anywhere else. */
export function screenFor(json: boolean): Screen {
  if (json) return jsonScreen();
  if (!isFancy()) return lineScreen();
  const { stdout } = process;
  return terminalScreen(() => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }));
}
