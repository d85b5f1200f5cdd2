import { detectLostRuns, RUN_EXPIRATION_SECS } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { showFireworks } from '../../lpad/firework_view.ts';
import { displayFlag } from '../../lpad/flags.ts';
import { parseQuery } from '../../lpad/query.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'find what dead workers left, and run it again if asked to',
  examples: ['lpad detect_lostruns', 'lpad detect_lostruns --time 600 --rerun'],
  flags: [
    {
      names: ['--time'],
      key: 'time',
      kind: 'integer',
      standard: RUN_EXPIRATION_SECS,
      help: 'a run without a sign of life for so many seconds is lost',
    },
    { names: ['--fizzle'], key: 'fizzle', kind: 'switch', help: 'make lost runs FIZZLED' },
    { names: ['--rerun'], key: 'rerun', kind: 'switch', help: 'run lost Fireworks again' },
    {
      names: ['--refresh'],
      key: 'refresh',
      kind: 'switch',
      help: 'repair Fireworks that are RUNNING while their launch has ended',
    },
    {
      names: ['--max_runtime'],
      key: 'max_runtime',
      kind: 'integer',
      help: 'only runs of at most so many seconds',
    },
    {
      names: ['--min_runtime'],
      key: 'min_runtime',
      kind: 'integer',
      help: 'only runs of at least so many seconds',
    },
    { names: ['-q', '--query'], key: 'query', kind: 'text', help: 'only Fireworks that match' },
    { names: ['-lq', '--launch_query'], key: 'launch_query', kind: 'text', help: 'only launches that match' },
    displayFlag(),
  ],
  async run(args, session) {
    const [query, launchQuery] = [args.text('query'), args.text('launch_query')];
    const options = {
      expirationSecs: args.number('time') ?? RUN_EXPIRATION_SECS,
      fizzle: args.on('fizzle'),
      rerun: args.on('rerun'),
      refresh: args.on('refresh'),
      maxRuntimeSecs: args.number('max_runtime'),
      minRuntimeSecs: args.number('min_runtime'),
      query: query === undefined ? undefined : parseQuery(query),
      launchQuery: launchQuery === undefined ? undefined : parseQuery(launchQuery, '-lq'),
    };
    const launchpad = await session.launchpad();
    const { launchIds, fwIds, inconsistentFwIds } = await detectLostRuns(launchpad, options);
    if (session.json) {
      printJson({ lost_launch_ids: launchIds, lost_fw_ids: fwIds, inconsistent_fw_ids: inconsistentFwIds });
      return 0;
    }
    printLine('\nDetection completed:');
    printLine(`  Lost launches: ${launchIds.length}`);
    printLine(`  Lost FireWorks: ${fwIds.length}`);
    printLine(`  Inconsistent FireWorks: ${inconsistentFwIds.length}`);
    const display = args.text('display_format') ?? 'none';
    const print = async (ids: number[]) => {
      if (display !== 'none') await showFireworks(launchpad, ids, display, session.output);
    };
    session.log('DEBUG', `Detected ${launchIds.length} lost launches: ${listOf(launchIds)}`);
    session.log('INFO', `Detected ${fwIds.length} lost FWs: ${listOf(fwIds)}`);
    await print(fwIds);
    session.log(
      'INFO',
      `Detected ${inconsistentFwIds.length} inconsistent FWs: ${listOf(inconsistentFwIds)}`,
    );
    await print(inconsistentFwIds);
    if (fwIds.length > 0 && !options.fizzle && !options.rerun)
      printLine(
        'You can fix lost FWs using the --rerun or --fizzle arguments to the detect_lostruns command',
      );
    if (inconsistentFwIds.length > 0 && !options.refresh)
      printLine('You can fix inconsistent FWs using the --refresh argument to the detect_lostruns command');
    return 0;
  },
};
export default command;

const listOf = (ids: number[]) => `[${ids.join(', ')}]`;
