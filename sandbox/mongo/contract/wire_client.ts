/** A client that says exactly the bytes it is given: for what no driver would send. */
import { createConnection } from 'node:net';
import { type Document, deserialize, serialize } from 'bson';

const HEADER = 16;

/** Sends one message, made of `body` behind a header of this opcode, and gives the answer's opcode and body. */
export async function exchange(
  uri: string,
  opcode: number,
  body: Uint8Array,
): Promise<{ opcode: number; body: Buffer }> {
  const { hostname, port } = new URL(uri);
  const message = Buffer.alloc(HEADER + body.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(7, 4);
  message.writeInt32LE(opcode, 12);
  message.set(body, HEADER);
  const socket = createConnection({ host: hostname, port: Number(port) });
  try {
    socket.write(message);
    let answer = Buffer.alloc(0);
    for await (const chunk of socket) {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= 4 && answer.length >= answer.readInt32LE(0)) break;
    }
    if (answer.readInt32LE(8) !== 7) throw new Error('an answer to another request');
    return { opcode: answer.readInt32LE(12), body: answer.subarray(HEADER) };
  } finally {
    socket.destroy();
  }
}

/** OP_MSG with one command; the bytes of the answer's document. */
export async function commandBytes(uri: string, command: Uint8Array): Promise<Buffer> {
  const { opcode, body } = await exchange(uri, 2013, Buffer.concat([Buffer.alloc(5), command]));
  if (opcode !== 2013) throw new Error(`answered with opcode ${opcode}`);
  return body.subarray(5);
}

/** A command as a list of fields, whose order and types stay as they are. */
export const command = async (uri: string, fields: Iterable<[string, unknown]>): Promise<Document> =>
  deserialize(await commandBytes(uri, serialize(new Map(fields))), { promoteValues: false });
