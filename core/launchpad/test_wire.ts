/**
 * A wire between a worker and its LaunchPad that a test can stop at any message, to let others act in between, or cut, as a
 * power cut does. It understands of MongoDB's protocol only where a message ends.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { LaunchPad, type LaunchPadOptions } from './launchpad.ts';
import { type LaunchPadSettings, launchPadSettings } from './settings.ts';

/** A message that is held, with the connection that it is on. */
export interface Held {
  /** Lets it go on to the server. */
  pass(): void;
  /** The same, but nothing more comes back on its connection. */
  passUnanswered(): void;
}

export interface Wire extends AsyncDisposable {
  /** A connection over this wire. */
  launchpad: LaunchPad;
  /** Holds the next message to the server that has all of these words in it. Resolves when it is there. */
  hold(...words: string[]): Promise<Held>;
  /** Ends every connection; what was held is lost, and nobody gets through. */
  cut(): void;
  /** Lets new connections through again. */
  mend(): void;
}

/** Lays a wire to the server of `settings` and connects over it. */
export async function wireTo(settings: LaunchPadSettings, o: LaunchPadOptions = {}): Promise<Wire> {
  const { hostname, port } = new URL(settings.host.replace(/^mongodb/, 'http'));
  const waiting: { words: string[]; arrived: (held: Held) => void }[] = [];
  const open = new Set<Socket>();
  let whole = true;

  function take(message: Buffer, to: Socket, from: Socket): void {
    const i = waiting.findIndex(({ words }) => words.every((word) => message.includes(word)));
    if (i < 0) return void to.write(message);
    const [{ arrived }] = waiting.splice(i, 1) as [(typeof waiting)[number]];
    arrived({
      pass: () => void to.write(message),
      passUnanswered() {
        to.unpipe(from).resume();
        to.write(message);
      },
    });
  }

  const server = createServer((from) => {
    if (!whole) return void from.destroy();
    const to = connect(Number(port || 27017), hostname);
    let pending = Buffer.alloc(0);
    from.on('data', (bytes: Buffer) => {
      pending = Buffer.concat([pending, bytes]);
      while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
        const length = pending.readInt32LE(0);
        take(pending.subarray(0, length), to, from);
        pending = pending.subarray(length);
      }
    });
    to.pipe(from);
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket);
          other.destroy();
        });
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));

  const cut = () => {
    whole = false;
    for (const socket of open) socket.destroy();
  };
  const host = `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/?directConnection=true&retryReads=false&retryWrites=false`;
  // Looks for the server again at once, for tests that mend the wire.
  const mongoclient_kwargs = { minHeartbeatFrequencyMS: 20 };
  const over = launchPadSettings({ host, uri_mode: true, name: settings.name, mongoclient_kwargs }, 'test');
  const launchpad = await patiently(() => LaunchPad.open(over, { serverSelectionTimeoutMs: 500, ...o }));
  return {
    launchpad,
    cut,
    mend: () => {
      whole = true;
    },
    hold: (...words) => new Promise((arrived) => waiting.push({ words, arrived })),
    async [Symbol.asyncDispose]() {
      cut();
      await launchpad.close();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** A server that is there is found in the end: what is short for those that are away is not long on a busy machine. */
async function patiently<T>(open: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await open();
    } catch (thrown) {
      if (tries === 20) throw thrown;
    }
  }
}
