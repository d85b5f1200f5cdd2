/** How a run ended: states, and why what failed did, with the last lines of its log. */
import type { LogEntry } from '../../core/cloud/read_logs.ts';
import type { LaunchPad } from '../../core/launchpad/index.ts';
import { SECOND, sleep } from '../../core/wait.ts';
import { printLine } from '../output.ts';
import { failuresOf } from '../watch/poll.ts';
import type { WatchOutcome } from '../watch/watch.ts';
import { countsOf, countsText, endOf, idsIn } from '../watch/workflow.ts';

/** So many failures are told with their logs: the first ones, which the others often follow from. */
const TOLD = 10;

/** Workers send what they log once a second: the last lines are on their way yet. */
const LOGS_COME_MS = 2 * SECOND;

export interface Report {
  workflows: { fw_id: number; name: string; state: string; counts: Record<string, number> }[];
  failures: { fw_id: number; name: string; exception: string | null; log: string[] }[];
  /** How many FIZZLED beyond those. */
  more_failures: number;
}

export async function reportOf(
  launchpad: LaunchPad,
  outcome: WatchOutcome,
  logOf: (fwId: number) => Promise<LogEntry[]>,
): Promise<Report> {
  const workflows = outcome.workflows.map(({ seen, deleted }) => ({
    fw_id: seen.fwId,
    name: seen.name,
    state: deleted ? 'DELETED' : endOf(seen),
    counts: Object.fromEntries(countsOf(seen)),
  }));
  const fizzled = outcome.workflows.flatMap(({ seen, deleted }) => (deleted ? [] : idsIn(seen, 'FIZZLED')));
  const failures = await failuresOf(launchpad, fizzled.slice(0, TOLD));
  if (failures.length > 0) await sleep(LOGS_COME_MS);
  return {
    workflows,
    failures: await Promise.all(
      failures.map(async ({ fwId, name, exception }) => ({
        fw_id: fwId,
        name,
        exception,
        log: (await logOf(fwId)).map(({ message }) => message),
      })),
    ),
    more_failures: fizzled.length - failures.length,
  };
}

export function tellReport({ workflows, failures, more_failures }: Report): void {
  for (const { name, fw_id, state, counts } of workflows)
    printLine(`${name}--${fw_id} ${state}: ${countsText(new Map(Object.entries(counts)))}`);
  for (const { name, fw_id, exception, log } of failures) {
    printLine(`  ${name}--${fw_id}: ${exception ?? 'no exception was recorded'}`);
    for (const line of log) printLine(`    | ${line}`);
    printLine(`    more: borealisctl lpad get_fws -i ${fw_id} -d more`);
  }
  if (more_failures > 0)
    printLine(`  and ${more_failures} more FIZZLED: borealisctl lpad get_fws -s FIZZLED`);
}
