/** How far workflows are: counted from their documents, shown as bars. Pure. */
import type { State } from '../../core/launchpad/index.ts';

export interface WorkflowProgress {
  /** The smallest fw_id, by which FireWorks names a workflow. */
  id: number;
  name: string;
  state: State;
  counts: Partial<Record<State, number>>;
  total: number;
  /** Names of what runs now. */
  running: string[];
}

const ENDED: readonly State[] = ['COMPLETED', 'FIZZLED', 'DEFUSED', 'ARCHIVED', 'PAUSED'];

/** True when nothing of a workflow runs or can start without somebody's doing. */
export function isOver(workflow: Pick<WorkflowProgress, 'state' | 'counts'>): boolean {
  const { READY = 0, RESERVED = 0, RUNNING = 0 } = workflow.counts;
  // A FIZZLED or DEFUSED workflow may have other branches that go on.
  return (
    ENDED.includes(workflow.state) && (workflow.state === 'COMPLETED' || READY + RESERVED + RUNNING === 0)
  );
}

export function countStates(states: readonly State[]): Partial<Record<State, number>> {
  const counts: Partial<Record<State, number>> = {};
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

const SHOWN: readonly State[] = [
  'COMPLETED',
  'RUNNING',
  'READY',
  'RESERVED',
  'WAITING',
  'FIZZLED',
  'PAUSED',
  'DEFUSED',
  'ARCHIVED',
];

/** `[########>....] 9/15 word atlas: 9 completed, 3 running (count 1, count 2)`, in at most `width` columns. */
export function progressLine(workflow: WorkflowProgress, width = 80): string {
  const { counts, total } = workflow;
  const done = counts.COMPLETED ?? 0;
  const active = counts.RUNNING ?? 0;
  const cells = 20;
  const full = Math.floor((done / total) * cells);
  const moving = Math.min(cells - full, Math.ceil((active / total) * cells));
  const bar = `[${'#'.repeat(full)}${'>'.repeat(moving)}${'.'.repeat(cells - full - moving)}]`;
  const parts = SHOWN.flatMap((state) => (counts[state] ? [`${counts[state]} ${state.toLowerCase()}`] : []));
  const names = workflow.running.length > 0 ? ` (${workflow.running.join(', ')})` : '';
  const text = `${bar} ${done}/${total} ${workflow.name}: ${parts.join(', ')}${names}`;
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
