/**
 * Collections and indexes in one SQLite file. Documents are kept as the BSON bytes that came in, so that nothing of them
 * can change on the way; indexes are tables of order-preserving keys.
 *
 * One transaction of SQLite's goes on over many commands, for a commit costs more than most of them. What a command changed
 * is in the journal (journal.ts) before it is answered, so that an acknowledged write survives `kill -9` of this process:
 *
 *   clean    no transaction is open, and no record of the journal counts. Left by the next command that writes;
 *   open     a transaction holds all that was written since the last commit, and the journal the same, but for the command
 *            that runs. Indexes are written at once, documents when they must be (`Collection.flush`). Left for `clean` by a
 *            commit: after so many bytes, or a command that changes collections or indexes, or writes much at once;
 *   lost     a command has failed after it had written something, and SQLite has gone back to the last commit. What was
 *            acknowledged is done again from the journal, and committed, before any other command is answered.
 *
 * A crash leaves the last commit and the journal, which the next start does again: the state after the last command whose
 * record is whole. The command that ran then was not acknowledged; it is there as a whole or not at all.
 */
import { Database, type Statement } from 'bun:sqlite';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'bson';
import { Doc } from './document.ts';
import { duplicateKey, MongoAnswer } from './errors.ts';
import { type Change, Journal, newGeneration } from './journal.ts';
import { encodeField, type IndexedField, KEYS_VERSION, singleKey, valuesAt } from './keys.ts';
import type { Range } from './plan.ts';

export interface IndexSpec {
  name: string;
  key: Record<string, 1 | -1>;
  unique: boolean;
  sparse: boolean;
}

/**
 * A statement that is compiled when it is first asked for. Most of an index's never are: of all that a new LaunchPad's 31
 * indexes may need, compiling was a third of what making them took.
 */
type Later = () => Statement;

function compiledLater(sqlite: Database, text: string): Later {
  let compiled: Statement | undefined;
  return () => {
    compiled ??= sqlite.query(text);
    return compiled;
  };
}

interface Statements {
  insertKey: Later;
  deleteKey: Later;
  findKey: Later;
  point: Later;
  up: Later;
  down: Later;
  /** The same with the documents. */
  readUp: Later;
  readDown: Later;
  count: Later;
}

export interface Index extends IndexSpec {
  id: number;
  fields: [string, 1 | -1][];
  paths: IndexedField[];
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

/** How many keys of a range are read first, unless fewer may do. */
export const FEW = 16;

const MAX_DOCUMENT = 16 * 1024 * 1024;

/** Documents of more bytes than this are kept in memory when they were read or written: a large workflow is asked for often. */
const LARGE = 16 * 1024;
/** How many bytes of them a collection keeps. */
const MOST_KEPT = 64 * 1024 * 1024;

/** So many bytes of documents may wait for SQLite. */
const MOST_WAITING = 16 * 1024 * 1024;

/** Documents that are in memory: large ones that were read or written last, and those that SQLite does not have yet. */
class Kept {
  readonly #documents = new Map<number, Doc>();
  #bytes = 0;
  readonly #waiting = new Map<number, Doc>();
  /** How many bytes those had when they came. */
  waitingBytes = 0;

  get(rid: number): Doc | undefined {
    return this.#waiting.get(rid) ?? this.#documents.get(rid);
  }

  /** Keeps `document` as what `rid` is now, until SQLite has it, and longer if it is large. */
  change(rid: number, document: Doc): void {
    if (!this.#waiting.has(rid)) this.waitingBytes += document.bytes.length;
    this.#waiting.set(rid, document);
    this.set(rid, document);
  }

  /** Those that SQLite does not have. It does when the loop has ended. */
  *taken(): Generator<[rid: number, Doc]> {
    yield* this.#waiting;
    this.#waiting.clear();
    this.waitingBytes = 0;
  }

  /** Keeps `document` as what `rid` is, if it is large, and forgets what it was. */
  set(rid: number, document: Doc): void {
    this.#drop(rid);
    const { length } = document.bytes;
    if (length < LARGE) return;
    this.#documents.set(rid, document);
    this.#bytes += length;
    for (const [oldest] of this.#documents) {
      if (this.#bytes <= MOST_KEPT) break;
      this.#drop(oldest);
    }
  }

  delete(rid: number): void {
    this.#waiting.delete(rid);
    this.#drop(rid);
  }

  clear(): void {
    this.#documents.clear();
    this.#waiting.clear();
    this.#bytes = 0;
    this.waitingBytes = 0;
  }

  #drop(rid: number): void {
    const was = this.#documents.get(rid);
    if (!was) return;
    this.#documents.delete(rid);
    this.#bytes -= was.bytes.length;
  }
}

/** Told of each change: what the document `rid` was, null for a new one, and what it is now, null when it is gone. */
type OnChange = (collection: Collection, rid: number, before: Doc | null, after: Doc | null) => void;

export class Collection {
  readonly indexes: Index[] = [];
  readonly #put: Later;
  readonly #delete: Later;
  readonly #get: Later;
  readonly #page: Later;
  readonly #pageBack: Later;
  readonly #kept = new Kept();
  /** No document had a higher one. Undefined: not known yet. */
  #lastRid: number | undefined;
  /** How many changes there were: while it stays the same, so does all that was read. */
  changes = 0;

  constructor(
    readonly sqlite: Database,
    readonly id: number,
    public db: string,
    public name: string,
    readonly work: Work,
    readonly onChange: OnChange,
  ) {
    const later = (text: string) => compiledLater(sqlite, text);
    this.#put = later(
      `INSERT INTO docs_${id} (rid, doc) VALUES (?, ?) ON CONFLICT (rid) DO UPDATE SET doc = excluded.doc`,
    );
    this.#delete = later(`DELETE FROM docs_${id} WHERE rid = ?`);
    this.#get = later(`SELECT rid, doc AS bytes FROM docs_${id} WHERE rid = ?`);
    this.#page = later(`SELECT rid, doc AS bytes FROM docs_${id} WHERE rid > ? ORDER BY rid LIMIT ?`);
    this.#pageBack = later(
      `SELECT rid, doc AS bytes FROM docs_${id} WHERE rid < ? ORDER BY rid DESC LIMIT ?`,
    );
  }

  get ns(): string {
    return `${this.db}.${this.name}`;
  }

  count(): number {
    this.flush();
    return (this.sqlite.query(`SELECT count(*) AS n FROM docs_${this.id}`).get() as { n: number }).n;
  }

  size(): number {
    this.flush();
    const row = this.sqlite.query(`SELECT coalesce(sum(length(doc)), 0) AS n FROM docs_${this.id}`).get();
    return (row as { n: number }).n;
  }

  insert(document: Doc): void {
    const rid = this.#newRid();
    this.#change(rid, null, document);
    this.#lastRid = rid;
    this.onChange(this, rid, null, document);
    this.work.docsInserted++;
  }

  /** Puts `after` in the place of `before`, and moves only the index keys that changed. */
  replace(rid: number, before: Doc, after: Doc): void {
    this.#change(rid, before, after);
    this.onChange(this, rid, before, after);
  }

  delete({ rid, document }: Stored): void {
    this.#change(rid, document, null);
    this.onChange(this, rid, document, null);
  }

  /** Does a change again. */
  repeat({ rid, after }: Change): void {
    const before = this.get(rid)?.document ?? null;
    this.#lastRid = Math.max(rid, this.#newRid() - 1);
    this.#change(rid, before, after && new Doc(after(before?.bytes)));
  }

  /** One change of one document, done as a whole or refused as a whole: what could refuse it is looked at before it is written. */
  #change(rid: number, before: Doc | null, after: Doc | null): void {
    this.changes++;
    if (after) checkSize(after);
    const moves: { index: Index; gone: Uint8Array[]; come: Uint8Array[]; many: boolean }[] = [];
    for (const index of this.indexes) {
      if (before && after && !touches(index, before, after)) continue;
      const old = before ? keysOf(index, before) : NO_KEYS;
      const now = after ? keysOf(index, after) : NO_KEYS;
      const gone = without(old.keys, now.keys);
      const come = without(now.keys, old.keys);
      if (index.unique && after) for (const key of come) this.#checkUnique(index, key, rid, after);
      moves.push({ index, gone, come, many: now.many });
    }
    for (const { index, gone, come, many } of moves) {
      if (many) this.#multikey(index);
      for (const key of gone) index.sql.deleteKey().run(key, rid);
      for (const key of come) index.sql.insertKey().run(key, rid);
    }
    if (after) {
      this.#kept.change(rid, after);
      if (this.#kept.waitingBytes > MOST_WAITING) this.flush();
    } else {
      this.#delete().run(rid);
      this.#kept.delete(rid);
    }
  }

  #newRid(): number {
    if (this.#lastRid === undefined) {
      // What was given to a document that was deleted is not given again: a cursor may be about to go on from there.
      const row = this.sqlite.query('SELECT seq FROM sqlite_sequence WHERE name = ?').get(`docs_${this.id}`);
      this.#lastRid = (row as { seq: number } | null)?.seq ?? 0;
    }
    return this.#lastRid + 1;
  }

  /** Writes the documents that wait. To be called before SQLite is asked for documents, other than one by its `rid`. */
  flush(): void {
    for (const [rid, document] of this.#kept.taken()) this.#put().run(rid, document.bytes);
  }

  /** Forgets what was not committed. */
  forget(): void {
    this.changes++;
    this.#kept.clear();
    this.#lastRid = undefined;
    this.indexes.length = 0;
  }

  get(rid: number): Stored | null {
    this.work.docsExamined++;
    const kept = this.#kept.get(rid);
    if (kept) return { rid, document: kept };
    const row = this.#get().get(rid) as Row | null;
    if (!row) return null;
    const document = new Doc(row.bytes);
    this.#kept.set(rid, document);
    return { rid, document };
  }

  /** All documents in the order of their insertion, read page by page so that writes between pages do no harm. */
  *scan(backwards = false): Generator<Stored> {
    let from = backwards ? Number.MAX_SAFE_INTEGER : 0;
    for (let size = 32; ; ) {
      this.flush();
      const page = (backwards ? this.#pageBack() : this.#page()).all(from, size) as Row[];
      for (const { rid, bytes } of page) {
        this.work.docsExamined++;
        yield { rid, document: new Doc(bytes) };
      }
      if (page.length < size) return;
      from = (page.at(-1) as Row).rid;
      size = nextPage(page);
    }
  }

  /** The documents with these keys in the unique `index`: each `from` is one. A fifth of what a range of one key costs. */
  *points(index: Index, keys: readonly Range[]): Generator<Stored> {
    for (const { from } of keys) {
      const row = index.sql.point().get(from) as { rid: number } | null;
      if (!row) continue;
      this.work.keysExamined++;
      const stored = this.get(row.rid);
      if (stored) yield stored;
    }
  }

  /** The documents whose key in `index` lies in [from, to), in the order of the keys (or against it). `few`: so many may do. */
  *range(index: Index, { from, to }: Range, reverse: boolean, few = FEW): Generator<Stored> {
    const { sql } = index;
    let [key, rid] = reverse ? [to, -1] : [from, -1];
    // Few are asked for most often, and may be at hand. Many are read together with their keys.
    const first = (
      reverse ? sql.down().all(key, key, rid, from, few) : sql.up().all(key, key, rid, to, few)
    ) as Key[];
    for (const row of first) {
      this.work.keysExamined++;
      const stored = this.get(row.rid);
      if (stored) yield stored;
    }
    let last = first.at(-1);
    for (let size = FEW, full = first.length === few; full && last; ) {
      [key, rid] = [last.key, last.rid];
      this.flush();
      const rows = (
        reverse ? sql.readDown().all(key, key, rid, from, size) : sql.readUp().all(key, key, rid, to, size)
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
    const later = (text: string) => compiledLater(this.sqlite, text);
    const index: Index = {
      ...spec,
      id,
      multikey,
      fields: Object.entries(spec.key),
      paths: Object.entries(spec.key).map(([field, direction]) => [field.split('.'), direction]),
      sql: {
        insertKey: later(`INSERT OR IGNORE INTO ${table} (key, rid) VALUES (?, ?)`),
        deleteKey: later(`DELETE FROM ${table} WHERE key = ? AND rid = ?`),
        findKey: later(`SELECT rid FROM ${table} WHERE key = ? AND rid <> ? LIMIT 1`),
        point: later(`SELECT rid FROM ${table} WHERE key = ?`),
        up: later(`${keys} ${up}`),
        down: later(`${keys} ${down}`),
        readUp: later(`${read} ${up}`),
        readDown: later(`${read} ${down}`),
        count: later(`SELECT count(*) AS n FROM (SELECT 1 FROM ${table} WHERE key >= ? AND key < ? LIMIT ?)`),
      },
      count(ranges, most) {
        let n = 0;
        for (const { from, to } of ranges) {
          n += (index.sql.count().get(from, to, most - n) as { n: number }).n;
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
    for (const { rid, document } of this.scan()) {
      for (const index of indexes) {
        const { keys, many } = keysOf(index, document);
        if (many) this.#multikey(index);
        for (const key of keys) {
          if (index.unique) this.#checkUnique(index, key, rid, document);
          index.sql.insertKey().run(key, rid);
        }
      }
    }
  }

  #checkUnique(index: Index, key: Uint8Array, rid: number, document: Doc): void {
    if (!index.sql.findKey().get(key, rid)) return;
    const value = index.fields.map(
      ([field]) => [field, valuesAt(document, field).values[0] ?? null] as const,
    );
    throw duplicateKey(this.ns, index.name, index.key, Doc.of(value));
  }

  #multikey(index: Index): void {
    if (index.multikey) return;
    index.multikey = true;
    this.sqlite.query('UPDATE indexes SET multikey = 1 WHERE id = ?').run(index.id);
  }
}

/** True unless all fields that the index looks at are the same bytes. */
function touches(index: Index, before: Doc, after: Doc): boolean {
  return index.paths.some(([path]) => !before.sameField(after, path[0] as string));
}

interface Keys {
  keys: Uint8Array[];
  many: boolean;
}

const NO_KEYS: Keys = { keys: [], many: false };

/** The keys that `index` holds of `document`, each once: one, or one for each element of an array. */
function keysOf(index: Index, document: Doc): Keys {
  const single = singleKey(document, index.paths, index.sparse);
  if (single) return { keys: [single], many: false };
  let many = false;
  let present = false;
  let keys: Uint8Array[] = [NO_BYTES];
  for (const [field, direction] of index.fields) {
    const at = valuesAt(document, field);
    many ||= at.many;
    present ||= at.values.some((value) => value !== undefined);
    const encoded = at.values.map((value) => encodeField(value, direction));
    keys = keys.flatMap((key) => encoded.map((part) => Buffer.concat([key, part])));
  }
  if (index.sparse && !present) return { keys: [], many };
  const named = keys.map((key) => [textOf(key), key] as const);
  return { keys: [...new Map(named).values()], many };
}

const NO_BYTES = Buffer.alloc(0);

const textOf = (key: Uint8Array) => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');

/** Those of `keys` that `others` has not. */
function without(keys: readonly Uint8Array[], others: readonly Uint8Array[]): Uint8Array[] {
  if (others.length === 0 || keys.length === 0) return [...keys];
  const [one, other] = [keys[0] as Uint8Array, others[0] as Uint8Array];
  if (keys.length === 1 && others.length === 1) return Buffer.compare(one, other) === 0 ? [] : [one];
  const there = new Set(others.map(textOf));
  return keys.filter((key) => !there.has(textOf(key)));
}

function checkSize({ bytes }: Doc): void {
  if (bytes.length > MAX_DOCUMENT) {
    throw new MongoAnswer(
      10334,
      'BSONObjectTooLarge',
      `BSONObj size: ${bytes.length} (0x${bytes.length.toString(16).toUpperCase()}) is invalid. Size must be between 0 and 16793600(16MB)`,
    );
  }
}

/** So many bytes of records in the journal, and all is committed. */
const MOST_JOURNAL = 256 * 1024;

export class Store {
  readonly #sqlite: Database;
  /** Null: in memory, where every command is committed, and nothing outlives the process. */
  readonly #journal: Journal | null;
  readonly #collections = new Map<string, Collection>();
  readonly work: Work = { docsExamined: 0, keysExamined: 0, docsInserted: 0 };
  #state: 'clean' | 'open' | 'lost' = 'clean';
  /** What the command that runs has changed so far. */
  #changed: 'nothing' | 'documents' | 'schema' = 'nothing';

  /** Opens the store in folder `dir` (made if missing), or in memory. */
  constructor(dir?: string) {
    if (dir) mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#sqlite = new Database(dir ? join(dir, 'launchpad.sqlite') : ':memory:', {
      create: true,
      strict: true,
    });
    // NORMAL in WAL mode: a commit is in the log file before it returns; only a crash of the whole machine can undo it. The
    // same holds of a record in the journal.
    this.#sqlite.run('PRAGMA journal_mode = WAL');
    this.#sqlite.run('PRAGMA synchronous = NORMAL');
    this.#sqlite.run('PRAGMA locking_mode = EXCLUSIVE');
    this.#sqlite.run(
      'CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, db TEXT, name TEXT, UNIQUE (db, name))',
    );
    this.#sqlite.run(
      'CREATE TABLE IF NOT EXISTS indexes (id INTEGER PRIMARY KEY, collection INTEGER, spec BLOB, multikey INTEGER DEFAULT 0)',
    );
    this.#sqlite.run('CREATE TABLE IF NOT EXISTS generation (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)');
    this.#load();
    this.#renewKeys();
    // Here the file belongs to this process alone.
    this.#journal = dir ? new Journal(join(dir, 'launchpad.journal')) : null;
    this.#recover();
  }

  /** Makes the keys anew when those in the file were made by a version that made other ones. */
  #renewKeys(): void {
    const { user_version } = this.#sqlite.query('PRAGMA user_version').get() as { user_version: number };
    if (user_version === KEYS_VERSION) return;
    this.#say('BEGIN');
    for (const collection of this.collections()) {
      for (const index of collection.indexes) this.#sqlite.run(`DELETE FROM idx_${index.id}`);
      collection.fill(collection.indexes);
    }
    this.#sqlite.run(`PRAGMA user_version = ${KEYS_VERSION}`);
    // The generation stays: what the journal holds is still to be done.
    this.#say('COMMIT');
  }

  /** Runs a command that writes. When it throws, nothing of it stays; when it returns, all of it does. */
  transaction<T>(work: () => T): T {
    if (this.#state === 'lost') this.#recover();
    if (this.#state === 'clean') this.#begin();
    try {
      const result = work();
      this.#acknowledge();
      return result;
    } catch (thrown) {
      if (this.#changed !== 'nothing' || !(thrown instanceof MongoAnswer)) this.#recover();
      throw thrown;
    }
  }

  /** Runs a command that reads. In the transaction that is open: outside of one each statement takes locks of its own. */
  look<T>(work: () => T): T {
    if (this.#state === 'lost') this.#recover();
    if (this.#state === 'clean') this.#begin();
    try {
      return work();
    } catch (thrown) {
      // It may have been writing the documents that wait.
      if (!(thrown instanceof MongoAnswer)) this.#recover();
      throw thrown;
    }
  }

  #begin(): void {
    this.#say('BEGIN');
    this.#state = 'open';
  }

  #acknowledge(): void {
    const changed = this.#changed;
    if (changed === 'nothing') return;
    const journal = this.#journal;
    if (!journal || changed === 'schema' || journal.tooMuch) {
      this.#commit();
      return;
    }
    journal.write();
    this.#changed = 'nothing';
    if (journal.length < MOST_JOURNAL) return;
    try {
      this.#commit();
    } catch (thrown) {
      // This command is in the journal. The next ones are not answered before all of that is done again.
      console.error('LaunchPad server: cannot commit:', thrown);
      this.#state = 'lost';
    }
  }

  #commit(): void {
    for (const collection of this.#collections.values()) collection.flush();
    const generation = newGeneration();
    this.#sqlite.query('INSERT OR REPLACE INTO generation VALUES (1, ?)').run(generation);
    this.#say('COMMIT');
    this.#state = 'clean';
    this.#changed = 'nothing';
    this.#journal?.begin(generation);
  }

  /**
   * From whatever is to all that was acknowledged: back to the last commit, unless SQLite itself has gone back, as it does when
   * the disk is full; then what the journal holds. When it throws, the next command tries again before anything else.
   */
  #recover(): void {
    this.#state = 'lost';
    if (this.#sqlite.inTransaction) this.#say('ROLLBACK');
    this.#load();
    this.#changed = 'nothing';
    this.#say('BEGIN');
    const row = this.#sqlite.query('SELECT bytes FROM generation').get() as { bytes: Uint8Array } | null;
    if (row && this.#journal) {
      const collections = new Map(this.collections().map((collection) => [collection.id, collection]));
      for (const changes of this.#journal.read(Buffer.from(row.bytes)))
        for (const change of changes) (collections.get(change.collection) as Collection).repeat(change);
    }
    this.#commit();
  }

  /** A statement that is compiled once: `run` of a database compiles each time. */
  #say(sql: string): void {
    this.#sqlite.query(sql).run();
  }

  /** Reads the catalogue. Collections that there are already stay the same ones: a cursor may be reading them. */
  #load(): void {
    const known = new Map(this.collections().map((collection) => [collection.id, collection]));
    this.#collections.clear();
    for (const collection of known.values()) collection.forget();
    for (const row of this.#sqlite.query('SELECT * FROM collections').all() as CollectionRow[])
      this.#add(row, known.get(row.id));
  }

  #add({ id, db, name }: CollectionRow, known?: Collection): Collection {
    const collection = known ?? new Collection(this.#sqlite, id, db, name, this.work, this.#onChange);
    [collection.db, collection.name] = [db, name];
    const indexes = this.#sqlite.query('SELECT * FROM indexes WHERE collection = ? ORDER BY id').all(id);
    for (const index of indexes as IndexRow[])
      collection.addIndex(index.id, deserialize(index.spec) as IndexSpec, index.multikey === 1);
    this.#collections.set(collection.ns, collection);
    return collection;
  }

  readonly #onChange: OnChange = ({ id }, rid, before, after) => {
    if (this.#changed === 'nothing') this.#changed = 'documents';
    this.#journal?.add(id, rid, before?.bytes ?? null, after?.bytes ?? null);
  };

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
    this.#changed = 'schema';
    const row = this.#sqlite
      .query('INSERT INTO collections (db, name) VALUES (?, ?) RETURNING *')
      .get(db, name) as CollectionRow;
    this.#sqlite.run(
      `CREATE TABLE docs_${row.id} (rid INTEGER PRIMARY KEY AUTOINCREMENT, doc BLOB NOT NULL)`,
    );
    const collection = this.#add(row);
    this.createIndexes(collection, [{ name: '_id_', key: { _id: 1 }, unique: true, sparse: false }]);
    return collection;
  }

  /** Makes indexes, all in one walk through the documents. */
  createIndexes(collection: Collection, specs: readonly IndexSpec[]): void {
    this.#changed = 'schema';
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
    this.#changed = 'schema';
    this.#sqlite.query('DELETE FROM indexes WHERE id = ?').run(index.id);
    this.#sqlite.run(`DROP TABLE idx_${index.id}`);
    collection.indexes.splice(collection.indexes.indexOf(index), 1);
  }

  drop(collection: Collection): void {
    for (const index of [...collection.indexes]) this.dropIndex(collection, index);
    this.#sqlite.query('DELETE FROM collections WHERE id = ?').run(collection.id);
    this.#sqlite.run(`DROP TABLE docs_${collection.id}`);
    this.#collections.delete(collection.ns);
    collection.forget();
  }

  rename(collection: Collection, db: string, name: string): void {
    this.#changed = 'schema';
    this.#sqlite.query('UPDATE collections SET db = ?, name = ? WHERE id = ?').run(db, name, collection.id);
    this.#collections.delete(collection.ns);
    [collection.db, collection.name] = [db, name];
    this.#collections.set(collection.ns, collection);
  }

  close(): void {
    if (this.#state === 'lost') this.#recover();
    if (this.#state === 'open') this.#commit();
    this.#journal?.close();
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
