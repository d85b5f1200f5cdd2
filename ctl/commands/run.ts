import { defineCommand } from 'citty';
import { readEndpoints } from '../../core/cloud/endpoints.ts';
import { listLogs } from '../../core/cloud/read_logs.ts';
import { UsageError } from '../../core/errors.ts';
import {
  addWorkflows,
  LaunchPad,
  loadLaunchPadSettings,
  type ReadWorkflow,
  readWorkflowFiles,
} from '../../core/launchpad/index.ts';
import { everyValue } from '../command_line.ts';
import { confirm } from '../fleet/confirm.ts';
import { makeVms, tellCreated } from '../fleet/create.ts';
import { duration } from '../fleet/duration.ts';
import { dryRun, newVms } from '../fleet/flags.ts';
import { fleetVms, tellRequests } from '../fleet/fleet.ts';
import { Meter } from '../fleet/meter.ts';
import { MANY, nameSpan, rangeOf, vmNames } from '../fleet/names.ts';
import { planOf } from '../fleet/plan.ts';
import { dollars, readPrices } from '../fleet/prices.ts';
import { type Report, reportOf, tellReport } from '../fleet/report.ts';
import { interruption } from '../interruption.ts';
import { note, printJsonLine, printLine } from '../output.ts';
import { screenFor } from '../watch/screen.ts';
import { watch } from '../watch/watch.ts';

export const examples = [
  'borealisctl run wf.yaml --count 30',
  'borealisctl run wf.yaml --count 30 --prefix demo --spot --max-run-duration 8h',
  'borealisctl run first.yaml second.json --count 5 --json',
];

/** Further files. */
export const takesRest = true;

/** How often the fleet is looked at for its hours: a VM that leaves in between counts that much less. */
const LOOK_EVERY_MS = 15_000;

const args = {
  file: { type: 'positional', description: 'workflow files, as lpad add reads them' },
  prefix: {
    type: 'string',
    valueHint: 'NAME',
    description: "the fleet's name (default: fireworker-$USER)",
  },
  count: {
    type: 'string',
    alias: 'c',
    required: true,
    valueHint: 'N',
    description: 'how many VMs, 0 to 1000',
  },
  base: {
    type: 'string',
    alias: 'b',
    default: '0',
    valueHint: 'N',
    description: 'the number of the first VM',
  },
  ...newVms,
  keep: {
    type: 'boolean',
    description:
      'leave the fleet as it is at the end, instead of letting workers go home when nothing is READY',
  },
  prices: { type: 'string', valueHint: 'FILE', description: 'a table of prices, as for ps' },
  yes: { type: 'boolean', alias: 'y', description: 'do not ask when there are more than 100' },
  ...dryRun,
  json: { type: 'boolean', description: 'a line of JSON for each event' },
} as const;

export default defineCommand({
  meta: {
    name: 'run',
    description: 'adds workflows, makes a fleet for them, watches until they end, and reports',
  },
  args,
  async run({ args: flags, rawArgs }) {
    const json = flags.json ?? false;
    const event = (name: string, data: object) => json && printJsonLine({ event: name, ...data });
    const { base = 0, count = 0 } = rangeOf(flags.base, flags.count);
    const { fleet, creation, database } = planOf(flags, {
      options: everyValue(rawArgs, args, 'option'),
      metadata: everyValue(rawArgs, args, 'metadata'),
    });
    const prices = readPrices(flags.prices);
    const names = vmNames(fleet.prefix, base, count);
    const read: ReadWorkflow[] = [];
    for (const file of flags._) read.push(...(await readWorkflowFiles(file)));
    if (read.length === 0) throw new UsageError('run: there is no workflow in these files');
    if (fleet.requests) {
      await makeVms(fleet, creation(names), () => {});
      return tellRequests(fleet.requests);
    }
    if (count > MANY) {
      const what = `run creates ${count} VMs, ${nameSpan(names)}`;
      if (!(await confirm(flags.yes, what, `Create ${count} VMs, ${nameSpan(names)}?`))) return 1;
    }

    const settings = loadLaunchPadSettings(flags.launchpad || undefined);
    const name = database ?? settings.name;
    await using launchpad = await LaunchPad.open(
      { ...settings, name },
      { appName: 'borealisctl run', serverSelectionTimeoutMs: 5_000 },
    );
    const started = new Date();
    const maps = await addWorkflows(
      launchpad,
      read.map(({ workflow }) => workflow),
    );
    const fwIds = maps.map((map) => Math.min(...map.values()));
    const file = flags.launchpad ? ` -l ${flags.launchpad}` : '';
    const again = `borealisctl watch${file} -i ${fwIds.join(',')}`;
    event('added', { fw_ids: fwIds });
    if (!json)
      printLine(`Added ${fwIds.length} workflow${fwIds.length === 1 ? '' : 's'}: -i ${fwIds.join(',')}`);

    const { signal } = interruption();
    signal.addEventListener('abort', () => {
      event('interrupted', { watch: again });
      note(
        `\nInterrupted: the fleet and the workflows go on. Come back: ${again}\nSend the fleet home: borealisctl quit-soon ${fleet.prefix}`,
      );
    });
    const results = count > 0 ? await makeVms(fleet, creation(names), note) : [];
    if (signal.aborted) return 130;
    event('up', { vms: results.map(({ name, zone, error }) => ({ name, zone, ok: !error })) });
    // Fewer than were asked for do the work too.
    if (
      results.length > 0 &&
      (await tellCreated(results, false)) > 0 &&
      results.every(({ error }) => error)
    ) {
      note(`The workflows are there and wait for workers: ${again}`);
      return 1;
    }

    const meter = new Meter(started);
    const done = new AbortController();
    const metering = meter.run(() => fleetVms(fleet), LOOK_EVERY_MS, AbortSignal.any([done.signal, signal]));
    const outcome = await watch(launchpad, { fwIds }, screenFor(json), signal).finally(() => done.abort());
    if (!outcome.whole) return 130;
    await metering;
    if (!flags.keep && count > 0) await sendHome();
    const endpoints = readEndpoints();
    const logOf = (fwId: number) => {
      const filter = `labels.worker=~"^${fleet.prefix}-[0-9]"\nlabels.fw_id="${fwId}"\ntimestamp>="${started.toISOString()}"`;
      return listLogs(fleet.compute.project, endpoints, filter, 5).catch(() => []);
    };
    const report = await reportOf(launchpad, outcome, logOf);
    const usage = meter.usage(prices);
    const tookMs = Date.now() - started.getTime();
    if (json) event('report', { ...report, ...jsonUsage(tookMs, usage) });
    else {
      tellReport(report);
      printLine(
        `Took ${duration(tookMs)}; ${usage.vms} VMs, ${usage.vmHours.toFixed(2)} VM-hours, about ${dollars(usage.cost)} (an estimate: ${prices.about})`,
      );
    }
    return exitCodeOf(report);

    /** What else the database has is done first. */
    async function sendHome(): Promise<void> {
      const vms = (await fleetVms(fleet)).filter((vm) => names.includes(vm.name));
      const told = await fleet.compute.setMetadata(vms, { quit: 'when-idle' });
      const failed = told.filter(({ error }) => error).length;
      event('sent_home', { vms: told.length - failed });
      if (failed > 0) note(`${failed} VMs could not be told to go home: borealisctl down ${fleet.prefix}`);
      else if (!json) note('The workers go home as soon as nothing is READY');
    }
  },
});

const exitCodeOf = (report: Report) => (report.workflows.every(({ state }) => state === 'COMPLETED') ? 0 : 1);

const jsonUsage = (tookMs: number, usage: { vms: number; vmHours: number; cost: number | null }) => ({
  took_secs: Math.round(tookMs / 1000),
  vms: usage.vms,
  vm_hours: Number(usage.vmHours.toFixed(4)),
  estimated_cost_usd: usage.cost === null ? null : Number(usage.cost.toFixed(4)),
});
