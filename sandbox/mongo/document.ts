/**
 * A BSON document that is read where it lies: fields are found in the bytes, decoded when asked for, and written back as the
 * very same bytes unless they were set. So no field changes its type, its place or a single bit because another was read
 * or written, and a small change of a large document costs little more than copying it.
 *
 * Decoded, a document is a `Doc`, an array a plain array, a number an Int32, Double, Long or Decimal128 (never a bare
 * JavaScript number, which would forget which of them it was), and everything else as `bson` has it. JavaScript objects
 * would not do for documents: they put keys that look like numbers first, and `fw_states` is made of those.
 * https://bsonspec.org/spec.html
 */
import { Double, deserialize, Int32, Long, ObjectId, serialize } from 'bson';

const TYPE = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  int32: 0x10,
  int64: 0x12,
} as const;

/** A field: still in the bytes [at, end) of `source`, its value from `from` on; or set, then `source` is null. */
interface Slot {
  source: Buffer | null;
  at: number;
  from: number;
  end: number;
  value: unknown;
}

/** Not decoded yet. */
const UNREAD = Symbol('unread');

/**
 * A document of more fields than this is wide, as `fw_states` and `links` are. The first few fields that are asked of it are
 * searched for in the bytes, and set there: to take all of it apart would cost more than that, and than the rest of a command.
 * Of one that goes on being asked, and of what is made of it by setting fields, it is known from then on where each field lies.
 */
const WIDE = 64;
const SEARCHES = 8;
/** Of a short document too the first fields are searched for: most documents are asked for one or two, and then forgotten. */
const SHORT = 4096;
const FEW_LOOKS = 3;
/** So many may be searched for together. */
const MOST_AT_ONCE = 64;

/** Where the fields of a wide document lie. */
interface Places {
  /** Which field has a name: shared by all documents that are made of one by setting what it has. */
  ordinals: ReadonlyMap<string, number>;
  /** Where each field begins, and after them where the last one ends. */
  starts: Int32Array;
}

export class Doc {
  /** The bytes, until something is set. */
  #bytes: Buffer | null;
  #fields: Map<string, Slot> | null = null;
  /** Of a wide document, how many fields may yet be searched for; undefined: it is not known whether it is wide. */
  #searches: number | undefined;
  /** Those that were searched for; undefined for one that is not there. */
  #known: Map<string, Slot | undefined> | null = null;
  #places: Places | null = null;
  /** Of a short document, how many fields were looked for without reading all; the last one of them. */
  #looks = 0;
  #lastKey: string | undefined;
  #last: Slot | undefined;

  /** The document in `bytes`, which must not change afterwards. Without: an empty one. */
  constructor(bytes: Uint8Array = EMPTY) {
    this.#bytes = bufferOf(bytes);
  }

  static of(entries: Iterable<readonly [string, unknown]>): Doc {
    const document = new Doc();
    for (const [key, value] of entries) document.set(key, value);
    return document;
  }

  get #slots(): Map<string, Slot> {
    this.#fields ??= fieldsOf(this.#bytes as Buffer);
    return this.#fields;
  }

  /** The bytes, when it is better to search a field in them. */
  #searched(): Buffer | null {
    if (this.#fields || !this.#bytes) return null;
    if (this.#searches === undefined) {
      const fields = fieldsOf(this.#bytes, WIDE);
      if (fields.size <= WIDE) this.#fields = fields;
      this.#searches = SEARCHES;
    }
    return this.#fields ? null : this.#bytes;
  }

  #slot(key: string): Slot | undefined {
    if (this.#lastKey === key && !this.#fields) return this.#last;
    const short = !this.#fields && this.#bytes && this.#bytes.length <= SHORT;
    if (short && this.#looks < FEW_LOOKS && isAscii(key)) {
      this.#looks++;
      this.#last = slotOf(this.#bytes as Buffer, key);
      this.#lastKey = key;
      return this.#last;
    }
    if (!this.#fields && this.#known?.has(key)) return this.#known.get(key);
    const bytes = this.#searched();
    return bytes ? this.#search(bytes, [key]).get(key) : this.#slots.get(key);
  }

  /** Looks for fields in one walk through the bytes, or where they are known to lie. */
  #search(bytes: Buffer, keys: readonly string[]): ReadonlyMap<string, Slot | undefined> {
    this.#known ??= new Map();
    if (!this.#places && (this.#searches as number) <= 0) this.#places = placesOf(bytes);
    if (this.#places) {
      for (const key of keys)
        if (!this.#known.has(key)) this.#known.set(key, slotIn(bytes, this.#places, key));
      return this.#known;
    }
    (this.#searches as number)--;
    const found = fieldsAmong(bytes, keys);
    for (const key of keys) this.#known.set(key, found.get(key));
    return this.#known;
  }

  get size(): number {
    return this.#slots.size;
  }

  has(key: string): boolean {
    return this.#slot(key) !== undefined;
  }

  /** Undefined when there is no such field. What comes back must not be changed: copy it, change the copy, `set` it. */
  get(key: string): unknown {
    const slot = this.#slot(key);
    return slot && read(slot);
  }

  /** In its place when it is there already, else at the end. */
  set(key: string, value: unknown): void {
    const bytes = this.#searched();
    if (bytes) {
      const there = this.#slot(key);
      const { at, end } = there ?? { at: bytes.length - 1, end: bytes.length - 1 };
      const writer = new Writer(bytes.length + 512);
      const start = writer.open();
      writer.copy(bytes, 4, at);
      writer.element(key, value);
      writer.copy(bytes, end, bytes.length - 1);
      writer.close(start);
      this.#bytes = writer.done();
      if (there && this.#places) this.#places = moved(this.#places, key, this.#bytes.length - bytes.length);
      else {
        this.#places = null;
        this.#searches = SEARCHES;
      }
      this.#known = null;
      this.#lastKey = undefined;
      return;
    }
    this.#slots.set(key, { source: null, at: 0, from: 0, end: 0, value });
    this.#bytes = null;
  }

  delete(key: string): boolean {
    const was = this.#slots.delete(key);
    if (was) this.#bytes = null;
    return was;
  }

  keys(): string[] {
    return [...this.#slots.keys()];
  }

  /** Those of `wanted` that there are, in the document's order. */
  keysAmong(wanted: ReadonlyMap<string, unknown>): string[] {
    const bytes = wanted.size > MOST_AT_ONCE ? null : this.#searched();
    const fields = bytes ? this.#search(bytes, [...wanted.keys()]) : this.#slots;
    // Of few that are asked for, their places tell the order.
    if (bytes || wanted.size * 4 < fields.size) {
      const there = [...wanted.keys()].filter((key) => fields.get(key));
      const source = this.#bytes;
      const at = (key: string) => fields.get(key)?.at ?? 0;
      if (there.length <= 1) return there;
      if (source && there.every((key) => fields.get(key)?.source === source))
        return there.sort((a, b) => at(a) - at(b));
    }
    return this.keys().filter((key) => wanted.has(key));
  }

  firstKey(): string | undefined {
    return this.#slots.keys().next().value;
  }

  *entries(): Generator<[string, unknown]> {
    for (const [key, slot] of this.#slots) yield [key, read(slot)];
  }

  /** A document of the same fields, to change. */
  copy(): Doc {
    const copy = new Doc(this.#bytes ?? undefined);
    copy.#bytes = this.#bytes;
    // Of a wide one a few fields are set, most often: they are searched for in the copy too.
    if (this.#bytes && this.#searches !== undefined && (this.#searches < SEARCHES || this.#places)) {
      copy.#searches = this.#searches;
      copy.#places = this.#places;
      copy.#known = this.#known && new Map(this.#known);
    } else copy.#fields = this.#fields && new Map(this.#fields);
    return copy;
  }

  /** Takes over a field of another document as it is, without decoding it. */
  take(key: string, from: Doc): void {
    const slot = from.#slot(key);
    if (!slot) return;
    this.#slots.set(key, slot);
    this.#bytes = null;
  }

  /** A document of those of its fields that have one of these names, in its own order. Their bytes are copied, not decoded. */
  only(names: readonly Uint8Array[]): Doc {
    const { bytes } = this;
    const { runs, size } = runsOf(bytes, names);
    const only = Buffer.allocUnsafe(size);
    only.writeInt32LE(size, 0);
    let to = 4;
    // Short ones, most often: a loop is quicker than `copy`, which is called.
    for (let i = 0; i < runs.length; i += 2) {
      const [from, end] = [runs[i] as number, runs[i + 1] as number];
      if (end - from > 200) to += bytes.copy(only, to, from, end);
      else for (let at = from; at < end; at++) only[to++] = bytes[at] as number;
    }
    only[to] = 0;
    return new Doc(only);
  }

  /** True when both have the same bytes there, or neither has the field. A field that was set counts as another. */
  sameField(other: Doc, key: string): boolean {
    const [a, b] = [this.#slots.get(key), other.#slots.get(key)];
    if (a === b) return true;
    return !!a?.source && !!b?.source && a.source.compare(b.source, b.at, b.end, a.at, a.end) === 0;
  }

  get bytes(): Buffer {
    if (!this.#bytes) {
      const writer = new Writer(this.#room());
      this.writeTo(writer);
      this.#bytes = writer.done();
    }
    return this.#bytes;
  }

  /** About how many bytes it has. */
  #room(): number {
    let room = 64;
    for (const { source, at, end, value } of this.#slots.values()) {
      if (source) room += end - at;
      else room += value instanceof Doc ? value.bytes.length + 64 : 64;
    }
    return room;
  }

  /** Neighbours that were not touched are copied in one piece. */
  writeTo(writer: Writer): void {
    if (this.#bytes) {
      writer.copy(this.#bytes, 0, this.#bytes.length);
      return;
    }
    const start = writer.open();
    let run: { source: Buffer; at: number; end: number } | null = null;
    for (const [key, { source, at, end, value }] of this.#slots) {
      if (run && source === run.source && at === run.end) {
        run.end = end;
        continue;
      }
      if (run) writer.copy(run.source, run.at, run.end);
      run = source && { source, at, end };
      if (!source) writer.element(key, value);
    }
    if (run) writer.copy(run.source, run.at, run.end);
    writer.close(start);
  }
}

const EMPTY = Buffer.from([5, 0, 0, 0, 0]);

/** The same bytes with the methods of a Buffer. Not `Buffer.from`: what SQLite read would need an ArrayBuffer, 1 µs for each document. */
const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : (Object.setPrototypeOf(bytes, Buffer.prototype) as Buffer);

function read(slot: Slot): unknown {
  if (slot.value === UNREAD) slot.value = decode(slot.source as Buffer, slot.at, slot.from, slot.end);
  return slot.value;
}

/** Finds the fields; no more than one over `most`. Throws when the bytes are no BSON document. */
function fieldsOf(bytes: Buffer, most = Number.POSITIVE_INFINITY): Map<string, Slot> {
  const fields = new Map<string, Slot>();
  walk(bytes, (at, from, end) => {
    fields.set(nameAt(bytes, at + 1, from - 1), slotAt(bytes, at, from, end));
    return fields.size <= most;
  });
  return fields;
}

const slotAt = (source: Buffer, at: number, from: number, end: number): Slot => {
  return { source, at, from, end, value: UNREAD };
};

export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** The field of this ASCII name; of two the last, as in `fieldsOf`. The loop of `walk`, for documents that are read by the thousand. */
function slotOf(bytes: Buffer, key: string): Slot | undefined {
  const last = checked(bytes, 0, bytes.length);
  let found: Slot | undefined;
  for (let at = 4; at < last; ) {
    let from = at + 1;
    let byte = bytes[from] as number;
    let same = true;
    while (byte !== 0 && from < last) {
      if (same && byte !== key.charCodeAt(from - at - 1)) same = false;
      byte = bytes[++from] as number;
    }
    same &&= from - at - 1 === key.length;
    from++;
    const end = from + sizeOf(bytes[at] as number, bytes, from);
    if (end > last) throw new Error('a BSON field that runs over its document');
    if (same) found = slotAt(bytes, at, from, end);
    at = end;
  }
  return found;
}

function placesOf(bytes: Buffer): Places {
  const ordinals = new Map<string, number>();
  const starts: number[] = [];
  walk(bytes, (at, from) => {
    ordinals.set(nameAt(bytes, at + 1, from - 1), starts.length);
    starts.push(at);
    return true;
  });
  return { ordinals, starts: Int32Array.from([...starts, bytes.length - 1]) };
}

function slotIn(bytes: Buffer, { ordinals, starts }: Places, key: string): Slot | undefined {
  const ordinal = ordinals.get(key);
  if (ordinal === undefined) return undefined;
  const at = starts[ordinal] as number;
  return slotAt(bytes, at, bytes.indexOf(0, at + 1) + 1, starts[ordinal + 1] as number);
}

/** Where the fields lie when that of `key` has become longer by so many bytes. */
function moved({ ordinals, starts }: Places, key: string, by: number): Places {
  const first = (ordinals.get(key) as number) + 1;
  const now = starts.slice();
  for (let i = first; i < now.length; i++) now[i] = (now[i] as number) + by;
  return { ordinals, starts: now };
}

/** The fields of these names. Of two with one name the last, as in `fieldsOf`. */
function fieldsAmong(bytes: Buffer, keys: readonly string[]): Map<string, Slot> {
  const names = keys.map((key) => ({ key, name: Buffer.from(key) }));
  const found = new Map<string, Slot>();
  walk(bytes, (at, from, end) => {
    const length = from - at - 2;
    for (const { key, name } of names)
      if (length === name.length && ends(bytes, from - 1, name)) found.set(key, slotAt(bytes, at, from, end));
    return true;
  });
  return found;
}

/** Where the fields of these names lie, neighbours as one: [at, end, at, end, ...]; and the size of a document of them. */
function runsOf(bytes: Buffer, names: readonly Uint8Array[]): { runs: number[]; size: number } {
  const runs: number[] = [];
  let size = 5;
  let begun = -1;
  const close = (end: number) => {
    if (begun < 0) return;
    runs.push(begun, end);
    size += end - begun;
    begun = -1;
  };
  walk(bytes, (at, from) => {
    if (!isAmong(names, bytes, at + 1, from - at - 2)) close(at);
    else if (begun < 0) begun = at;
    return true;
  });
  close(bytes.length - 1);
  return { runs, size };
}

function isAmong(names: readonly Uint8Array[], bytes: Buffer, from: number, length: number): boolean {
  for (const name of names) {
    if (name.length !== length) continue;
    let same = 0;
    while (same < length && bytes[from + same] === name[same]) same++;
    if (same === length) return true;
  }
  return false;
}

/** Whether `name` stands before `end`. Seen from its end: ids that follow each other differ there. */
function ends(bytes: Buffer, end: number, name: Buffer): boolean {
  for (let i = 1; i <= name.length; i++) if (bytes[end - i] !== name[name.length - i]) return false;
  return true;
}

/** The elements of the array in [start, stop). Read where it lies: a view of bytes that SQLite read costs 0.7 µs. */
function elementsOf(bytes: Buffer, start: number, stop: number): unknown[] {
  const elements: unknown[] = [];
  const decoded = (at: number, from: number, end: number) => {
    elements.push(decode(bytes, at, from, end));
    return true;
  };
  walk(bytes, decoded, start, stop);
  return elements;
}

/** Where the document in [start, stop) has its last byte. */
function checked(bytes: Buffer, start: number, stop: number): number {
  const last = stop - 1;
  if (last < start + 4 || bytes.readInt32LE(start) !== stop - start || bytes[last] !== 0)
    throw new Error('not a BSON document');
  return last;
}

/** Visits the fields of the document in [start, stop), until it is told that it was enough. */
function walk(
  bytes: Buffer,
  visit: (at: number, from: number, end: number) => boolean,
  start = 0,
  stop = bytes.length,
): void {
  const last = checked(bytes, start, stop);
  for (let at = start + 4; at < last; ) {
    let from = at + 1;
    // Names are short: quicker than `indexOf`.
    while (bytes[from++] !== 0) if (from > last) break;
    const end = from + sizeOf(bytes[at] as number, bytes, from);
    if (end > last) throw new Error('a BSON field that runs over its document');
    if (!visit(at, from, end)) return;
    at = end;
  }
}

/** Where the field that begins at `at` ends; where the document ends, if no field begins there. */
export function fieldEnd(bytes: Buffer, at: number): number {
  if (at >= bytes.length - 1) return bytes.length;
  const from = bytes.indexOf(0, at + 1) + 1;
  return from + sizeOf(bytes[at] as number, bytes, from);
}

/** Names met lately, by a sum of their bytes: most documents have the same ones, and to make a string takes longer than all else. */
const NAMES: string[] = [];
const MOST_NAMES = 4096;

function nameAt(bytes: Buffer, from: number, to: number): string {
  let sum = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (byte > 0x7f) return bytes.toString('utf8', from, to);
    sum = Math.imul(sum, 31) + byte;
  }
  const place = (sum >>> 0) % MOST_NAMES;
  const known = NAMES[place];
  if (known !== undefined && isAt(known, bytes, from, to)) return known;
  const name = bytes.toString('latin1', from, to);
  NAMES[place] = name;
  return name;
}

function isAt(name: string, bytes: Buffer, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = from; i < to; i++) if (bytes[i] !== name.charCodeAt(i - from)) return false;
  return true;
}

/** How many bytes a value of `type` at `from` takes. */
function sizeOf(type: number, bytes: Buffer, from: number): number {
  switch (type) {
    case TYPE.double:
    case TYPE.date:
    case TYPE.int64:
    case 0x11: // Timestamp
      return 8;
    case TYPE.string:
    case 0x0d: // code
    case 0x0e: // symbol
      return 4 + bytes.readInt32LE(from);
    case TYPE.document:
    case TYPE.array:
    case 0x0f: // code with scope
      return bytes.readInt32LE(from);
    case 0x05: // binary
      return 5 + bytes.readInt32LE(from);
    case 0x06: // undefined
    case TYPE.null:
    case 0xff: // MinKey
    case 0x7f: // MaxKey
      return 0;
    case TYPE.objectId:
      return 12;
    case TYPE.boolean:
      return 1;
    case TYPE.regex:
      return bytes.indexOf(0, bytes.indexOf(0, from) + 1) + 1 - from;
    case 0x0c: // DBPointer
      return 4 + bytes.readInt32LE(from) + 12;
    case TYPE.int32:
      return 4;
    case 0x13: // Decimal128
      return 16;
  }
  throw new Error(`BSON has no type ${type}`);
}

const AS_IS = { promoteValues: false, promoteLongs: false, bsonRegExp: true } as const;

function decode(bytes: Buffer, at: number, from: number, end: number): unknown {
  switch (bytes[at]) {
    case TYPE.double:
      return new Double(bytes.readDoubleLE(from));
    case TYPE.string:
      return bytes.toString('utf8', from + 4, end - 1);
    case TYPE.document:
      return new Doc(bytes.subarray(from, end));
    case TYPE.array:
      return elementsOf(bytes, from, end);
    case TYPE.objectId:
      return new ObjectId(bytes.subarray(from, end));
    case TYPE.boolean:
      return bytes[from] === 1;
    case TYPE.date:
      return new Date(bytes.readInt32LE(from + 4) * 2 ** 32 + bytes.readUInt32LE(from));
    case TYPE.null:
      return null;
    case TYPE.int32:
      return new Int32(bytes.readInt32LE(from));
    case TYPE.int64:
      return new Long(bytes.readInt32LE(from), bytes.readInt32LE(from + 4));
  }
  // What is rare is left to bson, in a document of its own. `undefined` counts as null, as in MongoDB's comparisons.
  const alone = frame(bytes.subarray(at, end));
  return Object.values(deserialize(alone, AS_IS))[0] ?? null;
}

function frame(elements: Uint8Array): Buffer {
  const document = Buffer.alloc(elements.length + 5);
  document.writeInt32LE(document.length, 0);
  document.set(elements, 4);
  return document;
}

/** Grows as it is written to. */
class Writer {
  #buffer: Buffer;
  #at = 0;

  constructor(room = 512) {
    this.#buffer = Buffer.allocUnsafe(room);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }

  copy(source: Buffer, from: number, to: number): void {
    this.#room(to - from);
    source.copy(this.#buffer, this.#at, from, to);
    this.#at += to - from;
  }

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.#at++] = value;
  }

  int32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeInt32LE(value, this.#at);
  }

  int64(low: number, high: number): void {
    this.#room(8);
    this.#at = this.#buffer.writeUInt32LE(low, this.#at);
    this.#at = this.#buffer.writeInt32LE(high, this.#at);
  }

  text(value: string): void {
    const most = value.length * 3 + 1;
    this.#room(most);
    this.#at += this.#buffer.write(value, this.#at, 'utf8');
    this.#buffer[this.#at++] = 0;
  }

  /** Begins a document: its length is filled in by `close`. */
  open(): number {
    const start = this.#at;
    this.int32(0);
    return start;
  }

  close(start: number): void {
    this.byte(0);
    this.#buffer.writeInt32LE(this.#at - start, start);
  }

  element(key: string, value: unknown): void {
    if (value === undefined || typeof value === 'function') return;
    const typeAt = this.#at;
    this.byte(0);
    this.text(key);
    const type = this.value(value);
    if (type !== null) this.#buffer[typeAt] = type;
    else {
      this.#at = typeAt;
      const alone = bufferOf(serialize({ [key]: value }, { ignoreUndefined: true }));
      this.copy(alone, 4, alone.length - 1);
    }
  }

  /** Writes a value and returns its type; null when it is one for bson. */
  value(value: unknown): number | null {
    if (value === null) return TYPE.null;
    if (typeof value === 'string') {
      const lengthAt = this.open();
      this.text(value);
      this.#buffer.writeInt32LE(this.#at - lengthAt - 4, lengthAt);
      return TYPE.string;
    }
    if (typeof value === 'boolean') {
      this.byte(value ? 1 : 0);
      return TYPE.boolean;
    }
    if (value instanceof Int32 || (Number.isInteger(value) && ((value as number) | 0) === value)) {
      // -0 is no integer of BSON's.
      if (!Object.is(value, -0)) {
        this.int32(Number(value));
        return TYPE.int32;
      }
    }
    if (value instanceof Double || typeof value === 'number') {
      this.#room(8);
      this.#at = this.#buffer.writeDoubleLE(Number(value), this.#at);
      return TYPE.double;
    }
    if (value instanceof Doc) {
      // It remembers them: a document that is kept is written more than once.
      const { bytes } = value;
      this.copy(bytes, 0, bytes.length);
      return TYPE.document;
    }
    if (value instanceof ObjectId) {
      this.#room(12);
      this.#buffer.set(value.id, this.#at);
      this.#at += 12;
      return TYPE.objectId;
    }
    if (value instanceof Date) {
      const ms = value.getTime();
      // What is no date, bson has its own way with.
      if (Number.isNaN(ms)) return null;
      const high = Math.floor(ms / 2 ** 32);
      this.int64(ms - high * 2 ** 32, high);
      return TYPE.date;
    }
    // Not a Timestamp, which is one of bson's Longs.
    if (value instanceof Long && value._bsontype === 'Long') {
      this.int64(value.low >>> 0, value.high);
      return TYPE.int64;
    }
    if (Array.isArray(value)) {
      const start = this.open();
      for (const [i, element] of value.entries()) this.element(String(i), element ?? null);
      this.close(start);
      return TYPE.array;
    }
    if (isPlainObject(value)) {
      const start = this.open();
      for (const [key, inner] of Object.entries(value)) this.element(key, inner);
      this.close(start);
      return TYPE.document;
    }
    return null;
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The bytes of an object of JavaScript's, which may hold Docs. Integers become int32 where they fit, as bson does it. */
export function encode(object: object): Buffer {
  const writer = new Writer();
  if (object instanceof Doc) object.writeTo(writer);
  else writer.value(object);
  return writer.done();
}

/** An object of JavaScript's as a Doc. */
export const docOf = (object: object): Doc => (object instanceof Doc ? object : new Doc(encode(object)));

/** A Doc as an object of JavaScript's, numbers promoted: for options of commands and for tests. */
export function plainOf(document: Doc): Record<string, unknown> {
  return deserialize(document.bytes);
}

/** A regular expression of JavaScript's for one of BSON's. */
export function regex(pattern: string, options: string): RegExp {
  let source = pattern;
  // x: white space and comments in the pattern mean nothing.
  if (options.includes('x'))
    source = source.replaceAll(/\\.|\[(?:\\.|[^\]])*\]|\s+|#.*$/gm, (part) =>
      /^[\s#]/.test(part) ? '' : part,
    );
  return new RegExp(
    source,
    [...'ims'].filter((flag) => options.includes(flag)).join('') + (options.includes('u') ? 'u' : ''),
  );
}
