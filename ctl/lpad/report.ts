/** How many Fireworks, workflows or launches reached which state in each of the last periods (`FWReport.get_stats`). */
import { type Doc, isoTime, type LaunchPad, RANK, STATES, type State } from '../../core/launchpad/index.ts';

/** Periods, and the part of an ISO date that tells them apart. */
export const INTERVALS = {
  minutes: '%Y-%m-%dT%H:%M',
  hours: '%Y-%m-%dT%H',
  days: '%Y-%m-%d',
  months: '%Y-%m',
  years: '%Y',
} as const;
export type Interval = keyof typeof INTERVALS;

type Collection = 'fireworks' | 'workflows' | 'launches';

/** The names that FireWorks takes. */
export const COLLECTIONS: Record<string, Collection> = {
  fws: 'fireworks',
  fireworks: 'fireworks',
  wflows: 'workflows',
  workflows: 'workflows',
  launches: 'launches',
};

export interface Period {
  /** `2026-01-31`, or more or less of it. */
  date_key: string;
  states: Record<State, number>;
  count: number;
  /** COMPLETED of COMPLETED and FIZZLED, in percent. */
  completed_score: number;
}

/** Counts on the server, newest period first. `count` 0 goes back to the beginning. */
export async function report(
  launchpad: LaunchPad,
  o: { collection: Collection; interval: Interval; count: number; query: Doc; now?: Date },
): Promise<Period[]> {
  const field = o.collection === 'launches' ? 'time_end' : 'updated_on';
  const match: Doc = { ...o.query };
  if (o.count > 0) {
    const start = startOf(o.interval, o.count, o.now ?? new Date());
    // Workflows have BSON dates, the others strings.
    match[field] = { $gte: o.collection === 'workflows' ? start : isoTime(start) };
  }
  const found = launchpad.db.collection(o.collection).aggregate([
    { $match: match },
    {
      $group: {
        _id: { state: '$state', key: dateKey(`$${field}`, INTERVALS[o.interval]) },
        count: { $sum: 1 },
      },
    },
  ]);
  const counts: { key: string; state: State; count: number }[] = [];
  for await (const { _id, count } of found)
    counts.push({ key: String(_id.key), state: _id.state as State, count: Number(count) });
  return periods(counts);
}

/** The period of a date, which is a BSON date or FireWorks' string of one. */
function dateKey(field: string, format: string): Doc {
  const length = format.replace('%Y', 'YYYY').replaceAll(/%./g, 'MM').length;
  return {
    $cond: [
      { $eq: [{ $type: field }, 'date'] },
      { $dateToString: { date: field, format } },
      { $substr: [field, 0, length] },
    ],
  };
}

/** The sums as a list of periods, newest first. */
export function periods(counts: readonly { key: string; state: State; count: number }[]): Period[] {
  const byKey = Map.groupBy(counts, ({ key }) => key);
  const order = [...STATES].sort((a, b) => RANK[a] - RANK[b]);
  return [...byKey]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([date_key, group]) => {
      const of = (state: State) => group.find((one) => one.state === state)?.count ?? 0;
      const states = Object.fromEntries(order.map((state) => [state, of(state)])) as Record<State, number>;
      const ended = states.COMPLETED + states.FIZZLED;
      const completed_score = ended === 0 ? 0 : Math.round((states.COMPLETED / ended) * 1000) / 10;
      return { date_key, states, count: group.reduce((sum, one) => sum + one.count, 0), completed_score };
    });
}

/** `count` periods before `now`; of months and years the same day, or the last that there is. */
export function startOf(interval: Interval, count: number, now: Date): Date {
  const at = new Date(now);
  if (interval === 'months' || interval === 'years') {
    const day = at.getUTCDate();
    at.setUTCDate(1);
    at.setUTCMonth(at.getUTCMonth() - count * (interval === 'years' ? 12 : 1));
    const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate();
    at.setUTCDate(Math.min(day, last));
    return at;
  }
  const ms = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 }[interval];
  return new Date(at.getTime() - count * ms);
}

/** FireWorks' text of a report. */
export function reportText(found: readonly Period[]): string {
  if (found.length === 0) return 'There are no stats to display for the chosen time period.';
  return found
    .map(({ date_key, states, count, completed_score }) => {
      const title = `Stats for time-period ${date_key}`;
      const lines = Object.entries(states).map(([state, number]) => `${state} : ${number}`);
      const score = `C/(C+F) : ${completed_score.toFixed(1)}%`;
      return [title, '='.repeat(title.length + 1), ...lines, '', `total : ${count}`, score, '', ''].join(
        '\n',
      );
    })
    .join('');
}
