import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docOf } from './document.ts';
import { run } from './query.ts';
import { Store } from './store.ts';

test('keys that another version made are made anew when the file is opened', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'store-'));
  const found = (store: Store) => {
    const collection = store.find('d', 'c');
    return collection ? [...run(collection, { filter: docOf({ a: 2 }) })].length : 0;
  };
  try {
    const first = new Store(dir);
    first.transaction(() => {
      const collection = first.ensure('d', 'c');
      first.createIndexes(collection, [{ name: 'a_1', key: { a: 1 }, unique: false, sparse: false }]);
      for (const a of [1, 2, 2]) collection.insert(docOf({ _id: Math.random(), a }));
    });
    expect(found(first)).toBe(2);
    first.close();
    const file = new Database(join(dir, 'launchpad.sqlite'));
    file.run("UPDATE idx_2 SET key = x'00' || key");
    file.run('PRAGMA user_version = 1');
    file.close();
    const again = new Store(dir);
    expect(found(again)).toBe(2);
    again.close();
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('a transaction that fails leaves nothing, neither documents nor collections', () => {
  const store = new Store();
  const work = () =>
    store.transaction(() => {
      store.ensure('d', 'c').insert(docOf({ _id: 1 }));
      throw new Error('stopped');
    });
  expect(work).toThrow('stopped');
  store.reload();
  expect(store.collections()).toEqual([]);
  store.close();
});
