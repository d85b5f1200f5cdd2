import { expect, test } from 'bun:test';
import type { ArgsDef } from 'citty';
import { checkArgs, everyValue } from './command_line.ts';

const args: ArgsDef = {
  prefix: { type: 'positional', required: false },
  count: { type: 'string', alias: 'c' },
  metadata: { type: 'string', alias: 'm' },
  'dry-run': { type: 'boolean', alias: 'd' },
  kind: { type: 'enum', options: ['one', 'two'] },
};

test.each([
  [['demo', '--count', '3', '-d']],
  [['-c3', '--dry-run', '--kind=two']],
  [['--dryRun', '--no-dry-run']],
  [['--count', '-1']],
  [['-dc', '3']],
  [['--', 'demo']],
])('%j is taken', (argv) => {
  expect(() => checkArgs('up', argv, args)).not.toThrow();
});

test.each([
  [['--cuont', '3'], "unknown flag --cuont (did you mean '--count'?)"],
  [['-x'], 'unknown flag -x'],
  [['--count'], '--count needs a value'],
  [['--count', '--dry-run'], '--count needs a value'],
  [['--dry-run=perhaps'], '--dry-run takes no value'],
  [['--kind', 'tow'], "--kind=tow: it is one of one, two (did you mean 'two'?)"],
  [['demo', 'extra'], "'extra' is one word too many"],
])('%j is refused', (argv, text) => {
  expect(() => checkArgs('up', argv, args)).toThrow(text);
});

test('words beyond the arguments are welcome where a command takes the rest', () => {
  expect(() => checkArgs('run', ['--', 'a', 'b'], {}, true)).not.toThrow();
});

test('a missing word is named', () => {
  expect(() => checkArgs('preempt', [], { vm: { type: 'positional' } })).toThrow('VM is missing');
});

test('every value of a repeated flag, in order', () => {
  expect(everyValue(['-m', 'a=1', '--metadata=b=2', '-mc=3', '--', '-m', 'd'], args, 'metadata')).toEqual([
    'a=1',
    'b=2',
    'c=3',
  ]);
});
