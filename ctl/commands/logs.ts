import { defineCommand } from 'citty';
import { listLogs } from '../../core/cloud/read_logs.ts';
import { sleep } from '../../core/wait.ts';
import { place, prefix } from '../fleet/flags.ts';
import { openFleet } from '../fleet/fleet.ts';
import { wholeNumber } from '../fleet/names.ts';
import { tail } from '../fleet/tail.ts';
import { color, printJsonLine, printLine } from '../output.ts';

export const examples = ['borealisctl logs demo --follow', 'borealisctl logs demo --severity WARNING -n 50'];

export default defineCommand({
  meta: { name: 'logs', description: "shows what a fleet's workers logged" },
  args: {
    ...prefix,
    lines: { type: 'string', alias: 'n', default: '100', description: 'how many lines, the newest last' },
    severity: {
      type: 'enum',
      options: ['DEBUG', 'INFO', 'WARNING', 'ERROR'],
      default: 'INFO',
      description: 'the least severity',
    },
    filter: { type: 'string', description: 'a further filter in the language of Cloud Logging' },
    follow: { type: 'boolean', alias: 'f', description: 'go on with what comes, until Ctrl-C' },
    ...place,
    json: { type: 'boolean', description: 'one JSON object a line' },
  },
  async run({ args: flags }) {
    const { prefix: fleet, compute } = openFleet(flags);
    const most = wholeNumber('lines', flags.lines, 1, 10_000) as number;
    const base = [
      // The prefix has letters, digits and - only; another fleet may be called my-demo.
      `labels.worker=~"^${fleet}-[0-9]"`,
      `severity>=${flags.severity}`,
      ...(flags.filter ? [`(${flags.filter})`] : []),
    ];
    const { project, endpoints } = compute;
    const list = (since: Date | null, most: number) => {
      const filter = [...base, ...(since ? [`timestamp>="${since.toISOString()}"`] : [])].join('\n');
      return listLogs(project, endpoints, filter, most);
    };
    for await (const entry of tail({ list, most, follow: flags.follow ?? false, sleep })) {
      if (flags.json) printJsonLine(entry);
      else {
        const { worker = '', fw_id, task } = entry.labels;
        const scope = [worker, fw_id && `fw ${fw_id}`, task].filter(Boolean).join(' ');
        printLine(`${color.dim(entry.timestamp)} ${entry.severity.padEnd(7)} [${scope}] ${entry.message}`);
      }
    }
  },
});
