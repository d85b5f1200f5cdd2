/**
 * A Cloud Storage that takes everything and keeps nothing: for benchmarks of one large file that goes up, where the sandbox's own
 * would take more of the machine than either client. It prints its address, and serves until it is ended.
 *
 * What comes is read, and its CRC32C compared with the one that the client gives at the end: other bytes are refused. It knows one
 * upload in pieces at a time; any other request is answered as if an empty object had been stored. It stands on a bare socket: by
 * Bun.serve the same gigabyte takes 1.0 s of a core, here 0.7, and 2.0 where it is kept in memory besides.
 */

import { crc32c } from '@node-rs/crc32';
import type { Socket, TCPSocketListener } from 'bun';

/** What a connection is in the middle of. */
interface Reading {
  /** Of a request, so far. */
  head: string;
  /** Of the body that comes. */
  left: number;
  /** Of the request whose body it is. */
  request: string;
}

interface Answer {
  status: string;
  headers?: Record<string, string>;
  body?: object;
}

const MOST_HEAD_BYTES = 64 * 1024;

/** Of the upload that is under way. */
let crc = 0;

function header(request: string, name: string): string {
  return new RegExp(`^${name}: *(.*)$`, 'im').exec(request)?.[1]?.trim() ?? '';
}

function crcText(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString('base64');
}

/** To a request whose body has come. */
function answerTo(request: string, origin: string): Answer {
  const [start = ''] = request.split('\r\n', 1);
  const object = { kind: 'storage#object', bucket: 'sandbox', name: 'x', generation: '1' };
  if (start.includes('uploadType=resumable') && start.startsWith('POST')) {
    crc = 0;
    return { status: '200 OK', headers: { location: `${origin}/upload/pieces` } };
  }
  if (!start.startsWith('PUT'))
    return { status: '200 OK', body: { ...object, size: '0', crc32c: crcText(0) } };
  const [, last, total] = /^bytes \d+-(\d+)\/(\d+)$/.exec(header(request, 'content-range')) ?? [];
  if (Number(last) + 1 < Number(total))
    return { status: '308 Resume Incomplete', headers: { range: `bytes=0-${last}` } };
  const [, given] = /crc32c=([^,\s]+)/.exec(header(request, 'x-goog-hash')) ?? [];
  if (given && given !== crcText(crc))
    return { status: '400 Bad Request', body: { error: { code: 400, message: 'Other CRC32C' } } };
  return { status: '200 OK', body: { ...object, size: total, crc32c: crcText(crc) } };
}

/** Goes through what came: the end of one request may be the beginning of the next. */
function read(socket: Socket<Reading>, chunk: Buffer, origin: string): void {
  const reading = socket.data;
  for (let rest = chunk; rest.length > 0; ) {
    if (reading.left === 0) {
      const before = reading.head.length;
      reading.head += rest.subarray(0, MOST_HEAD_BYTES).toString('latin1');
      const end = reading.head.indexOf('\r\n\r\n');
      if (end < 0) return;
      rest = rest.subarray(end + 4 - before);
      reading.request = reading.head.slice(0, end);
      reading.head = '';
      reading.left = Number(header(reading.request, 'content-length'));
    }
    const part = rest.subarray(0, reading.left);
    rest = rest.subarray(part.length);
    reading.left -= part.length;
    if (reading.request.startsWith('PUT')) crc = crc32c(part, crc);
    if (reading.left > 0) return;
    const { status, headers = {}, body } = answerTo(reading.request, origin);
    const text = body ? JSON.stringify(body) : '';
    const said = { 'content-type': 'application/json', 'content-length': String(text.length), ...headers };
    const lines = Object.entries(said).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${text}`);
  }
}

if (import.meta.main) {
  const server: TCPSocketListener<Reading> = Bun.listen<Reading>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => void (socket.data = { head: '', left: 0, request: '' }),
      data: (socket, chunk) => read(socket, chunk, `http://127.0.0.1:${server.port}`),
    },
  });
  process.stdout.write(`http://127.0.0.1:${server.port}\n`);
}
