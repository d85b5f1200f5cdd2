import { expect, test } from 'bun:test';
import { introspectionText } from './introspection_text.ts';
import { generalFormat, pythonRepr } from './python_text.ts';

const found = (key: string, value: string, completed: number, fizzled: number, difference: number) => ({
  key,
  value,
  completed,
  fizzled,
  difference,
});

test('numbers to the right, points under each other, as tabulate draws it', () => {
  const text = introspectionText('fireworks', [
    found('seed', '7', 10, 0, 100 / 3),
    found('a long key', '7', 1, 20, -25),
  ]);
  expect(text.split('\n').slice(3)).toEqual([
    'key           value    #C    #F    %C - %F',
    '----------  -------  ----  ----  ---------',
    'seed              7    10     0    33.3333',
    'a long key        7     1    20   -25',
  ]);
});

test('stack traces are told whole', () => {
  expect(introspectionText('launches', [found('_stacktrace', 'Oh\nno', 0, 3, -100)])).toEndWith(
    '\n----3 Failures have the following stack trace--------------\nOh\nno\n',
  );
});

test.each([
  [100 / 3, '33.3333'],
  [-100, '-100'],
  [1e-5, '1e-05'],
  [1234567, '1.23457e+06'],
  [0.5, '0.5'],
])('%d as Python formats it', (value, text) => {
  expect(generalFormat(value)).toBe(text);
});

test.each([
  ['a b', "'a b'"],
  ["it's", `"it's"`],
  [`'"`, `'\\'"'`],
  ['a\n\\', "'a\\n\\\\'"],
])('%j as Python quotes it', (value, text) => {
  expect(pythonRepr(value)).toBe(text);
});
