import { defineCommand } from 'citty';
import { UsageError } from '../../core/errors.ts';
import { type LaunchPad, loadLaunchPadSettings } from '../../core/launchpad/index.ts';
import { interruption } from '../interruption.ts';
import { parseQuery } from '../lpad/query.ts';
import { printJsonLine, printLine } from '../output.ts';
import { type Choice, type Failure, failuresOf } from '../watch/poll.ts';
import { labelOf, screenFor } from '../watch/screen.ts';
import { type WatchOutcome, watch } from '../watch/watch.ts';
import { countsOf, countsText, endOf, idsIn, type Seen } from '../watch/workflow.ts';

export const examples = ['borealisctl watch', `borealisctl watch -q '{"name": "word-atlas"}' --json`];

/** Of a workflow with many failures so many are told. */
const FAILURES_TOLD = 3;

export default defineCommand({
  meta: {
    name: 'watch',
    description: 'shows workflows live until they end; exit code 0 when all are COMPLETED, else 1',
  },
  args: {
    i: {
      type: 'string',
      alias: 'fw_id',
      valueHint: 'FW_ID',
      description: 'the workflows of these Fireworks: 1,2,3',
    },
    q: {
      type: 'string',
      alias: 'query',
      valueHint: 'QUERY',
      description: 'the workflows that match; without -i and -q all that have not ended, and new ones',
    },
    l: {
      type: 'string',
      alias: 'launchpad_file',
      valueHint: 'FILE',
      description: 'LaunchPad file (as lpad finds it)',
    },
    json: { type: 'boolean', description: 'a line of JSON for each change' },
  },
  async run({ args }) {
    const choice = choiceOf(args.i, args.q);
    const settings = loadLaunchPadSettings(args.l);
    const { LaunchPad } = await import('../../core/launchpad/launchpad.ts');
    await using launchpad = await LaunchPad.open(settings, {
      appName: 'borealisctl watch',
      serverSelectionTimeoutMs: 5_000,
    });
    const outcome = await watch(launchpad, choice, screenFor(args.json ?? false), interruption().signal);
    if (!outcome.whole) return 130;
    return await tellEnd(launchpad, outcome, args.json ?? false);
  },
});

function choiceOf(ids: string | undefined, query: string | undefined): Choice {
  if (ids !== undefined && query !== undefined)
    throw new UsageError('borealisctl watch: give -i or -q, not both');
  if (query !== undefined) return { query: parseQuery(query) };
  if (ids === undefined) return { all: true, since: new Date() };
  const fwIds = ids.split(',').map((id) => (/^\d+$/.test(id.trim()) ? Number(id) : Number.NaN));
  if (fwIds.some(Number.isNaN))
    throw new UsageError(`borealisctl watch: -i ${ids}: it is an fw_id, or several with commas between them`);
  return { fwIds };
}

/** Says how it all ended and, for each failure, why and where to look. Returns the exit code. */
async function tellEnd(launchpad: LaunchPad, outcome: WatchOutcome, json: boolean): Promise<number> {
  const bad = outcome.workflows.filter(({ seen, deleted }) => deleted || endOf(seen) !== 'COMPLETED');
  for (const { seen, deleted } of bad) {
    const fizzled = deleted ? [] : idsIn(seen, 'FIZZLED');
    const failures = await failuresOf(launchpad, fizzled.slice(0, FAILURES_TOLD));
    if (json) {
      const why = failures.map(({ fwId, name, exception }) => ({ fw_id: fwId, name, exception }));
      printJsonLine({ fw_id: seen.fwId, state: deleted ? 'DELETED' : endOf(seen), fizzled, failures: why });
    } else tellFailure(seen, deleted, fizzled.length, failures);
  }
  const completed = outcome.workflows.length - bad.length;
  if (json) printJsonLine({ done: true, completed, failed: bad.length });
  else if (bad.length === 0)
    printLine(`${completed} ${completed === 1 ? 'workflow' : 'workflows'} COMPLETED`);
  else printLine(`${completed} of ${outcome.workflows.length} workflows COMPLETED`);
  return bad.length === 0 ? 0 : 1;
}

function tellFailure(seen: Seen, deleted: boolean, fizzled: number, failures: readonly Failure[]): void {
  if (deleted) return printLine(`${labelOf(seen)} was deleted`);
  printLine(`${labelOf(seen)} ended ${endOf(seen)}: ${countsText(countsOf(seen))}`);
  for (const { fwId, name, exception } of failures) {
    printLine(`  ${name}--${fwId}: ${exception ?? 'no exception was recorded'}`);
    printLine(`    more: borealisctl lpad get_fws -i ${fwId} -d more`);
  }
  if (fizzled > failures.length) printLine(`  and ${fizzled - failures.length} more FIZZLED`);
}
