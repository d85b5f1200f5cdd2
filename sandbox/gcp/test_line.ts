/** For tests: what lies between a client and a server. Not part of the program. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A TCP connection to a server, which a test may cut, stop or refuse. */
export class TestLine implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #hangs = false;
  /** What is passed on comes this much later. */
  delayMs = 0;
  port = 0;
  /** Connections that were taken. */
  taken = 0;

  constructor(readonly to: number) {}

  /** Takes connections, and passes them on. */
  async open(): Promise<void> {
    this.#hangs = false;
    this.#server ??= createServer((here) => {
      this.taken++;
      this.#keep(here);
      // Taken, read, and never answered: what a server does that has hung.
      if (this.#hangs) return void here.resume();
      const there = this.#keep(connect(this.to, '127.0.0.1'));
      here.pipe(this.#later()).pipe(there).pipe(here);
      // Nobody is there, or he hung up: whoever asked is told so.
      there.on('close', () => here.destroy());
    });
    const server = this.#server;
    if (!server.listening) await new Promise<void>((done) => server.listen(this.port, '127.0.0.1', done));
    this.port = (server.address() as { port: number }).port;
  }

  /** From now on nothing is answered. */
  hang(): void {
    this.#hangs = true;
    for (const socket of this.#sockets) socket.unpipe();
  }

  /** Nobody listens there any more. */
  async refuse(): Promise<void> {
    this.cut();
    const server = this.#server;
    this.#server = null;
    await new Promise((done) => (server ? server.close(done) : done(null)));
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #later(): Transform {
    return new Transform({
      transform: (chunk, _, done) => void setTimeout(() => done(null, chunk), this.delayMs),
    });
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }
}
