import { parseArgs } from 'node:util';
import { messageOf, UsageError } from '../core/errors.ts';
import { SETTINGS, settingsHelp } from './settings.ts';

export interface CommandLine {
  action: 'run' | 'help' | 'version' | 'setup';
  /** The LaunchPad file of `-l`. */
  launchpadFile?: string;
  /** Never delete the VM. */
  development: boolean;
  /** The FWorker's name; else the VM's, else the host's. */
  name?: string;
  /** Rockets at a time; else the setting `slots`. */
  slots?: number | 'auto';
  /** Fly one rocket in each slot, or as many as are READY, and stop. */
  once: boolean;
  /** Fly so many rockets, and stop. */
  nlaunches?: number;
  /** Take no rocket after so many seconds. */
  timeoutSecs?: number;
  /** Run the Firework of FW.json in this folder, without a LaunchPad. */
  offline: boolean;
  /** With `offline`: it must be this one. */
  fwId?: number;
  jsonLogs: boolean;
}

/** Reads the arguments. Throws UsageError for what it does not know. */
export function parseCommandLine(argv: string[]): CommandLine {
  let values: ReturnType<typeof parse>['values'];
  let words: string[];
  try {
    ({ values, positionals: words } = parse(argv));
  } catch (thrown) {
    // One line of what Node tells in several.
    const [said = ''] = messageOf(thrown).split(/\.\s/);
    throw new UsageError(`${said}. See fireworker --help`);
  }
  for (const key of ['launchpad', 'name'] as const)
    if (values[key] === '') throw new UsageError(`--${key} is empty. See fireworker --help`);
  const fwId = wholeNumber('--fw_id', values.fw_id);
  // A queue's `rocket_launch` must have this word for qlaunch, which adds --fw_id.
  const strange = words.find((word) => word !== 'singleshot') ?? (values.offline ? undefined : words[0]);
  if (strange !== undefined) throw new UsageError(`Unexpected argument '${strange}'. See fireworker --help`);
  if (fwId !== undefined && !values.offline)
    throw new UsageError('--fw_id goes with --offline. See fireworker --help');
  return {
    action: values.help ? 'help' : values.version ? 'version' : values.setup ? 'setup' : 'run',
    launchpadFile: values.launchpad,
    development: values.development,
    name: values.name,
    slots: values.slots === undefined ? undefined : slotsIn(values.slots),
    once: values.once,
    nlaunches: wholeNumber('--nlaunches', values.nlaunches),
    timeoutSecs: wholeNumber('--timeout', values.timeout),
    offline: values.offline,
    fwId,
    jsonLogs: values['json-logs'],
  };
}

function slotsIn(text: string): number | 'auto' {
  const parsed = SETTINGS.slots.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new UsageError(`--slots ${text}: ${parsed.error.issues[0]?.message}. See fireworker --help`);
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} ${text}: must be a whole number of at least 1. See fireworker --help`);
}

function parse(argv: string[]) {
  return parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      launchpad: { type: 'string', short: 'l' },
      setup: { type: 'boolean', short: 's', default: false },
      development: { type: 'boolean', default: false },
      name: { type: 'string' },
      once: { type: 'boolean', default: false },
      nlaunches: { type: 'string' },
      timeout: { type: 'string' },
      offline: { type: 'boolean', default: false },
      fw_id: { type: 'string' },
      slots: { type: 'string' },
      'json-logs': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', short: 'V', default: false },
    },
  });
}

export function helpText(): string {
  return `fireworker [-l FILE] [-s|--setup] [--development] [--slots N] [--name NAME] [--once] [--json-logs]
           [--nlaunches N] [--timeout SECS]
fireworker --offline [--fw_id N] [--name NAME] [--json-logs]

Pulls Fireworks from a LaunchPad and runs them until there is a reason to stop; then the VM deletes itself.

  -l, --launchpad FILE  the LaunchPad file (default my_launchpad.yaml, if there is one)
  -s, --setup           write the files that a worker VM's disk image needs into a folder, and print its name
      --development     never delete this VM
      --name NAME       this worker's name (default: the VM's, else the host's)
      --once            fly one rocket (with slots: one in each), or none when nothing is READY, and stop
      --nlaunches N     fly N rockets, and stop
      --timeout SECS    take no rocket after SECS seconds; those in flight land
      --offline         run the Firework of FW.json in this folder, without a LaunchPad (rlaunch singleshot --offline)
      --fw_id N         with --offline: it must be this one
      --slots N         rockets at a time (default 1); auto: as many as there are cores
      --json-logs       one JSON object a line
  -h, --help, -V, --version

Examples:
  fireworker -l my_launchpad.yaml --development
  fireworker --once --name laptop
  fireworker --slots auto
  fireworker --nlaunches 10 --timeout 3600

Settings come from the VM's metadata attributes, else the LaunchPad file, else the default:
${settingsHelp()}`;
}
