/**
 * Datagrams to a Unix socket. Neither Bun's node:dgram nor its sockets have them (1.4.5), so that libc is asked: 0.5 ms, and
 * no process of its own as the program systemd-notify, whose messages systemd takes from the main process only.
 */
import { dlopen, ptr } from 'bun:ffi';
import { BorealisError } from '../core/errors.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** glibc's, and musl's. */
const LIBC = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`];

export function openLibc() {
  const symbols = {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: 'i64' },
    recv: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i64' },
    close: { args: ['i32'], returns: 'i32' },
  } as const;
  for (const name of LIBC) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The other one, then.
    }
  }
  throw new BorealisError(`There is no ${LIBC.join(' or ')}`);
}

/** A socket's address as the system has it (sockaddr_un): an absolute path, or with @ a name of the abstract namespace. */
export function unixAddress(path: string): Buffer {
  if (!/^[/@]/.test(path)) throw new BorealisError(`${path} is no address of a Unix socket`);
  const name = Buffer.from(path.startsWith('/') ? `${path}\0` : path.replace('@', '\0'));
  if (name.length > 108) throw new BorealisError(`${path} is longer than an address of a Unix socket may be`);
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer);
  return Buffer.concat([family, name]);
}

export function openDatagramSocket(libc: ReturnType<typeof openLibc>): number {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new BorealisError('A Unix socket cannot be opened');
  return fd;
}

/** Sends without waiting: when the other side is busy, gone or not there yet, a message is lost. */
export class DatagramSender implements Disposable {
  readonly #libc = openLibc();
  readonly #address: Buffer;
  readonly #fd: number;

  constructor(path: string) {
    this.#address = unixAddress(path);
    this.#fd = openDatagramSocket(this.#libc);
  }

  send(message: string): void {
    const bytes = Buffer.from(message);
    const address = this.#address;
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    this.#libc.sendto(this.#fd, ptr(bytes), BigInt(bytes.length), flags, ptr(address), address.length);
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }
}
