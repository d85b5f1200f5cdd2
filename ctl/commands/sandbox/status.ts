import { defineCommand } from 'citty';
import { runningSandbox } from '../../../sandbox/sandbox.ts';
import { printJson, printLine, printTable } from '../../output.ts';
import { askSandbox } from '../../sandbox/ask.ts';
import { dirFlag, sandboxDir } from '../../sandbox/place.ts';

export const examples = ['borealisctl sandbox status', 'borealisctl sandbox status --json'];

interface Status {
  vms: { name: string; state: string; pid: number | null; metadata: string }[];
  buckets: string[];
}

export default defineCommand({
  meta: {
    name: 'status',
    description: 'says whether a sandbox runs, where, and which VMs it has; exit code 1 if none',
  },
  args: { dir: dirFlag, json: { type: 'boolean', description: 'as JSON' } },
  async run({ args }) {
    const dir = sandboxDir(args.dir);
    const record = await runningSandbox(dir);
    if (!record) {
      if (args.json) printJson({ running: false, dir });
      else printLine(`No sandbox runs in ${dir}. Start one: borealisctl sandbox up --detach`);
      return 1;
    }
    const status = (await (await askSandbox(record, 'GET', '/sandbox/status')).json()) as Status;
    const [launchpad, google] = [`127.0.0.1:${record.mongoPort}`, `http://127.0.0.1:${record.gcpPort}`];
    if (args.json) {
      printJson({ running: true, dir, pid: record.pid, launchpad, google, ...status });
      return 0;
    }
    printLine(`Sandbox in ${dir}, process ${record.pid}`);
    printLine(`  LaunchPad      ${launchpad}`);
    printLine(`  Google's APIs  ${google}`);
    printLine(`  buckets        ${status.buckets.map((name) => `gs://${name}`).join(', ')}`);
    if (status.vms.length === 0) printLine('  no VMs');
    else {
      await printTable(status.vms, [
        { title: 'VM', value: (vm) => vm.name, shrinks: true },
        { title: 'STATE', value: (vm) => vm.state },
        { title: 'PROCESS', value: (vm) => vm.pid ?? '', align: 'right' },
      ]);
    }
    return 0;
  },
});
