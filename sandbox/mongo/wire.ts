/**
 * MongoDB's wire protocol: OP_MSG, and OP_QUERY for the first hello of older clients.
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
import { type Document, deserialize, serialize } from 'bson';

const HEADER = 16;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
/** As MongoDB's maxMessageSizeBytes. */
export const MAX_MESSAGE = 48_000_000;

export interface Request {
  id: number;
  /** The command with its document sequences folded in as arrays; numbers promoted, documents to store kept apart. */
  body: Document;
  /** The same, with Int32, Double and Long kept: what is written or compared must keep its type. */
  typed: Document;
  legacy: boolean;
  /** False when the client does not wait for an answer (unacknowledged write). */
  answer: boolean;
}

/** Cuts a byte stream into messages. Throws when a client sends nonsense: the connection is then closed. */
export class Messages {
  #held: Buffer = Buffer.alloc(0);

  *push(chunk: Uint8Array): Generator<Request> {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= HEADER) {
      const length = this.#held.readInt32LE(0);
      if (length < HEADER || length > MAX_MESSAGE) throw new Error(`a message of ${length} bytes`);
      if (this.#held.length < length) return;
      const message = this.#held.subarray(0, length);
      this.#held = this.#held.subarray(length);
      yield parse(message);
    }
  }
}

const TYPED = { promoteValues: false, promoteLongs: false, bsonRegExp: false } as const;

function parse(message: Buffer): Request {
  const id = message.readInt32LE(4);
  const op = message.readInt32LE(12);
  if (op === OP_QUERY) {
    const nameEnd = message.indexOf(0, HEADER + 4);
    const bytes = documentAt(message, nameEnd + 1 + 8);
    const name = message.toString('utf8', HEADER + 4, nameEnd);
    const body = deserialize(bytes);
    return {
      id,
      body: { ...body, $db: name.split('.')[0] },
      typed: deserialize(bytes, TYPED),
      legacy: true,
      answer: true,
    };
  }
  if (op !== OP_MSG) throw new Error(`opcode ${op}`);
  const flags = message.readUInt32LE(HEADER);
  const end = message.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  let body: Document = {};
  let typed: Document = {};
  const sequences: [string, Buffer[]][] = [];
  for (let at = HEADER + 4; at < end; ) {
    const kind = message[at++];
    if (kind === 0) {
      const bytes = documentAt(message, at);
      body = deserialize(bytes);
      typed = deserialize(bytes, TYPED);
      at += bytes.length;
    } else if (kind === 1) {
      const sectionEnd = at + message.readInt32LE(at);
      const nameEnd = message.indexOf(0, at + 4);
      const documents: Buffer[] = [];
      for (let p = nameEnd + 1; p < sectionEnd; ) {
        const bytes = documentAt(message, p);
        documents.push(bytes);
        p += bytes.length;
      }
      sequences.push([message.toString('utf8', at + 4, nameEnd), documents]);
      at = sectionEnd;
    } else throw new Error(`section kind ${kind}`);
  }
  for (const [name, documents] of sequences) {
    body[name] = documents.map((bytes) => deserialize(bytes));
    typed[name] = documents.map((bytes) => deserialize(bytes, TYPED));
  }
  return { id, body, typed, legacy: false, answer: (flags & MORE_TO_COME) === 0 };
}

function documentAt(message: Buffer, at: number): Buffer {
  const length = message.readInt32LE(at);
  if (length < 5 || at + length > message.length) throw new Error('a document that runs over its message');
  return message.subarray(at, at + length);
}

let nextId = 1;

/** The bytes of an answer to `request`. `body` may hold `Raw` lists of documents that are already BSON. */
export function encodeAnswer(request: Request, body: Document): Buffer {
  const document = serializeAnswer(body);
  const lead = request.legacy ? HEADER + 20 : HEADER + 5;
  const message = Buffer.alloc(lead + document.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(nextId++ & 0x7fffffff, 4);
  message.writeInt32LE(request.id, 8);
  message.writeInt32LE(request.legacy ? OP_REPLY : OP_MSG, 12);
  if (request.legacy) message.writeInt32LE(1, HEADER + 16);
  message.set(document, lead);
  return message;
}

/** A list of documents as stored, sent without being taken apart: no number changes its type on the way. */
export class Raw {
  constructor(readonly documents: readonly Uint8Array[]) {}
}

/** One document as stored. */
export class RawDocument {
  constructor(readonly bytes: Uint8Array) {}
}

const ARRAY = 4;
const DOCUMENT = 3;

/** `serialize` that lets Raw and RawDocument through, at the top level and one below (`cursor.firstBatch`). */
function serializeAnswer(body: Document, depth = 0): Uint8Array {
  if (!Object.values(body).some((value) => holdsRaw(value)))
    return serialize(body, { ignoreUndefined: true });
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (value instanceof Raw) {
      parts.push(
        element(ARRAY, name, frame(value.documents.map((bytes, i) => element(DOCUMENT, String(i), bytes)))),
      );
    } else if (value instanceof RawDocument) parts.push(element(DOCUMENT, name, value.bytes));
    else if (depth === 0 && holdsRaw(value))
      parts.push(element(DOCUMENT, name, serializeAnswer(value as Document, 1)));
    else {
      const one = serialize({ [name]: value }, { ignoreUndefined: true });
      parts.push(one.subarray(4, one.length - 1));
    }
  }
  return frame(parts);
}

function holdsRaw(value: unknown): boolean {
  if (value instanceof Raw || value instanceof RawDocument) return true;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return false;
  return Object.values(value).some((inner) => inner instanceof Raw || inner instanceof RawDocument);
}

function element(type: number, name: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([type]), Buffer.from(name, 'utf8'), Buffer.from([0]), bytes]);
}

function frame(elements: readonly Uint8Array[]): Buffer {
  const length = elements.reduce((sum, part) => sum + part.length, 5);
  const document = Buffer.alloc(length);
  document.writeInt32LE(length, 0);
  let at = 4;
  for (const part of elements) {
    document.set(part, at);
    at += part.length;
  }
  return document;
}
