import { color, isFancy, note } from '../output.ts';
import { progressLine, type WorkflowProgress } from './progress.ts';

/** Shows progress on stderr: redrawn in place on a terminal, otherwise one line for each change. */
export class Screen {
  readonly #fancy = isFancy(process.stderr);
  #lines = 0;
  #said = new Map<number, string>();

  show(workflows: readonly WorkflowProgress[]): void {
    const width = process.stderr.columns || 80;
    const lines = workflows.map((workflow) => progressLine(workflow, width));
    if (this.#fancy) {
      const rows = (process.stderr.rows || 24) - 2;
      const shown = lines.length > rows ? [...lines.slice(0, rows - 1), color.dim(`... and ${lines.length - rows + 1} more`)] : lines;
      const up = this.#lines > 0 ? `\x1b[${this.#lines}A` : '';
      process.stderr.write(`${up}${shown.map((line) => `\x1b[2K${line}\n`).join('')}\x1b[0J`);
      this.#lines = shown.length;
      return;
    }
    for (const [i, workflow] of workflows.entries()) {
      const line = lines[i] as string;
      if (this.#said.get(workflow.id) === line) continue;
      this.#said.set(workflow.id, line);
      note(line);
    }
  }

  /** A sentence that stays. The next `show` begins below it. */
  say(text: string): void {
    note(text);
    this.#lines = 0;
  }
}
