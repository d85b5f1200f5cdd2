import { expect, test } from 'bun:test';
import { Double, Int32, Long, ObjectId } from 'bson';
import { pythonDate, pythonJson, pythonYaml } from './show.ts';

test('JSON as Python writes it: types kept, nothing beyond ASCII, what it cannot say is null', () => {
  const value = {
    one: new Int32(1),
    float: new Double(1),
    big: Long.fromString('9007199254740993'),
    text: 'grüße 🙂',
    date: new Date('2026-01-31T10:00:00.250Z'),
    id: new ObjectId(),
    empty: [],
    names: new Map([['b', ['c']]]),
  };
  expect(pythonJson(value)).toBe(
    [
      '{',
      '    "one": 1,',
      '    "float": 1.0,',
      '    "big": 9007199254740993,',
      '    "text": "gr\\u00fc\\u00dfe \\ud83d\\ude42",',
      '    "date": "2026-01-31T10:00:00.250000",',
      '    "id": null,',
      '    "empty": [],',
      '    "names": {',
      '        "b": [',
      '            "c"',
      '        ]',
      '    }',
      '}',
    ].join('\n'),
  );
});

test('a date on the second has no fraction', () => {
  expect(pythonDate(new Date('2026-01-31T10:00:00Z'))).toBe('2026-01-31T10:00:00');
});

test('YAML with sorted keys and floats that stay floats', async () => {
  const names = new Map([['z', 1]]);
  expect(await pythonYaml({ names, b: new Double(1), a: ['x', '2026-01-01T00:00:00'] })).toBe(
    "a:\n- x\n- '2026-01-01T00:00:00'\nb: 1.0\nnames:\n  z: 1\n",
  );
  expect(pythonJson({ b: [1, 'x'], a: {}, c: undefined }, 0, 0)).toBe('{"b": [1, "x"], "a": {}}');
});
