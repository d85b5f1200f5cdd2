import { parseArgs } from 'node:util';
import { messageOf, UsageError } from '../core/errors.ts';
import { settingsHelp } from './settings.ts';

export interface CommandLine {
  action: 'run' | 'help' | 'version' | 'setup';
  /** The LaunchPad file of `-l`. */
  launchpadFile?: string;
  /** Never delete the VM. */
  development: boolean;
  /** The FWorker's name; else the VM's, else the host's. */
  name?: string;
  /** Fly one rocket, or none when nothing is READY, and stop. */
  once: boolean;
  jsonLogs: boolean;
}

/** Reads the arguments. Throws UsageError for what it does not know. */
export function parseCommandLine(argv: string[]): CommandLine {
  let values: ReturnType<typeof parse>['values'];
  try {
    ({ values } = parse(argv));
  } catch (thrown) {
    throw new UsageError(`${messageOf(thrown).split('. ')[0]}. See fireworker --help`);
  }
  if (values.slots !== undefined && values.slots !== '1') {
    throw new UsageError(
      `--slots ${values.slots}: this release flies one rocket at a time; start one VM for each slot`,
    );
  }
  for (const key of ['launchpad', 'name'] as const)
    if (values[key] === '') throw new UsageError(`--${key} is empty. See fireworker --help`);
  return {
    action: values.help ? 'help' : values.version ? 'version' : values.setup ? 'setup' : 'run',
    launchpadFile: values.launchpad,
    development: values.development,
    name: values.name,
    once: values.once,
    jsonLogs: values['json-logs'],
  };
}

function parse(argv: string[]) {
  return parseArgs({
    args: argv,
    options: {
      launchpad: { type: 'string', short: 'l' },
      setup: { type: 'boolean', short: 's', default: false },
      development: { type: 'boolean', default: false },
      name: { type: 'string' },
      once: { type: 'boolean', default: false },
      slots: { type: 'string' },
      'json-logs': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', short: 'V', default: false },
    },
  });
}

export function helpText(): string {
  return `fireworker [-l FILE] [-s|--setup] [--development] [--slots N] [--name NAME] [--once] [--json-logs]

Pulls Fireworks from a LaunchPad and runs them until there is a reason to stop; then the VM deletes itself.

  -l, --launchpad FILE  the LaunchPad file (default my_launchpad.yaml, if there is one)
  -s, --setup           write the files that a worker VM's disk image needs into a folder, and print its name
      --development     never delete this VM
      --name NAME       this worker's name (default: the VM's, else the host's)
      --once            fly one rocket, or none when nothing is READY, and stop
      --slots N         rockets at a time; this release: 1
      --json-logs       one JSON object a line
  -h, --help, -V, --version

Examples:
  fireworker -l my_launchpad.yaml --development
  fireworker --once --name laptop

Settings come from the VM's metadata attributes, else the LaunchPad file, else the default:
${settingsHelp()}`;
}
