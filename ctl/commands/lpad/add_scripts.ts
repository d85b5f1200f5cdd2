import { UsageError } from '../../../core/errors.ts';
import { addWorkflows, newWorkflow } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { idMap } from '../../lpad/show.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'add shell scripts that run one after the other',
  examples: [
    `lpad add_scripts 'echo hello'`,
    `lpad add_scripts 'make data' 'make plot' -n data plot -w figures`,
  ],
  words: [{ key: 'scripts', title: 'SCRIPT', kind: 'texts', help: 'what a shell runs' }],
  flags: [
    {
      names: ['-n', '--names'],
      key: 'names',
      kind: 'texts',
      mayBeNone: true,
      help: 'a name for each Firework',
    },
    { names: ['-w', '--wf_name'], key: 'wf_name', kind: 'text', help: 'name of the workflow' },
    {
      names: ['-d', '--delimiter'],
      key: 'delimiter',
      kind: 'text',
      standard: ',',
      help: "FireWorks' own never used it: scripts are words",
    },
  ],
  async run(args, session) {
    const scripts = args.texts('scripts');
    const names = args.texts('names');
    if (scripts.length === 0) throw new UsageError('lpad add_scripts: SCRIPT is missing');
    if (names.length > 0 && names.length !== scripts.length)
      throw new UsageError(`lpad add_scripts: ${scripts.length} scripts, but ${names.length} names`);
    const workflow = newWorkflow({
      fws: scripts.map((script, i) => ({
        fw_id: i,
        name: names[i],
        spec: { _tasks: [{ script, use_shell: true, _fw_name: 'ScriptTask' }] },
      })),
      links: Object.fromEntries(scripts.slice(1).map((_, i) => [i, [i + 1]])),
      name: args.text('wf_name') ?? names[0],
    });
    const maps = await addWorkflows(await session.launchpad(), [workflow]);
    for (const map of maps) session.log('INFO', `Added a workflow. id_map: ${idMap(map)}`);
    if (session.json) printJson(maps.map((map) => ({ id_map: Object.fromEntries(map) })));
    return 0;
  },
};
export default command;
