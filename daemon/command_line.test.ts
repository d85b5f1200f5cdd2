import { describe, expect, test } from 'bun:test';
import { helpText, parseCommandLine } from './command_line.ts';

const plain = {
  action: 'run',
  launchpadFile: undefined,
  development: false,
  name: undefined,
  once: false,
  jsonLogs: false,
} as const;

describe('arguments', () => {
  const cases: [string[], object][] = [
    [[], plain],
    [['-l', 'x.yaml'], { ...plain, launchpadFile: 'x.yaml' }],
    [['--launchpad=x.yaml', '--development'], { ...plain, launchpadFile: 'x.yaml', development: true }],
    [['--name', 'laptop', '--once', '--json-logs'], { ...plain, name: 'laptop', once: true, jsonLogs: true }],
    [['--slots', '1'], plain],
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
    [['--slots', '4'], '--slots 4: this release flies one rocket at a time; start one VM for each slot'],
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
    '--slots',
    '--json-logs',
    '--version',
  ])
    expect(help).toContain(flag);
});
