/** For tests: systemd's end of NOTIFY_SOCKET. */
import { ptr } from 'bun:ffi';
import { openDatagramSocket, openLibc, unixAddress } from './datagrams.ts';

const MSG_DONTWAIT = 0x40;

export interface NotifySocket extends Disposable {
  readonly path: string;
  /** What has come since the last time: of each datagram its lines. */
  told(): string[][];
}

export function notifySocket(path: string): NotifySocket {
  const libc = openLibc();
  const fd = openDatagramSocket(libc);
  const address = unixAddress(path);
  if (libc.bind(fd, ptr(address), address.length) !== 0) throw new Error(`cannot bind ${path}`);
  const buffer = Buffer.alloc(4096);
  return {
    path,
    told() {
      const all: string[][] = [];
      for (;;) {
        const length = Number(libc.recv(fd, ptr(buffer), BigInt(buffer.length), MSG_DONTWAIT));
        if (length < 0) return all;
        all.push(buffer.toString('utf8', 0, length).split('\n'));
      }
    },
    [Symbol.dispose]: () => void libc.close(fd),
  };
}
