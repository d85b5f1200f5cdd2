/**
 * The mongodb driver, loaded when it is first needed, and mended for Bun.
 *
 * Seen with mongodb 7.9.0 on Bun 1.4.5: when a server dies, a socket is `destroyed` for a moment before it says 'close'. A
 * command that is written in that moment is never sent; where Node's socket then takes it for written, Bun's returns false,
 * and the driver waits for a 'drain' that never comes. A worker stood still by that, for ever, about once in ten deaths of
 * its server.
 */
import type { EventEmitter } from 'node:events';

type Driver = typeof import('mongodb');

/** What is used of the driver's inside. */
interface Connection extends EventEmitter {
  socket: { destroyed: boolean };
  error: Error | null;
  onClose(): void;
  throwIfAborted(): void;
  writeCommand(command: unknown, options: unknown): Promise<void>;
}

let loaded: Promise<Driver> | undefined;

export function mongodbDriver(): Promise<Driver> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Driver> {
  const [driver, inside] = await Promise.all([
    import('mongodb'),
    // @ts-expect-error the driver has no types for its inside
    import('mongodb/lib/cmap/connection.js'),
  ]);
  const { prototype } = inside.Connection as { prototype: Connection };
  const { writeCommand } = prototype;
  prototype.writeCommand = async function (command, options) {
    if (this.socket.destroyed) this.onClose();
    this.throwIfAborted();
    // Not Promise.withResolvers: a program that has the library may run on Node 20, which is without it.
    let onClose = () => {};
    const closed = new Promise<never>((_, reject) => {
      onClose = () => reject(this.error);
    });
    this.once('close', onClose);
    try {
      await Promise.race([writeCommand.call(this, command, options), closed]);
    } finally {
      this.off('close', onClose);
    }
  };
  return driver;
}
