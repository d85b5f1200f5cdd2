import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogLine, loggerTo, silent } from '../core/log.ts';
import { Systemd } from './systemd.ts';
import { notifySocket } from './test_notify_socket.ts';
import { until } from './test_worker.ts';

test('no systemd asks: nothing is told', async () => {
  expect(await Systemd.open({ status: () => '', log: silent, env: {} })).toBeNull();
});

test.each(['a file', 'an abstract name'])(
  'ready, what it does, that it lives, and that it stops, to %s',
  async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), 'notify-'));
    const path = kind === 'a file' ? join(folder, 's') : `@borealis-${crypto.randomUUID()}`;
    try {
      using socket = notifySocket(path);
      let status = 'idle';
      const env: Record<string, string | undefined> = {
        NOTIFY_SOCKET: path,
        WATCHDOG_USEC: '40000',
        WATCHDOG_PID: String(process.pid),
        BUN_GC_TIMER_DISABLE: '1',
        HOME: '/',
      };
      using systemd = await Systemd.open({ status: () => status, log: silent, env });
      expect(env).toEqual({ HOME: '/' });
      expect(socket.told()).toEqual([['STATUS=starting', 'WATCHDOG=1']]);
      status = "flying fw 7 'über\nalles' 0 min";
      systemd?.ready();
      expect(socket.told()).toEqual([['READY=1', "STATUS=flying fw 7 'über alles' 0 min", 'WATCHDOG=1']]);
      // By itself, at half of the time.
      await until('a beat', () => socket.told().flat().includes('WATCHDOG=1'));
      systemd?.failed('no LaunchPad', 900_000);
      expect(socket.told().at(-1)).toEqual([
        'STATUS=stopped by an error: no LaunchPad',
        'WATCHDOG=1',
        'EXTEND_TIMEOUT_USEC=1200000000',
      ]);
      systemd?.stopping();
      expect(socket.told().at(-1)).toEqual(['STOPPING=1', 'STATUS=ending', 'WATCHDOG=1']);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test('a systemd that is gone, or busy, holds nobody up', async () => {
  const path = `@borealis-${crypto.randomUUID()}`;
  const socket = notifySocket(path);
  using systemd = await Systemd.open({ status: () => '', log: silent, env: { NOTIFY_SOCKET: path } });
  // More than a socket holds.
  for (let i = 0; i < 2000; i++) systemd?.ready();
  expect(socket.told().length).toBeLessThan(2000);
  systemd?.ready();
  expect(socket.told()).toEqual([['READY=1', 'STATUS=', 'WATCHDOG=1']]);
  socket[Symbol.dispose]();
  systemd?.ready();
});

test('an address that is none is told, and the worker works on', async () => {
  const said: LogLine[] = [];
  const log = loggerTo([(line) => void said.push(line)]);
  for (const NOTIFY_SOCKET of ['vsock:2:1234', `/${'x'.repeat(200)}`])
    expect(await Systemd.open({ status: () => '', log, env: { NOTIFY_SOCKET } })).toBeNull();
  expect(said.map(({ message }) => message)).toEqual([
    'systemd cannot be told how this worker is: vsock:2:1234 is no address of a Unix socket',
    `systemd cannot be told how this worker is: /${'x'.repeat(200)} is longer than an address of a Unix socket may be`,
  ]);
});
