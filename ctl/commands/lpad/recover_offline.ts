import { readFileSync } from 'node:fs';
import { messageOf, UsageError } from '../../../core/errors.ts';
import { isDoc, openOfflineRuns, parseYaml, recoverOffline } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'bring in what offline runs wrote beside their files, on the machine that has the files',
  examples: ['lpad recover_offline', 'lpad recover_offline -i -w my_fworker.yaml'],
  flags: [
    {
      names: ['-i', '--ignore_errors'],
      key: 'ignore_errors',
      kind: 'switch',
      help: 'leave runs as they are that cannot be read (default: they become FIZZLED)',
    },
    {
      names: ['-w', '--fworker_file'],
      key: 'fworker_file',
      kind: 'text',
      help: "only this worker's runs (default: that of my_fworker.yaml here, if there is one; '': of all)",
    },
    {
      names: ['-pe', '--print-errors'],
      key: 'print_errors',
      kind: 'switch',
      help: 'say why a run cannot be recovered',
    },
  ],
  async run(args, session) {
    const file = args.text('fworker_file') ?? session.inConfigDir('my_fworker.yaml') ?? '';
    const worker = file === '' ? undefined : workerName(file);
    const launchpad = await session.launchpad();
    const recovered: number[] = [];
    const failed: { fw_id: number; why: string }[] = [];
    for await (const run of openOfflineRuns(launchpad, worker)) {
      session.log('DEBUG', `RECOVERING fw_id: ${run.fwId}`);
      const why = await recoverOffline(launchpad, run, { ignoreErrors: args.on('ignore_errors') });
      if (why === null) recovered.push(run.fwId);
      else failed.push({ fw_id: run.fwId, why });
      // Without -i it was made FIZZLED, which nobody should learn without the reason.
      if (why !== null && (args.on('print_errors') || !args.on('ignore_errors')))
        session.log('ERROR', `failed recovering launch_id=${run.launchId}: ${why}`);
    }
    session.log(
      'INFO',
      `FINISHED recovering offline runs. ${recovered.length} job(s) recovered: [${recovered.join(', ')}]`,
    );
    if (failed.length > 0)
      session.log(
        'INFO',
        `FAILED to recover offline fw_ids: [${failed.map(({ fw_id }) => fw_id).join(', ')}]`,
      );
    if (session.json) printJson({ recovered, failed });
    return 0;
  },
};
export default command;

/** The name in a worker's file. */
function workerName(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new UsageError(`The worker's file ${file} cannot be read: ${messageOf(thrown)}`);
  }
  const values = parseYaml(text, file);
  if (isDoc(values) && typeof values.name === 'string') return values.name;
  throw new UsageError(`${file}: name: must be the worker's name`);
}
