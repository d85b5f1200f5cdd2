/** Open cursors: what is left of a query's answer, until it is read to the end, killed, or idle for ten minutes. */
import { Long } from 'bson';
import type { Doc } from './document.ts';
import { cursorNotFound, unauthorized } from './errors.ts';

interface Cursor {
  ns: string;
  rest: Iterator<Doc>;
  /** One document read ahead: a batch that ends the answer says so at once. */
  held: Doc | null;
  touched: number;
}

const IDLE_MS = 10 * 60_000;
/** As MongoDB: a batch stops at 16 MB, and the first one at 101 documents unless the client says otherwise. */
const BATCH_BYTES = 16 * 1024 * 1024;
const FIRST_BATCH = 101;

export class Cursors {
  readonly #open = new Map<bigint, Cursor>();
  #next = 1n;

  /** The first batch, and the id of the cursor that holds the rest (0: there is no rest). */
  first(
    ns: string,
    documents: Iterator<Doc>,
    batchSize = FIRST_BATCH,
    single = false,
  ): { id: Long; batch: Doc[] } {
    const cursor: Cursor = { ns, rest: documents, held: null, touched: Date.now() };
    const batch = take(cursor, batchSize);
    if (single || (batchSize > 0 && !peek(cursor))) return { id: Long.ZERO, batch };
    const id = (BigInt(Math.floor(Math.random() * 2 ** 30)) << 32n) | this.#next++;
    this.#open.set(id, cursor);
    return { id: Long.fromBigInt(id), batch };
  }

  /** The next batch of an open cursor. Throws CursorNotFound. */
  more(id: bigint, ns: string, batchSize = 0): { id: Long; batch: Doc[] } {
    this.sweep();
    const cursor = this.#open.get(id);
    if (!cursor) throw cursorNotFound(id);
    if (cursor.ns !== ns) {
      throw unauthorized(
        `Requested getMore on namespace '${ns}', but cursor belongs to a different namespace ${cursor.ns}`,
      );
    }
    cursor.touched = Date.now();
    const batch = take(cursor, batchSize || Number.POSITIVE_INFINITY);
    const ended = !peek(cursor);
    if (ended) this.#open.delete(id);
    return { id: ended ? Long.ZERO : Long.fromBigInt(id), batch };
  }

  kill(ids: readonly bigint[]): { killed: bigint[]; missing: bigint[] } {
    const killed = ids.filter((id) => this.#open.delete(id));
    return { killed, missing: ids.filter((id) => !killed.includes(id)) };
  }

  /** Forgets cursors that nobody has read for ten minutes, and those of a dropped collection. */
  sweep(droppedNs?: string): void {
    const old = Date.now() - IDLE_MS;
    for (const [id, cursor] of this.#open)
      if (cursor.touched < old || cursor.ns === droppedNs) this.#open.delete(id);
  }

  get size(): number {
    return this.#open.size;
  }
}

function take(cursor: Cursor, most: number): Doc[] {
  const batch: Doc[] = [];
  let bytes = 0;
  while (batch.length < most && peek(cursor)) {
    const document = cursor.held as Doc;
    const { length } = document.bytes;
    if (batch.length > 0 && bytes + length > BATCH_BYTES) break;
    bytes += length;
    batch.push(document);
    cursor.held = null;
  }
  return batch;
}

function peek(cursor: Cursor): boolean {
  if (cursor.held) return true;
  const next = cursor.rest.next();
  cursor.held = next.done ? null : next.value;
  return !next.done;
}
