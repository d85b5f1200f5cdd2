/** Flags that many `lpad` commands share, under FireWorks' names. */
import { STATES } from '../../core/launchpad/index.ts';
import type { LpadFlag } from './arguments.ts';

const DISPLAYS = ['all', 'more', 'less', 'ids', 'count', 'reservations'];

/** `-i`, `-n`, `-s`, `-q`, with `prefix` `wf` or `fw` where one command has both kinds (`-wfi`, `--wf_fw_id`). */
export function selectionFlags(prefix: '' | 'wf' | 'fw' = ''): LpadFlag[] {
  const kind = prefix === 'fw' ? 'Firework' : prefix === 'wf' ? 'workflow' : 'entry';
  const names = (short: string, long: string) => [
    `-${prefix}${short}`,
    prefix ? `--${prefix}_${long}` : `--${long}`,
  ];
  const key = (long: string) => (prefix ? `${prefix}_${long}` : long);
  return [
    { names: names('i', 'fw_id'), key: key('fw_id'), kind: 'ids', help: 'fw_id, or several: 1,2,3' },
    { names: names('n', 'name'), key: key('name'), kind: 'text', help: `name of the ${kind}` },
    {
      names: names('s', 'state'),
      key: key('state'),
      kind: 'choice',
      fold: 'upper',
      choices: STATES,
      help: 'select by state',
    },
    {
      names: names('q', 'query'),
      key: key('query'),
      kind: 'text',
      help: `MongoDB query: '{"state": "COMPLETED"}' or Python's spelling of it`,
    },
  ];
}

export const launchesModeFlag: LpadFlag = {
  names: ['-lm', '--launches_mode'],
  key: 'launches_mode',
  kind: 'switch',
  help: 'the query is about launches',
};

export const qidFlag: LpadFlag = {
  names: ['--qid'],
  key: 'qid',
  kind: 'text',
  help: 'reservation id of a job in a queue',
};

/** `-d`; `standard` is left out where nothing is shown unless asked for. */
export function displayFlag(standard?: 'less'): LpadFlag {
  return {
    names: ['-d', '--display_format'],
    key: 'display_format',
    kind: 'choice',
    fold: 'lower',
    choices: standard ? DISPLAYS : [...DISPLAYS, 'none'],
    ...(standard && { standard }),
    help: 'how much is shown',
  };
}

const dates = ['created_on', 'updated_on'];

export const maxFlag: LpadFlag = {
  names: ['-m', '--max'],
  key: 'max',
  kind: 'integer',
  standard: 0,
  help: 'at most so many (0: all)',
};

export const orderFlags: LpadFlag[] = [
  maxFlag,
  { names: ['--sort'], key: 'sort', kind: 'choice', choices: dates, help: 'oldest first' },
  { names: ['--rsort'], key: 'rsort', kind: 'choice', choices: dates, help: 'newest first' },
];

export const launchDirsFlag: LpadFlag = {
  names: ['--ldirs'],
  key: 'delete_launch_dirs',
  kind: 'switch',
  help: 'delete the launch folders too, as far as they are on this machine',
};

/** How a command that destroys is allowed to go on without a question. */
export const consentFlags: LpadFlag[] = [
  {
    names: ['--password'],
    key: 'password',
    kind: 'text',
    help: "today's date (2026-01-31) instead of an answer to the question that comes before many changes",
  },
  { names: ['--yes'], key: 'yes', kind: 'switch', help: 'the same, whatever the date' },
];

/** Before the command: where the LaunchPad is, and how to speak. */
export const globalFlags: LpadFlag[] = [
  { names: ['-l', '--launchpad_file'], key: 'launchpad_file', kind: 'text', help: 'LaunchPad file' },
  {
    names: ['-c', '--config_dir'],
    key: 'config_dir',
    kind: 'text',
    standard: '.',
    help: 'folder of my_launchpad.yaml, when there is no -l',
  },
  { names: ['--logdir'], key: 'logdir', kind: 'text', help: 'folder to keep logs in' },
  {
    names: ['--loglvl'],
    key: 'loglvl',
    kind: 'choice',
    fold: 'upper',
    choices: ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'],
    help: 'least level of messages',
  },
  { names: ['-s', '--silencer'], key: 'silencer', kind: 'switch', help: 'no messages' },
  {
    names: ['-o', '--output'],
    key: 'output',
    kind: 'choice',
    fold: 'lower',
    choices: ['json', 'yaml'],
    standard: 'json',
    help: 'how data is printed',
  },
  {
    names: ['--json'],
    key: 'json',
    kind: 'switch',
    help: 'JSON instead of sentences; messages go to stderr',
  },
];
