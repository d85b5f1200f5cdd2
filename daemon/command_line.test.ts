import { describe, expect, test } from 'bun:test';
import { helpText, parseCommandLine } from './command_line.ts';

const plain = {
  action: 'run',
  launchpadFile: undefined,
  development: false,
  name: undefined,
  once: false,
  offline: false,
  jsonLogs: false,
} as const;

describe('arguments', () => {
  const cases: [string[], object][] = [
    [[], plain],
    [['-l', 'x.yaml'], { ...plain, launchpadFile: 'x.yaml' }],
    [['--launchpad=x.yaml', '--development'], { ...plain, launchpadFile: 'x.yaml', development: true }],
    [['--name', 'laptop', '--once', '--json-logs'], { ...plain, name: 'laptop', once: true, jsonLogs: true }],
    [['--slots', '4'], { ...plain, slots: 4 }],
    [['--slots=auto'], { ...plain, slots: 'auto' }],
    [['--nlaunches', '3', '--timeout=60'], { ...plain, nlaunches: 3, timeoutSecs: 60 }],
    [['--offline'], { ...plain, offline: true }],
    [['singleshot', '--offline', '--fw_id', '7'], { ...plain, offline: true, fwId: 7 }],
    [['-s'], { ...plain, action: 'setup' }],
    [['--setup'], { ...plain, action: 'setup' }],
    [['-h'], { ...plain, action: 'help' }],
    [['-V', '--help'], { ...plain, action: 'help' }],
    [['-V'], { ...plain, action: 'version' }],
  ];
  test.each(cases)('%j', (argv, line) => expect(parseCommandLine(argv)).toEqual(line as never));
});

describe('bad arguments', () => {
  const cases: [string[], string][] = [
    [['--devlopment'], "Unknown option '--devlopment'. See fireworker --help"],
    [['start'], "Unexpected argument 'start'. See fireworker --help"],
    [['-l'], "Option '-l, --launchpad <value>' argument missing. See fireworker --help"],
    [['--name', ''], '--name is empty. See fireworker --help'],
    [['--nlaunches', '0'], '--nlaunches 0: must be a whole number of at least 1. See fireworker --help'],
    [['--nlaunches', '-3'], "Option '--nlaunches' argument is ambiguous. See fireworker --help"],
    [['--timeout', 'soon'], '--timeout soon: must be a whole number of at least 1. See fireworker --help'],
    [['singleshot'], "Unexpected argument 'singleshot'. See fireworker --help"],
    [['rapidfire', '--offline'], "Unexpected argument 'rapidfire'. See fireworker --help"],
    [['--fw_id', '7'], '--fw_id goes with --offline. See fireworker --help'],
    [['--slots', '0'], '--slots 0: must be at least 1. See fireworker --help'],
    [['--slots', '1.5'], '--slots 1.5: must be a whole number of at least 1, or auto. See fireworker --help'],
    [
      ['--slots', 'many'],
      '--slots many: must be a whole number of at least 1, or auto. See fireworker --help',
    ],
    [['--once=yes'], "Option '--once' does not take an argument. See fireworker --help"],
  ];
  test.each(cases)('%j', (argv, message) => {
    expect(() => parseCommandLine(argv)).toThrow(expect.objectContaining({ name: 'UsageError', message }));
  });
});

test('the help names every flag', () => {
  const help = helpText();
  for (const flag of [
    '-l',
    '--setup',
    '--development',
    '--name',
    '--once',
    '--nlaunches',
    '--timeout',
    '--offline',
    '--fw_id',
    '--slots',
    '--json-logs',
    '--version',
  ])
    expect(help).toContain(flag);
});
