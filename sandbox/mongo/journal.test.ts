import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'bson';
import { Journal, newGeneration } from './journal.ts';

let dir: string;
let files = 0;
const newFile = () => join(dir, `journal-${files++}`);
const bytesOf = (object: object) => Buffer.from(serialize(object));

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'journal-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** Documents as the records in `file` leave them, by collection and rid. */
function replayed(file: string, generation: Buffer, documents = new Map<string, Buffer>()) {
  let records = 0;
  for (const changes of new Journal(file).read(generation)) {
    records++;
    for (const { collection, rid, after } of changes) {
      const name = `${collection} ${rid}`;
      if (after) documents.set(name, after(documents.get(name)));
      else documents.delete(name);
    }
  }
  return { records, documents };
}

const states = (n: number, more: Record<number, string> = {}) => ({
  ...Object.fromEntries(Array.from({ length: n }, (_, i) => [i, 'WAITING'])),
  ...more,
});
const workflow = (more: Record<number, string>, name = 'w') => ({
  name,
  updated_on: new Date(name.length),
  fw_states: states(2000, more),
  links: states(500),
});

test('changes come back byte for byte, those of a large document as a few pieces', async () => {
  const file = newFile();
  const journal = new Journal(file);
  const generation = newGeneration();
  journal.begin(generation);
  const steps: object[] = [
    workflow({}),
    // Of another length, and a field before it too; then of the same length.
    workflow({ 17: 'COMPLETED' }, 'longer'),
    workflow({ 17: 'COMPLETER' }, 'longer'),
    workflow({ 17: 'COMPLETED', 1999: 'READY' }, 'longer'),
    { ...workflow({ 17: 'COMPLETED' }), locked: true },
    workflow({ 0: 'a\0b' }),
    { fw_states: states(2000), name: 1, more: [], extra: { a: null } },
    { a: 'x'.repeat(5000) },
    { a: 'x'.repeat(4999) },
    { a: `${'x'.repeat(4000)}y${'x'.repeat(900)}`, b: 0 },
    {},
    workflow({}),
  ];
  let before: Buffer | null = null;
  const sizes: number[] = [];
  for (const [i, step] of steps.entries()) {
    const after = bytesOf(step);
    journal.add(1, 7, before, after);
    journal.add(2, 2 ** 40 + i, null, bytesOf({ i }));
    if (i > 0) journal.add(2, 2 ** 40 + i - 1, bytesOf({ i: i - 1 }), null);
    const was = journal.length;
    journal.write();
    sizes.push(journal.length - was);
    before = after;
    const { records, documents } = replayed(file, generation);
    expect(records).toBe(i + 1);
    expect(documents.get('1 7')?.equals(after)).toBe(true);
    expect([...documents.keys()]).toEqual(['1 7', `2 ${2 ** 40 + i}`]);
  }
  expect(sizes[0]).toBeGreaterThan(40_000);
  expect(sizes[1]).toBeLessThan(220);
  expect(sizes[2]).toBeLessThan(220);
  journal.close();
});

test('a record that was cut off or damaged ends the journal before it; one of another generation does not count', async () => {
  const file = newFile();
  const journal = new Journal(file);
  const first = newGeneration();
  journal.begin(first);
  const ends: number[] = [];
  for (let i = 0; i < 3; i++) {
    journal.add(1, i, null, bytesOf({ i }));
    journal.write();
    ends.push(journal.length);
  }
  const whole = await readFile(file);
  const [, second = 0, third = 0] = ends;
  for (let length = second; length < third; length++) {
    await writeFile(file, whole.subarray(0, length));
    expect(replayed(file, first).records).toBe(2);
  }
  for (let at = second; at < third; at++) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
    await writeFile(file, damaged);
    expect(replayed(file, first).records).toBe(2);
  }
  await writeFile(file, whole);
  const next = newGeneration();
  expect(replayed(file, next).records).toBe(0);
  // The next generation begins at the beginning, and what is left of the last one behind it is not taken for its own.
  journal.begin(next);
  journal.add(1, 9, null, bytesOf({ next: true }));
  journal.write();
  expect([...replayed(file, next).documents.keys()]).toEqual(['1 9']);
  expect(replayed(file, first).records).toBe(0);
});

test('what a command added is forgotten when it fails; too much for a record is said to be', () => {
  const file = newFile();
  const journal = new Journal(file);
  const generation = newGeneration();
  journal.begin(generation);
  journal.add(1, 1, null, bytesOf({ failed: true }));
  journal.discard();
  journal.add(1, 2, null, bytesOf({ done: true }));
  journal.write();
  expect([...replayed(file, generation).documents.keys()]).toEqual(['1 2']);
  journal.add(1, 3, null, bytesOf({ text: 'x'.repeat(1024 * 1024) }));
  expect(journal.tooMuch).toBe(true);
  journal.discard();
  expect(journal.tooMuch).toBe(false);
  for (let i = 0; i < 400; i++) journal.add(1, i, null, bytesOf({ text: 'x'.repeat(1024) }));
  expect(journal.tooMuch).toBe(true);
});
