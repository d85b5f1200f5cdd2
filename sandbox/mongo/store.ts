/**
 * Collections and indexes in one SQLite file. Documents are kept as the BSON bytes that came in, so that nothing of them
 * can change on the way; indexes are tables of order-preserving keys.
 *
 * Every command runs in one transaction (write-ahead log): its answer is sent after the commit, so that an acknowledged
 * write survives `kill -9` of this process. A crash before the commit leaves the state before the command.
 */
import { Database, type Statement } from 'bun:sqlite';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'bson';
import { Doc } from './document.ts';
import { duplicateKey, MongoAnswer } from './errors.ts';
import { encodeField, KEYS_VERSION, valuesAt } from './keys.ts';
import type { Range } from './plan.ts';

export interface IndexSpec {
  name: string;
  key: Record<string, 1 | -1>;
  unique: boolean;
  sparse: boolean;
}

interface Statements {
  insertKey: Statement;
  deleteKey: Statement;
  findKey: Statement;
  point: Statement;
  up: Statement;
  down: Statement;
  /** The same with the documents. */
  readUp: Statement;
  readDown: Statement;
  count: Statement;
}

export interface Index extends IndexSpec {
  id: number;
  fields: [string, 1 | -1][];
  /** True once a document had an array under an indexed path: several keys may stand for one document. */
  multikey: boolean;
  sql: Statements;
  /** How many keys lie in the ranges; more than `most` are not counted. */
  count(ranges: readonly Range[], most: number): number;
}

export interface Stored {
  rid: number;
  document: Doc;
}

interface Row {
  rid: number;
  bytes: Uint8Array;
}

interface Key {
  key: Uint8Array;
  rid: number;
}

/** So many documents are read at once, and no more of these bytes. */
const LARGEST_PAGE = { documents: 1024, bytes: 4 * 1024 * 1024 };

/** How many documents to read next, after a full page of these. */
function nextPage(page: readonly Row[]): number {
  const bytes = page.reduce((sum, row) => sum + row.bytes.length, 0) / page.length;
  const fits = Math.floor(LARGEST_PAGE.bytes / bytes);
  return Math.max(1, Math.min(page.length * 4, LARGEST_PAGE.documents, fits));
}

/** Counts of what was looked at, for tests and `explain`: proof that a query does not scan. */
export interface Work {
  docsExamined: number;
  keysExamined: number;
  docsInserted: number;
}

const MAX_DOCUMENT = 16 * 1024 * 1024;

/** Documents of more bytes than this are kept in memory when they were read or written: a large workflow is asked for often. */
const LARGE = 16 * 1024;
/** How many bytes of them a collection keeps. */
const MOST_KEPT = 64 * 1024 * 1024;

/** Large documents that were read or written last. */
class Kept {
  readonly #documents = new Map<number, Doc>();
  #bytes = 0;

  get(rid: number): Doc | undefined {
    return this.#documents.get(rid);
  }

  /** Keeps `document` as what `rid` is now, if it is large, and forgets what it was. */
  set(rid: number, document: Doc): void {
    this.delete(rid);
    const { length } = document.bytes;
    if (length < LARGE) return;
    this.#documents.set(rid, document);
    this.#bytes += length;
    for (const [oldest] of this.#documents) {
      if (this.#bytes <= MOST_KEPT) break;
      this.delete(oldest);
    }
  }

  delete(rid: number): void {
    const was = this.#documents.get(rid);
    if (!was) return;
    this.#documents.delete(rid);
    this.#bytes -= was.bytes.length;
  }
}

export class Collection {
  readonly indexes: Index[] = [];
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #delete: Statement;
  readonly #get: Statement;
  readonly #page: Statement;
  readonly #pageBack: Statement;
  /** True to the transaction that runs: one that fails takes the collection away with it (`Store.reload`). */
  readonly #kept = new Kept();

  constructor(
    readonly sqlite: Database,
    readonly id: number,
    readonly db: string,
    readonly name: string,
    readonly work: Work,
  ) {
    this.#insert = sqlite.query(`INSERT INTO docs_${id} (doc) VALUES (?) RETURNING rid`);
    this.#replace = sqlite.query(`UPDATE docs_${id} SET doc = ? WHERE rid = ?`);
    this.#delete = sqlite.query(`DELETE FROM docs_${id} WHERE rid = ?`);
    this.#get = sqlite.query(`SELECT rid, doc AS bytes FROM docs_${id} WHERE rid = ?`);
    this.#page = sqlite.query(`SELECT rid, doc AS bytes FROM docs_${id} WHERE rid > ? ORDER BY rid LIMIT ?`);
    this.#pageBack = sqlite.query(
      `SELECT rid, doc AS bytes FROM docs_${id} WHERE rid < ? ORDER BY rid DESC LIMIT ?`,
    );
  }

  get ns(): string {
    return `${this.db}.${this.name}`;
  }

  count(): number {
    return (this.sqlite.query(`SELECT count(*) AS n FROM docs_${this.id}`).get() as { n: number }).n;
  }

  size(): number {
    const row = this.sqlite.query(`SELECT coalesce(sum(length(doc)), 0) AS n FROM docs_${this.id}`).get();
    return (row as { n: number }).n;
  }

  insert(document: Doc): void {
    const { rid } = this.#insert.get(checkedBytes(document)) as { rid: number };
    for (const index of this.indexes) this.#addKeys(index, rid, document);
    this.work.docsInserted++;
  }

  /** Puts `after` in the place of `before`, and moves only the index keys that changed. */
  replace(rid: number, before: Doc, after: Doc): void {
    this.#replace.run(checkedBytes(after), rid);
    for (const index of this.indexes) {
      if (!touches(index, before, after)) continue;
      const old = keysOf(index, before);
      const now = keysOf(index, after);
      if (now.many) this.#multikey(index);
      for (const [name, key] of old.keys) if (!now.keys.has(name)) index.sql.deleteKey.run(key, rid);
      for (const [name, key] of now.keys) if (!old.keys.has(name)) this.#addKey(index, key, rid, after);
    }
    // Last: a key that is taken already undoes all of this.
    this.#kept.set(rid, after);
  }

  delete({ rid, document }: Stored): void {
    this.#delete.run(rid);
    this.#kept.delete(rid);
    for (const index of this.indexes)
      for (const key of keysOf(index, document).keys.values()) index.sql.deleteKey.run(key, rid);
  }

  get(rid: number): Stored | null {
    this.work.docsExamined++;
    const kept = this.#kept.get(rid);
    if (kept) return { rid, document: kept };
    const row = this.#get.get(rid) as Row | null;
    if (!row) return null;
    const document = new Doc(row.bytes);
    this.#kept.set(rid, document);
    return { rid, document };
  }

  /** All documents in the order of their insertion, read page by page so that writes between pages do no harm. */
  *scan(backwards = false): Generator<Stored> {
    let from = backwards ? Number.MAX_SAFE_INTEGER : 0;
    for (let size = 32; ; ) {
      const page = (backwards ? this.#pageBack : this.#page).all(from, size) as Row[];
      for (const { rid, bytes } of page) {
        this.work.docsExamined++;
        yield { rid, document: new Doc(bytes) };
      }
      if (page.length < size) return;
      from = (page.at(-1) as Row).rid;
      size = nextPage(page);
    }
  }

  /** The document whose key in the unique `index` is `key`. A fifth of what a range of one key costs. */
  *point(index: Index, key: Uint8Array): Generator<Stored> {
    const row = index.sql.point.get(key) as { rid: number } | null;
    if (!row) return;
    this.work.keysExamined++;
    const stored = this.get(row.rid);
    if (stored) yield stored;
  }

  /** The documents whose key in `index` lies in [from, to), in the order of the keys (or against it). */
  *range(index: Index, from: Uint8Array, to: Uint8Array, reverse: boolean): Generator<Stored> {
    const { sql } = index;
    let [key, rid] = reverse ? [to, -1] : [from, -1];
    // Few are asked for most often, and may be at hand. Many are read together with their keys.
    const few = 16;
    const first = (
      reverse ? sql.down.all(key, key, rid, from, few) : sql.up.all(key, key, rid, to, few)
    ) as Key[];
    for (const row of first) {
      this.work.keysExamined++;
      const stored = this.get(row.rid);
      if (stored) yield stored;
    }
    let last = first.at(-1);
    for (let size = few, full = first.length === few; full && last; ) {
      [key, rid] = [last.key, last.rid];
      const rows = (
        reverse ? sql.readDown.all(key, key, rid, from, size) : sql.readUp.all(key, key, rid, to, size)
      ) as (Key & Row)[];
      for (const row of rows) {
        this.work.keysExamined++;
        this.work.docsExamined++;
        yield { rid: row.rid, document: new Doc(row.bytes) };
      }
      last = rows.at(-1);
      full = rows.length === size;
      if (full) size = nextPage(rows);
    }
  }

  addIndex(id: number, spec: IndexSpec, multikey: boolean): Index {
    const table = `idx_${id}`;
    // `(key, rid) > (a, b)` written out: SQLite then uses the primary key for both bounds.
    const up = 'WHERE i.key >= ? AND (i.key, i.rid) > (?, ?) AND i.key < ? ORDER BY i.key, i.rid LIMIT ?';
    const down =
      'WHERE i.key <= ? AND (i.key, i.rid) < (?, ?) AND i.key >= ? ORDER BY i.key DESC, i.rid DESC LIMIT ?';
    const keys = `SELECT i.key, i.rid FROM ${table} i`;
    const read = `SELECT i.key, i.rid, d.doc AS bytes FROM ${table} i CROSS JOIN docs_${this.id} d ON d.rid = i.rid`;
    const index: Index = {
      ...spec,
      id,
      multikey,
      fields: Object.entries(spec.key),
      sql: {
        insertKey: this.sqlite.query(`INSERT OR IGNORE INTO ${table} (key, rid) VALUES (?, ?)`),
        deleteKey: this.sqlite.query(`DELETE FROM ${table} WHERE key = ? AND rid = ?`),
        findKey: this.sqlite.query(`SELECT rid FROM ${table} WHERE key = ? AND rid <> ? LIMIT 1`),
        point: this.sqlite.query(`SELECT rid FROM ${table} WHERE key = ?`),
        up: this.sqlite.query(`${keys} ${up}`),
        down: this.sqlite.query(`${keys} ${down}`),
        readUp: this.sqlite.query(`${read} ${up}`),
        readDown: this.sqlite.query(`${read} ${down}`),
        count: this.sqlite.query(
          `SELECT count(*) AS n FROM (SELECT 1 FROM ${table} WHERE key >= ? AND key < ? LIMIT ?)`,
        ),
      },
      count(ranges, most) {
        let n = 0;
        for (const { from, to } of ranges) {
          n += (index.sql.count.get(from, to, most - n) as { n: number }).n;
          if (n >= most) break;
        }
        return n;
      },
    };
    this.indexes.push(index);
    return index;
  }

  /** Fills new indexes from the documents that are there. */
  fill(indexes: readonly Index[]): void {
    for (const { rid, document } of this.scan())
      for (const index of indexes) this.#addKeys(index, rid, document);
  }

  #addKeys(index: Index, rid: number, document: Doc): void {
    const { keys, many } = keysOf(index, document);
    if (many) this.#multikey(index);
    for (const key of keys.values()) this.#addKey(index, key, rid, document);
  }

  #addKey(index: Index, key: Uint8Array, rid: number, document: Doc): void {
    if (index.unique && index.sql.findKey.get(key, rid)) {
      const value = index.fields.map(
        ([field]) => [field, valuesAt(document, field).values[0] ?? null] as const,
      );
      throw duplicateKey(this.ns, index.name, index.key, Doc.of(value));
    }
    index.sql.insertKey.run(key, rid);
  }

  #multikey(index: Index): void {
    if (index.multikey) return;
    index.multikey = true;
    this.sqlite.query('UPDATE indexes SET multikey = 1 WHERE id = ?').run(index.id);
  }
}

/** True unless all fields that the index looks at are the same bytes. */
function touches(index: Index, before: Doc, after: Doc): boolean {
  return index.fields.some(([field]) => !before.sameField(after, field.split('.')[0] as string));
}

/** The keys that `index` holds of `document`, by their bytes as text: one, or one for each element of an array. */
function keysOf(index: Index, document: Doc): { keys: Map<string, Uint8Array>; many: boolean } {
  let many = false;
  let present = false;
  let keys: number[][] = [[]];
  for (const [field, direction] of index.fields) {
    const at = valuesAt(document, field);
    many ||= at.many;
    present ||= at.values.some((value) => value !== undefined);
    const encoded = at.values.map((value) => encodeField(value, direction));
    keys = keys.flatMap((key) => encoded.map((part) => [...key, ...part]));
  }
  if (index.sparse && !present) return { keys: new Map(), many };
  const named = keys.map((key) => {
    const bytes = Buffer.from(key);
    return [bytes.toString('latin1'), bytes] as const;
  });
  return { keys: new Map(named), many };
}

function checkedBytes(document: Doc): Uint8Array {
  const { bytes } = document;
  if (bytes.length > MAX_DOCUMENT) {
    throw new MongoAnswer(
      10334,
      'BSONObjectTooLarge',
      `BSONObj size: ${bytes.length} (0x${bytes.length.toString(16).toUpperCase()}) is invalid. Size must be between 0 and 16793600(16MB)`,
    );
  }
  return bytes;
}

export class Store {
  readonly #sqlite: Database;
  readonly #collections = new Map<string, Collection>();
  readonly work: Work = { docsExamined: 0, keysExamined: 0, docsInserted: 0 };

  /** Opens the store in folder `dir` (made if missing), or in memory. */
  constructor(dir?: string) {
    if (dir) mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#sqlite = new Database(dir ? join(dir, 'launchpad.sqlite') : ':memory:', {
      create: true,
      strict: true,
    });
    // NORMAL in WAL mode: a commit is in the log file before it returns; only a crash of the whole machine can undo it.
    this.#sqlite.run('PRAGMA journal_mode = WAL');
    this.#sqlite.run('PRAGMA synchronous = NORMAL');
    this.#sqlite.run('PRAGMA locking_mode = EXCLUSIVE');
    this.#sqlite.run(
      'CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, db TEXT, name TEXT, UNIQUE (db, name))',
    );
    this.#sqlite.run(
      'CREATE TABLE IF NOT EXISTS indexes (id INTEGER PRIMARY KEY, collection INTEGER, spec BLOB, multikey INTEGER DEFAULT 0)',
    );
    for (const row of this.#sqlite.query('SELECT * FROM collections').all() as CollectionRow[])
      this.#load(row);
    this.#renewKeys();
  }

  /** Makes the keys anew when those in the file were made by a version that made other ones. */
  #renewKeys(): void {
    const { user_version } = this.#sqlite.query('PRAGMA user_version').get() as { user_version: number };
    if (user_version === KEYS_VERSION) return;
    this.transaction(() => {
      for (const collection of this.collections()) {
        for (const index of collection.indexes) this.#sqlite.run(`DELETE FROM idx_${index.id}`);
        collection.fill(collection.indexes);
      }
      this.#sqlite.run(`PRAGMA user_version = ${KEYS_VERSION}`);
    });
  }

  #load(row: CollectionRow): Collection {
    const collection = new Collection(this.#sqlite, row.id, row.db, row.name, this.work);
    const indexes = this.#sqlite.query('SELECT * FROM indexes WHERE collection = ? ORDER BY id').all(row.id);
    for (const index of indexes as IndexRow[]) {
      collection.addIndex(index.id, deserialize(index.spec) as IndexSpec, index.multikey === 1);
    }
    this.#collections.set(`${row.db}.${row.name}`, collection);
    return collection;
  }

  /** Runs `work` in one transaction. When it throws, nothing of it stays. */
  transaction<T>(work: () => T): T {
    this.#say('BEGIN');
    try {
      const result = work();
      this.#say('COMMIT');
      return result;
    } catch (thrown) {
      this.#say('ROLLBACK');
      throw thrown;
    }
  }

  /** Runs `work` so that, when it throws, its own writes alone are undone. Inside a transaction. */
  savepoint<T>(work: () => T): T {
    this.#say('SAVEPOINT one');
    try {
      const result = work();
      this.#say('RELEASE one');
      return result;
    } catch (thrown) {
      this.#say('ROLLBACK TO one');
      this.#say('RELEASE one');
      throw thrown;
    }
  }

  /** A statement that is compiled once: `run` of a database compiles each time. */
  #say(sql: string): void {
    this.#sqlite.query(sql).run();
  }

  find(db: string, name: string): Collection | undefined {
    return this.#collections.get(`${db}.${name}`);
  }

  collections(db?: string): Collection[] {
    return [...this.#collections.values()].filter((collection) => db === undefined || collection.db === db);
  }

  /** The collection, made with its `_id` index when it is not there yet. */
  ensure(db: string, name: string): Collection {
    const there = this.find(db, name);
    if (there) return there;
    const row = this.#sqlite
      .query('INSERT INTO collections (db, name) VALUES (?, ?) RETURNING *')
      .get(db, name) as CollectionRow;
    this.#sqlite.run(
      `CREATE TABLE docs_${row.id} (rid INTEGER PRIMARY KEY AUTOINCREMENT, doc BLOB NOT NULL)`,
    );
    const collection = this.#load(row);
    this.createIndexes(collection, [{ name: '_id_', key: { _id: 1 }, unique: true, sparse: false }]);
    return collection;
  }

  /** Makes indexes, all in one walk through the documents. */
  createIndexes(collection: Collection, specs: readonly IndexSpec[]): void {
    const made = specs.map((spec) => {
      const { id } = this.#sqlite
        .query('INSERT INTO indexes (collection, spec) VALUES (?, ?) RETURNING id')
        .get(collection.id, serialize(spec)) as { id: number };
      this.#sqlite.run(
        `CREATE TABLE idx_${id} (key BLOB, rid INTEGER, PRIMARY KEY (key, rid)) WITHOUT ROWID`,
      );
      return collection.addIndex(id, spec, false);
    });
    collection.fill(made);
  }

  dropIndex(collection: Collection, index: Index): void {
    this.#sqlite.query('DELETE FROM indexes WHERE id = ?').run(index.id);
    this.#sqlite.run(`DROP TABLE idx_${index.id}`);
    collection.indexes.splice(collection.indexes.indexOf(index), 1);
  }

  drop(collection: Collection): void {
    for (const index of [...collection.indexes]) this.dropIndex(collection, index);
    this.#sqlite.query('DELETE FROM collections WHERE id = ?').run(collection.id);
    this.#sqlite.run(`DROP TABLE docs_${collection.id}`);
    this.#collections.delete(collection.ns);
  }

  rename(collection: Collection, db: string, name: string): void {
    this.#sqlite.query('UPDATE collections SET db = ?, name = ? WHERE id = ?').run(db, name, collection.id);
    this.#collections.delete(collection.ns);
    this.#load(
      this.#sqlite.query('SELECT * FROM collections WHERE id = ?').get(collection.id) as CollectionRow,
    );
  }

  /** Forgets what a rolled-back transaction made, by reading the catalogue again. */
  reload(): void {
    this.#collections.clear();
    for (const row of this.#sqlite.query('SELECT * FROM collections').all() as CollectionRow[])
      this.#load(row);
  }

  close(): void {
    this.#sqlite.close(false);
  }
}

interface CollectionRow {
  id: number;
  db: string;
  name: string;
}

interface IndexRow {
  id: number;
  spec: Uint8Array;
  multikey: number;
}
