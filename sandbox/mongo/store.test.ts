import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, spyOn, test } from 'bun:test';
import { cpSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { docOf, plainOf } from './document.ts';
import { duplicateKey, MongoAnswer } from './errors.ts';
import { run } from './query.ts';
import { type Collection, Store } from './store.ts';

let folder: string;
let copies = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const A = { name: 'a_1', key: { a: 1 }, unique: false, sparse: false } as const;

/** A store in `folder` with the collection d.c, which has an index of `a`. */
function opened(dir = join(folder, 'first')): { store: Store; c: Collection; dir: string } {
  const store = new Store(dir);
  store.transaction(() => {
    if (!store.find('d', 'c')) store.createIndexes(store.ensure('d', 'c'), [A]);
  });
  return { store, c: store.find('d', 'c') as Collection, dir };
}

/** What a crash at this moment leaves: a folder with the files as they are, the journal cut off by some bytes. */
function crashed(dir: string, cutOff = 0): string {
  const copy = join(folder, `copy-${copies++}`);
  cpSync(dir, copy, { recursive: true });
  const journal = join(copy, 'launchpad.journal');
  if (cutOff > 0) truncateSync(journal, statSync(journal).size - cutOff);
  return copy;
}

/** All documents, by a walk through them; each must be found by its index, and nothing else there. */
function contents(store: Store): Record<string, unknown>[] {
  const c = store.find('d', 'c') as Collection;
  const all = [...c.scan()].map(({ rid, document }) => ({ rid, plain: plainOf(document) }));
  for (const { rid, plain } of all) {
    for (const field of ['_id', 'a']) {
      const found = [...run(c, { filter: docOf({ [field]: plain[field] }) })].map((one) => one.rid);
      expect(found).toContain(rid);
    }
  }
  for (const { name, sql } of c.indexes) {
    const keys = sql.up().all(Buffer.alloc(0), Buffer.alloc(0), -1, Buffer.from([0xff]), 1e6) as {
      rid: number;
    }[];
    expect([name, keys.map(({ rid }) => rid).sort()]).toEqual([name, all.map(({ rid }) => rid).sort()]);
  }
  expect(c.count()).toBe(all.length);
  return all.map(({ plain }) => plain);
}

/** The contents of the store in `dir`, which is closed again. */
function contentsIn(dir: string): Record<string, unknown>[] {
  const store = new Store(dir);
  const found = contents(store);
  store.close();
  return found;
}

test('keys that another version made are made anew when the file is opened', () => {
  const { store, c, dir } = opened();
  const found = (store: Store) => {
    const collection = store.find('d', 'c') as Collection;
    return [...run(collection, { filter: docOf({ a: 2 }) })].length;
  };
  store.transaction(() => {
    for (const a of [1, 2, 2]) c.insert(docOf({ _id: Math.random(), a }));
  });
  expect(found(store)).toBe(2);
  store.close();
  const file = new Database(join(dir, 'launchpad.sqlite'));
  file.run("UPDATE idx_2 SET key = x'00' || key");
  file.run('PRAGMA user_version = 1');
  file.close();
  const again = new Store(dir);
  expect(found(again)).toBe(2);
  again.close();
});

test('a transaction that fails leaves nothing, neither documents nor collections', () => {
  const store = new Store();
  const work = () =>
    store.transaction(() => {
      store.ensure('d', 'c').insert(docOf({ _id: 1 }));
      throw new Error('stopped');
    });
  expect(work).toThrow('stopped');
  expect(store.collections()).toEqual([]);
  store.close();
});

/** Twenty writes, among them many of one large document; `after` is told of each. */
function writes(
  { store, c }: { store: Store; c: Collection },
  after: (all: Record<string, unknown>[]) => void,
) {
  const documents = new Map<number, Record<string, unknown>>();
  const rids = new Map<number, number>();
  const put = (_id: number, plain: Record<string, unknown>) => {
    store.transaction(() => {
      const [there] = run(c, { filter: docOf({ _id }) });
      if (there) c.replace(there.rid, there.document, docOf({ _id, ...plain }));
      else c.insert(docOf({ _id, ...plain }));
    });
    documents.set(_id, { _id, ...plain });
    if (!rids.has(_id)) rids.set(_id, rids.size);
    after([...documents.values()]);
  };
  const states: Record<string, string> = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`fw${i}`, 'WAITING']),
  );
  for (let i = 0; i < 20; i++) {
    states[`fw${i * 100}`] = i % 2 ? 'READY' : 'COMPLETED';
    if (i % 4 === 0) put(1, { a: i % 8, states: { ...states }, n: i });
    else if (i % 4 === 1) put(2, { a: [i, i + 1] });
    else if (i % 4 === 2) put(100 + i, { a: 'x'.repeat(i) });
    else {
      const _id = 100 + i - 1;
      store.transaction(() => {
        const [there] = run(c, { filter: docOf({ _id }) });
        if (there) c.delete(there);
      });
      documents.delete(_id);
      after([...documents.values()]);
    }
  }
}

test('a crash after any command leaves what was acknowledged', () => {
  const first = opened();
  writes({ store: first.store, c: first.c }, (all) => {
    const copy = crashed(first.dir);
    const again = new Store(copy);
    const c = again.find('d', 'c') as Collection;
    expect([...c.scan()].map(({ document }) => plainOf(document))).toEqual(all);
    // A crash right after the start loses nothing either.
    if (all.length % 3 === 0) expect(contentsInPlain(crashed(copy))).toEqual(all);
    again.close();
  });
  const all = [...first.c.scan()].map(({ document }) => plainOf(document));
  first.store.close();
  expect(readFileSync(join(first.dir, 'launchpad.journal')).length).toBe(0);
  expect(contentsInPlain(first.dir)).toEqual(all);
}, 60_000);

function contentsInPlain(dir: string): Record<string, unknown>[] {
  const store = new Store(dir);
  const c = store.find('d', 'c') as Collection;
  const all = [...c.scan()].map(({ document }) => plainOf(document));
  store.close();
  return all;
}

test('of a record that was cut off the command is not there, those before it are', () => {
  const { store, c, dir } = opened();
  const insert = (n: number) => store.transaction(() => c.insert(docOf({ _id: n, a: -n })));
  for (let n = 0; n < 3; n++) insert(n);
  const at = (n: number) => ({ _id: n, a: -n });
  for (const cutOff of [1, 10, 40]) expect(contentsIn(crashed(dir, cutOff))).toEqual([at(0), at(1)]);
  // The store that starts from it goes on writing where the last whole record ended.
  const copy = crashed(dir, 7);
  const again = opened(copy);
  again.store.transaction(() => again.c.insert(docOf(at(5))));
  expect(contentsIn(crashed(copy))).toEqual([at(0), at(1), at(5)]);
  again.store.close();
  store.close();
});

test('a command that fails amid others takes away its own writes alone, whatever it failed of', () => {
  const { store, c, dir } = opened();
  const insert = (n: number) => store.transaction(() => c.insert(docOf({ _id: n, a: n })));
  const failures: [string, () => unknown][] = [
    ['an answer', () => duplicateKey('d.c', 'a', {}, docOf({}))],
    ['a bug', () => new Error('a bug')],
  ];
  const expected: Record<string, unknown>[] = [];
  for (const [n, [name, failure]] of failures.entries()) {
    insert(n);
    expected.push({ _id: n, a: n });
    const failing = () =>
      store.transaction(() => {
        c.insert(docOf({ _id: 'undone', a: 1 }));
        const [one] = run(c, { filter: docOf({ _id: n }) });
        if (one) c.replace(one.rid, one.document, docOf({ _id: n, a: 'undone' }));
        const [other] = run(c, { filter: docOf({ _id: 0 }) });
        if (other) c.delete(other);
        store.ensure('d', 'undone');
        throw failure();
      });
    expect([name, failing]).toEqual([name, failing]);
    expect(failing).toThrow();
    expect(contents(store)).toEqual(expected);
    expect(store.find('d', 'undone')).toBeUndefined();
    expect(contentsIn(crashed(dir))).toEqual(expected);
  }
  insert(9);
  expected.push({ _id: 9, a: 9 });
  expect(contentsIn(crashed(dir))).toEqual(expected);
  store.close();
});

test('a duplicate key is refused before anything is written', () => {
  const { store, c, dir } = opened();
  store.transaction(() => {
    c.insert(docOf({ _id: 1, a: 1 }));
    expect(() => c.insert(docOf({ _id: 1, a: 2 }))).toThrow(MongoAnswer);
    c.insert(docOf({ _id: 2, a: 3 }));
  });
  const expected = [
    { _id: 1, a: 1 },
    { _id: 2, a: 3 },
  ];
  expect(contents(store)).toEqual(expected);
  expect(contentsIn(crashed(dir))).toEqual(expected);
  store.close();
});

test('a cursor goes on where it was when a command failed, and when its collection has another name', () => {
  const { store, c } = opened();
  store.transaction(() => {
    for (let n = 0; n < 100; n++) c.insert(docOf({ _id: n, a: n }));
  });
  const cursor = c.scan();
  const next = () => plainOf((cursor.next().value as { document: ReturnType<typeof docOf> }).document)._id;
  expect(next()).toBe(0);
  const failing = () =>
    store.transaction(() => {
      c.insert(docOf({ _id: 1000, a: 0 }));
      throw new Error('a bug');
    });
  expect(failing).toThrow('a bug');
  store.transaction(() => store.rename(c, 'd', 'renamed'));
  const renamed = store.find('d', 'renamed') as Collection;
  store.transaction(() => {
    const [last] = run(renamed, { filter: docOf({ _id: 99 }) });
    if (last) renamed.replace(last.rid, last.document, docOf({ _id: 99, a: 'new' }));
  });
  expect(Array.from({ length: 98 }, next)).toEqual(Array.from({ length: 98 }, (_, i) => i + 1));
  expect(plainOf((cursor.next().value as { document: ReturnType<typeof docOf> }).document)).toEqual({
    _id: 99,
    a: 'new',
  });
  expect(cursor.next().done).toBe(true);
  store.close();
});

test('nothing that was acknowledged is lost when the disk is full, and all goes on when it is not any more', () => {
  const { store, c, dir } = opened();
  const { page_count } = c.sqlite.query('PRAGMA page_count').get() as { page_count: number };
  c.sqlite.run(`PRAGMA max_page_count = ${page_count + 20}`);
  const done: number[] = [];
  using said = spyOn(console, 'error').mockImplementation(() => {});
  for (let n = 0; n < 200; n++) {
    try {
      store.transaction(() => c.insert(docOf({ _id: n, a: n, text: 'x'.repeat(3000) })));
      done.push(n);
    } catch {
      break;
    }
  }
  expect(done.length).toBeGreaterThan(20);
  expect(done.length).toBeLessThan(200);
  expect(said).toHaveBeenCalledTimes(1);
  // Not even a reader is answered: SQLite has not all of it.
  expect(() => store.look(() => c.count())).toThrow();
  expect(contentsIn(crashed(dir)).map(({ _id }) => _id)).toEqual(done);
  c.sqlite.run('PRAGMA max_page_count = 1000000');
  expect(store.look(() => contents(store)).map(({ _id }) => _id)).toEqual(done);
  store.transaction(() => c.insert(docOf({ _id: 1000, a: 1 })));
  expect(contentsIn(crashed(dir)).map(({ _id }) => _id)).toEqual([...done, 1000]);
  store.close();
});

test('a journal beside a database file that is not its own is not done', () => {
  const { store, c, dir } = opened();
  store.transaction(() => c.insert(docOf({ _id: 1, a: 1 })));
  const other = opened(join(folder, 'other'));
  other.store.close();
  cpSync(join(dir, 'launchpad.journal'), join(other.dir, 'launchpad.journal'));
  expect(contentsIn(other.dir)).toEqual([]);
  store.close();
});

test('a folder is one store’s at a time', () => {
  const { store, c, dir } = opened();
  store.transaction(() => c.insert(docOf({ _id: 1, a: 1 })));
  expect(() => new Store(dir)).toThrow('locked');
  expect(contents(store)).toEqual([{ _id: 1, a: 1 }]);
  store.close();
  expect(contentsIn(dir)).toEqual([{ _id: 1, a: 1 }]);
});
