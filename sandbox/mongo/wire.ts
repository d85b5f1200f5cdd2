/**
 * MongoDB's wire protocol: OP_MSG, and OP_QUERY for the first hello of older clients.
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
import { Doc, encode } from './document.ts';

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
  /** The command, its document sequences folded in as arrays. */
  command: Doc;
  /** The database, when the message names it outside of the command (OP_QUERY). */
  db: string | null;
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

function parse(message: Buffer): Request {
  const id = message.readInt32LE(4);
  const op = message.readInt32LE(12);
  if (op === OP_QUERY) {
    const nameEnd = message.indexOf(0, HEADER + 4);
    const command = new Doc(documentAt(message, nameEnd + 1 + 8));
    const db = message.toString('utf8', HEADER + 4, nameEnd).split('.')[0] ?? '';
    return { id, command, db, legacy: true, answer: true };
  }
  if (op !== OP_MSG) throw new Error(`opcode ${op}`);
  const flags = message.readUInt32LE(HEADER);
  const end = message.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  let command = new Doc();
  const sequences: [string, Doc[]][] = [];
  for (let at = HEADER + 4; at < end; ) {
    const kind = message[at++];
    if (kind === 0) {
      const bytes = documentAt(message, at);
      command = new Doc(bytes);
      at += bytes.length;
    } else if (kind === 1) {
      const sectionEnd = at + message.readInt32LE(at);
      if (sectionEnd > end) throw new Error('a section that runs over its message');
      const nameEnd = message.indexOf(0, at + 4);
      const documents: Doc[] = [];
      for (let p = nameEnd + 1; p < sectionEnd; ) {
        const bytes = documentAt(message, p);
        documents.push(new Doc(bytes));
        p += bytes.length;
      }
      sequences.push([message.toString('utf8', at + 4, nameEnd), documents]);
      at = sectionEnd;
    } else throw new Error(`section kind ${kind}`);
  }
  for (const [name, documents] of sequences) command.set(name, documents);
  return { id, command, db: null, legacy: false, answer: (flags & MORE_TO_COME) === 0 };
}

function documentAt(message: Buffer, at: number): Buffer {
  const length = message.readInt32LE(at);
  if (length < 5 || at + length > message.length) throw new Error('a document that runs over its message');
  return message.subarray(at, at + length);
}

let nextId = 1;

/** The bytes of an answer to `request`. Documents in it are sent as they are stored. */
export function encodeAnswer(request: Request, body: object): Buffer {
  const document = encode(body);
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
