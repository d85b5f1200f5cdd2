import { UsageError } from '../../../core/errors.ts';
import { hint } from '../../../core/nearest.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { parseQuery } from '../../lpad/query.ts';
import { COLLECTIONS, INTERVALS, type Interval, report, reportText } from '../../lpad/report.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'count what ended in the last days (or hours, months...), by state',
  examples: ['lpad report', 'lpad report -c wflows -i hours -n 12'],
  flags: [
    {
      names: ['-c', '--collection'],
      key: 'collection',
      kind: 'text',
      standard: 'fws',
      help: 'fws, wflows or launches',
    },
    {
      names: ['-i', '--interval'],
      key: 'interval',
      kind: 'choice',
      choices: Object.keys(INTERVALS),
      standard: 'days',
      help: 'how long a period is',
    },
    {
      names: ['-n', '--num_intervals'],
      key: 'num_intervals',
      kind: 'integer',
      standard: 5,
      help: 'how many; 0: all',
    },
    { names: ['-q', '--query'], key: 'query', kind: 'text', help: 'only entries that match' },
  ],
  async run(args, session) {
    const typed = args.text('collection') as string;
    const collection = COLLECTIONS[typed.toLowerCase()];
    if (!collection)
      throw new UsageError(
        `-c ${typed}: it is fws, wflows or launches${hint(typed, Object.keys(COLLECTIONS))}`,
      );
    const query = args.text('query');
    const periods = await report(await session.launchpad(), {
      collection,
      interval: args.text('interval') as Interval,
      count: args.number('num_intervals') ?? 5,
      query: query === undefined ? {} : parseQuery(query),
    });
    if (session.json) {
      printJson(periods);
      return 0;
    }
    const title = `Stats on ${typed}`;
    const line = '-'.repeat(title.length);
    printLine([line, title, line, reportText(periods)].join('\n'));
    return 0;
  },
};
export default command;
