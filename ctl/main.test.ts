import { expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { LPAD_COMMANDS } from './lpad/commands.ts';
import { series } from './series.ts';

const cwd = tmpdir();

test('version, help, and words that nobody knows', async () => {
  const [version, help, none, command, flag, sub, lpad] = await series(
    [
      ['--version'],
      ['--help'],
      [],
      ['wacht'],
      ['watch', '--jsno'],
      ['sandbox', 'upp'],
      ['lpad', 'get_wflow', '-d', 'less'],
    ],
    { cwd },
  );
  expect(version?.out).toMatch(/^borealisctl \d+\.\d+\.\d+\n$/);
  expect(help?.code).toBe(0);
  for (const line of help?.out.split('\n') ?? []) expect(line.length).toBeLessThanOrEqual(80);
  expect(none?.code).toBe(2);
  const faults = [command, flag, sub, lpad];
  for (const one of faults) {
    expect(one?.code).toBe(2);
    expect(one?.out).toBe('');
    expect(one?.err.trim().split('\n')).toHaveLength(1);
  }
  expect(faults.map((one) => /did you mean '(.*)'/.exec(one?.err ?? '')?.[1])).toEqual([
    'watch',
    '--json',
    'up',
    'get_wflows',
  ]);
});

test('every command has help with two examples', async () => {
  const own =
    'up run scale ps logs quit-soon quit-when-idle set-metadata down gce watch doctor tunnel completion'.split(
      ' ',
    );
  const sandbox = 'up down status run preempt mongo'.split(' ').map((name) => ['sandbox', name]);
  const lpad = Object.keys(LPAD_COMMANDS).map((name) => ['lpad', name]);
  const paths = [...own.map((name) => [name]), ...sandbox, ...lpad];
  const ran = await series(
    paths.map((path) => [...path, '--help']),
    { cwd },
  );
  for (const [i, { code, out, err }] of ran.entries()) {
    const examples = out.slice(out.indexOf('Examples:')).trim().split('\n').slice(1);
    expect([paths[i]?.join(' '), code, err, examples.length >= 2]).toEqual([
      paths[i]?.join(' '),
      0,
      '',
      true,
    ]);
  }
});

test('called lpad, it is lpad', async () => {
  const [version, unknown] = await series([['--version'], ['nonsense']], { cwd, calledAs: 'lpad' });
  expect(version?.out).toStartWith('lpad (Borealis) v');
  expect(unknown).toMatchObject({ code: 2, out: '' });
});
