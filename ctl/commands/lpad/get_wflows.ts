import type { Doc } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { displayFlag, orderFlags, selectionFlags } from '../../lpad/flags.ts';
import { count, orderOf, queryOf, workflowIds } from '../../lpad/select.ts';
import { pythonJson, show } from '../../lpad/show.ts';
import { type Level, workflowDicts } from '../../lpad/workflow_view.ts';
import { printTable } from '../../output.ts';

const command: LpadCommand = {
  summary: 'show workflows',
  examples: ['lpad get_wflows -s RUNNING -d more', 'lpad get_wflows -t'],
  flags: [
    ...selectionFlags(),
    displayFlag('less'),
    ...orderFlags,
    { names: ['-t', '--table'], key: 'table', kind: 'switch', help: 'as a table; best with -d less' },
  ],
  async run(args, session) {
    const query = queryOf(args, { idField: 'nodes', one: true });
    const order = orderOf(args);
    const launchpad = await session.launchpad();
    const display = args.text('display_format') as string;
    if (display === 'count') {
      await show([await count(launchpad.workflows, query, order)], session.output);
      return 0;
    }
    const ids = await workflowIds(launchpad, query, order);
    if (display === 'ids') await show(ids, session.output);
    else {
      const workflows = workflowDicts(launchpad, ids, display as Level);
      if (args.on('table') && !session.json) await tables(workflows);
      else await show(workflows, session.output);
    }
    return 0;
  },
};
export default command;

/** A table has to be known whole before its first line: it is one for every so many workflows. */
const ROWS = 1000;

async function tables(workflows: AsyncIterable<Doc>): Promise<void> {
  let rows: Doc[] = [];
  let any = false;
  for await (const workflow of workflows) {
    any = true;
    if (rows.push(workflow) < ROWS) continue;
    await table(rows);
    rows = [];
  }
  if (rows.length > 0 || !any) await table(rows);
}

async function table(workflows: readonly Doc[]): Promise<void> {
  const keys = Object.keys(workflows[0] ?? {});
  const text = (value: unknown) =>
    typeof value === 'string' ? value : pythonJson(value).replaceAll(/\s+/g, ' ');
  await printTable(
    workflows,
    keys.map((key) => ({ title: key, value: (doc: Doc) => text(doc[key]).replace(/^"|"$/g, '') })),
  );
}
