import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UsageError } from '../../../core/errors.ts';
import { addWorkflows, type ReadWorkflow, readWorkflowFiles } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { dataflowFaults, stepsOf } from '../../lpad/dataflow.ts';
import { idMap } from '../../lpad/show.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'add workflows from files: YAML or JSON, a workflow or one Firework each, or a .tar.gz of such',
  examples: ['lpad add workflow.yaml', 'lpad add -d workflows/', 'lpad add -c all.tar.gz'],
  words: [
    { key: 'wf_file', title: 'FILE', kind: 'texts', least: 1, help: 'workflow files, or folders with -d' },
  ],
  flags: [
    { names: ['-d', '--dir'], key: 'dir', kind: 'switch', help: 'add every file of the folders given' },
    {
      names: ['-c', '--check'],
      key: 'check',
      kind: 'switch',
      help: 'check the flow of data too: one source for every input (links, cycles and Firetasks always are)',
    },
  ],
  async run(args, session) {
    const files = args.on('dir') ? await filesIn(args.texts('wf_file')) : args.texts('wf_file');
    // All of them are read before the first is added: one bad file, and nothing is.
    const read: ReadWorkflow[] = [];
    for (const file of files) read.push(...(await readWorkflowFiles(file)));
    if (args.on('check'))
      for (const { source, workflow } of read) mustFlow(dataflowFaults(stepsOf(workflow)), source);
    const launchpad = await session.launchpad();
    const maps = await addWorkflows(
      launchpad,
      read.map(({ workflow }) => workflow),
    );
    for (const map of maps) session.log('INFO', `Added a workflow. id_map: ${idMap(map)}`);
    if (session.json)
      printJson(maps.map((map, i) => ({ file: read[i]?.source, id_map: Object.fromEntries(map) })));
    return 0;
  },
};
export default command;

function mustFlow(faults: readonly string[], source: string): void {
  if (faults.length > 0) throw new UsageError(`${source}: ${faults.join('; ')}`);
}

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
