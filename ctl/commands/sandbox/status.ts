import { defineCommand } from 'citty';
import { z } from 'zod';
import { runningSandbox } from '../../../sandbox/sandbox.ts';
import { note, printJson, printLine, printTable } from '../../output.ts';
import { dirFlag, sandboxDir } from './place.ts';

export const examples = ['borealisctl sandbox status', 'borealisctl sandbox status --json'];

const statusSchema = z.object({
  vms: z.array(z.object({ name: z.string(), state: z.string(), pid: z.number().nullable(), metadata: z.string() })),
  buckets: z.array(z.string()),
});

export default defineCommand({
  meta: { name: 'status', description: 'says whether a sandbox runs, and with which VMs' },
  args: { ...dirFlag, json: { type: 'boolean', description: 'print it as JSON' } },
  async run({ args: flags }) {
    const dir = sandboxDir(flags.dir);
    const record = await runningSandbox(dir);
    if (!record) {
      if (flags.json) printJson({ running: false, dir });
      else note(`No sandbox runs in ${dir}`);
      return 1;
    }
    const response = await fetch(`http://127.0.0.1:${record.gcpPort}/sandbox/status`);
    const { vms, buckets } = statusSchema.parse(await response.json());
    const { pid, mongoPort, gcpPort } = record;
    if (flags.json) printJson({ running: true, dir, pid, mongoPort, gcpPort, vms, buckets });
    else {
      printLine(`The sandbox in ${dir} runs as process ${pid}`);
      printLine(`LaunchPad 127.0.0.1:${mongoPort}, Google's APIs 127.0.0.1:${gcpPort}, buckets ${buckets.join(', ')}`);
      if (vms.length > 0) {
        await printTable(vms, [
          { title: 'VM', value: (vm) => vm.name },
          { title: 'STATE', value: (vm) => vm.state },
          { title: 'PROCESS', value: (vm) => vm.pid ?? '' },
          { title: 'METADATA', value: (vm) => vm.metadata },
        ]);
      }
    }
    return 0;
  },
});
