/** Duplicate finders in Python: real questions to a real Python. FireWorks' own classes: tests/rocket_features_as_python.e2e.ts. */
import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Doc } from '../core/launchpad/index.ts';
import { type TestWorker, testWorker } from './test_worker.ts';

const python3 = Bun.which('python3');
const why = python3 ? '' : ' (there is no python3 here)';

const MODULE = `
class SameKind(dict):
    def query(self, spec): return {"spec.kind": spec["kind"]}
    def verify(self, one, other): raise NotImplementedError

class Near(dict):
    def query(self, spec): return {"spec.kind": spec["kind"]}
    def verify(self, one, other): return abs(one["n"] - other["n"]) <= self["within"]

class Broken(dict):
    def query(self, spec): return spec["no such key"]

class Senseless(dict):
    def query(self, spec): return "everything"
    def verify(self, one, other): return True
`;

async function withModule(work: (worker: TestWorker) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'finder-'));
  try {
    await writeFile(join(folder, 'finders.py'), MODULE);
    const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' };
    await using worker = await testWorker({ env });
    await work(worker);
  } finally {
    await rm(folder, { recursive: true });
  }
}
const tasks: Doc[] = [{ _fw_name: 'ScriptTask', script: 'true' }];

/** Adds Fireworks that differ in `n`, flies all, and tells which launches each has. */
async function launchesOf(worker: TestWorker, finder: Doc, specs: Doc[]): Promise<number[][]> {
  for (const spec of specs) await worker.add(tasks, { ...spec, _dupefinder: finder });
  while (await worker.fly());
  const all = await worker.launchpad.fireworks.find({}).sort({ fw_id: 1 }).toArray();
  expect(all.map(({ state }) => state)).toEqual(specs.map(() => 'COMPLETED'));
  return all.map(({ launches }) => launches);
}

describe(`a duplicate finder in Python${why}`, () => {
  test.skipIf(!python3)('by its query alone', () =>
    withModule(async (worker) => {
      const specs = [{ kind: 'a' }, { kind: 'b' }, { kind: 'a' }];
      expect(await launchesOf(worker, { _fw_name: '{{finders.SameKind}}' }, specs)).toEqual([[1], [2], [1]]);
    }),
  );

  test.skipIf(!python3)('by a look at each that the query finds', () =>
    withModule(async (worker) => {
      const specs = [5, 9, 6, 20].map((n) => ({ kind: 'a', n }));
      const near = { _fw_name: '{{finders.Near}}', within: 1 };
      expect(await launchesOf(worker, near, specs)).toEqual([[1], [2], [1], [3]]);
    }),
  );

  const failing: [string, RegExp][] = [
    ['{{finders.Broken}}', /KeyError: 'no such key'$/],
    ['{{finders.Nothing}}', /SetupError: _dupefinder \{\{finders\.Nothing\}\}: .*/],
    ['{{nowhere.Finder}}', /SetupError: _dupefinder \{\{nowhere\.Finder\}\}: .*there is no module 'nowhere'/],
    ['{{finders.Senseless}}', /BorealisError: _dupefinder: its query is no dictionary$/],
  ];
  test.skipIf(!python3).each(failing)(
    'one that cannot be asked: the Firework fails and says why: %s',
    (name, last) =>
      withModule(async (worker) => {
        await worker.add(tasks, { _dupefinder: { _fw_name: name } });
        expect(await worker.fly()).toBe('fizzled');
        const { _exception } = (await worker.storedData(1)) as { _exception: Doc };
        expect(String(_exception._stacktrace).trim()).toMatch(last);
        expect((await worker.firework(1)).launches).toEqual([1]);
      }),
  );
});
