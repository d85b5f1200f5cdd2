import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UsageError } from '../../../core/errors.ts';
import { addWorkflows, readWorkflowFile } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { idMap } from '../../lpad/show.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'add workflows from files: YAML or JSON, a workflow or one Firework each',
  examples: ['lpad add workflow.yaml', 'lpad add -d workflows/'],
  words: [
    { key: 'wf_file', title: 'FILE', kind: 'texts', least: 1, help: 'workflow files, or folders with -d' },
  ],
  flags: [
    { names: ['-d', '--dir'], key: 'dir', kind: 'switch', help: 'add every file of the folders given' },
    {
      names: ['-c', '--check'],
      key: 'check',
      kind: 'switch',
      help: 'check before adding (files are always checked: links, cycles, Firetasks)',
    },
  ],
  async run(args, session) {
    const files = args.on('dir') ? await filesIn(args.texts('wf_file')) : args.texts('wf_file');
    // All of them are read before the first is added: one bad file, and nothing is.
    const workflows = [];
    for (const file of files) workflows.push(await readWorkflowFile(file));
    const launchpad = await session.launchpad();
    const maps = await addWorkflows(launchpad, workflows);
    for (const map of maps) session.log('INFO', `Added a workflow. id_map: ${idMap(map)}`);
    if (session.json) printJson(maps.map((map, i) => ({ file: files[i], id_map: Object.fromEntries(map) })));
    return 0;
  },
};
export default command;

async function filesIn(folders: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const folder of folders) {
    const entries = await readdir(folder, { withFileTypes: true }).catch((thrown) => {
      throw new UsageError(`The folder ${folder} cannot be read: ${messageOf(thrown)}`);
    });
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    files.push(...names.sort().map((name) => join(folder, name)));
  }
  if (files.length === 0) throw new UsageError(`There are no files in ${folders.join(', ')}`);
  return files;
}
