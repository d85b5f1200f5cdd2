/**
 * What Python FireWorks 2.1.4 wrote, step by step, against what we write for the same calls: field by field and type by
 * type. The files in recorded/ were made by Python FireWorks and are never edited.
 */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BY_CATEGORY } from './indexes.ts';
import { fromJson } from './json.ts';
import { RECORDED_HERE } from './recorded/recorded_here.ts';
import { type RecordedFile, SCENARIOS, worldOf } from './recorded/scenarios.ts';
import { recorded, snapshot } from './recorded/snapshot.ts';
import { testPad } from './test_pad.ts';

const folder = join(import.meta.dir, 'recorded');
const replays = { ...SCENARIOS, ...RECORDED_HERE };

/** Where Python leaves a traceback for the people who wrote it, ours says what is wrong. */
const OUR_WORDS: Record<string, [RegExp, string]> = {
  offline_recovery: [
    /"<traceback> FileNotFoundError.*"/,
    '"There is no FW_offline.json in <dir> on this machine"',
  ],
};

function read(name: string): RecordedFile {
  const text = readFileSync(join(folder, `${name}.json`), 'utf8');
  const [theirs, ours] = OUR_WORDS[name] ?? ['', ''];
  return fromJson(text.replace(theirs, ours)) as unknown as RecordedFile;
}

for (const [name, replay] of Object.entries(replays)) {
  test(`recorded: ${name}`, async () => {
    await using pad = await testPad();
    const file = read(name);
    const steps = [...file.steps];
    const world = worldOf(pad.launchpad, async (step) => {
      const next = steps.shift();
      expect(next?.step).toBe(step);
      const ours = await snapshot(pad.launchpad);
      for (const [collection, rows] of Object.entries(recorded(next?.collections ?? {})))
        expect({ step, collection, rows: ours[collection] }).toEqual({ step, collection, rows });
    });
    await replay(world, file);
    expect(steps).toEqual([]);
  });
}

const indexRow = (key: object, unique = false): [string, boolean] => [
  Object.entries(key)
    .map((pair) => pair.join(':'))
    .join('+'),
  unique,
];

/** Indexes that Python does not make. */
const OUR_INDEXES: Record<string, [string, boolean][]> = {
  // A worker of one category must not look at what is READY for others.
  fireworks: [indexRow(BY_CATEGORY)],
};

test('recorded: indexes', async () => {
  await using pad = await testPad();
  for (const [collection, rows] of Object.entries(read('indexes').steps[0]?.collections ?? {})) {
    const made = await pad.launchpad.db.collection(collection).indexes();
    const theirs = rows as unknown as [string, boolean][];
    expect(made.map(({ key, unique }) => indexRow(key, unique)).sort()).toEqual(
      [...theirs, ...(OUR_INDEXES[collection] ?? [])].sort(),
    );
  }
});

test('every recorded file is replayed', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  const replayed = [...Object.keys(replays), 'indexes'].map((name) => `${name}.json`);
  expect(files.sort()).toEqual(replayed.sort());
});
