import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { readEndpoints } from '../../core/cloud/endpoints.ts';
import { listLogs } from '../../core/cloud/read_logs.ts';
import { Storage } from '../../core/cloud/storage.ts';
import { BorealisError } from '../../core/errors.ts';
import { loadLaunchPadSettings, plainDoc } from '../../core/launchpad/index.ts';
import { sleep } from '../../core/wait.ts';
import { place, prefix, range } from '../fleet/flags.ts';
import { openFleet } from '../fleet/fleet.ts';
import { rangeOf, vmNames, wholeNumber } from '../fleet/names.ts';
import { tail } from '../fleet/tail.ts';
import { logPlaces, logsIn } from '../fleet/task_logs.ts';
import { color, note, print, printJsonLine, printLine } from '../output.ts';

export const examples = [
  'borealisctl logs demo --follow',
  'borealisctl logs demo --severity WARNING -n 50',
  'borealisctl logs -i 12',
];

export default defineCommand({
  meta: {
    name: 'logs',
    description:
      "shows what a fleet's workers logged, or (with -i) the log that a Firework's task keeps in storage",
  },
  args: {
    ...prefix,
    ...range,
    i: {
      type: 'string',
      alias: 'fw_id',
      valueHint: 'FW_ID',
      description: 'the >> log of the newest run of this Firework, from storage',
    },
    all: { type: 'boolean', description: 'with -i: of all its runs, the newest last' },
    l: {
      type: 'string',
      alias: 'launchpad_file',
      valueHint: 'FILE',
      description: 'with -i: LaunchPad file (as lpad finds it)',
    },
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
    if (flags.i !== undefined) return await showTaskLogs(flags.i, flags);
    const { prefix: fleet, compute } = openFleet(flags);
    const most = wholeNumber('lines', flags.lines, 1, 10_000) as number;
    const { base, count } = rangeOf(flags.base, flags.count);
    // The prefix has letters, digits and - only; another fleet may be called my-demo.
    const workers =
      base === undefined && count === undefined
        ? `labels.worker=~"^${fleet}-[0-9]"`
        : `labels.worker=~"^(${vmNames(fleet, base ?? 0, count ?? 1).join('|')})$"`;
    const always = [workers, `severity>=${flags.severity}`, ...(flags.filter ? [`(${flags.filter})`] : [])];
    const { project, endpoints } = compute;
    const list = (since: Date | null, most: number) => {
      const filter = [...always, ...(since ? [`timestamp>="${since.toISOString()}"`] : [])].join('\n');
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

/** Prints the logs that a Firework's DockerTasks keep in storage. Throws BorealisError when there are none, and says why. */
async function showTaskLogs(id: string, flags: { l?: string; all?: boolean; json?: boolean }): Promise<void> {
  const fwId = wholeNumber('i', id, 0, Number.MAX_SAFE_INTEGER) as number;
  const settings = loadLaunchPadSettings(flags.l);
  const { LaunchPad } = await import('../../core/launchpad/launchpad.ts');
  await using launchpad = await LaunchPad.open(settings, {
    appName: 'borealisctl logs',
    serverSelectionTimeoutMs: 5_000,
  });
  const firework = await launchpad.fireworks.findOne(
    { fw_id: fwId },
    { projection: { 'spec._tasks': 1, state: 1 } },
  );
  if (!firework) throw new BorealisError(`There is no Firework ${fwId} in this LaunchPad`);
  const { spec, state } = plainDoc(firework) as { spec: Record<string, unknown>; state: string };
  const places = logPlaces(spec);
  if (places.length === 0)
    throw new BorealisError(
      `Firework ${fwId} keeps no log in storage: that is what an output '>>/PATH/NAME.log' of a DockerTask is for`,
    );
  const storage = new Storage(readEndpoints());
  let count = 0;
  for (const place of places) {
    const found = await logsIn(storage, place);
    for (const { name, updated } of flags.all ? found : found.slice(-1)) {
      count++;
      const path = `gs://${place.bucket}/${name}`;
      if (flags.json) {
        const text = Buffer.from(await storage.read(place.bucket, name)).toString('utf8');
        printJsonLine({ fw_id: fwId, path, updated, text });
        continue;
      }
      note(path);
      await printObject(storage, place.bucket, name);
    }
  }
  if (count === 0)
    throw new BorealisError(`No run of Firework ${fwId} has stored a log yet (it is ${state})`);
}

/** By way of a file: a log may be larger than memory. */
async function printObject(storage: Storage, bucket: string, name: string): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'borealis-log-'));
  try {
    const file = join(dir, 'log');
    await storage.download(bucket, name, file);
    const decoder = new TextDecoder();
    for await (const bytes of Bun.file(file).stream()) print(decoder.decode(bytes, { stream: true }));
    print(decoder.decode());
  } finally {
    await rm(dir, { recursive: true });
  }
}
