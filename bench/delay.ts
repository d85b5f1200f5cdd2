/**
 * A network that takes its time: a TCP proxy on loopback that hands on every byte that a client sends a fixed time after it
 * came, in order, as many of them as there are. Answers go through at once: timers know no half milliseconds, and a client
 * cannot tell on which way its question was held up.
 *
 *     bun bench/delay.ts 27017 20      to port 27017, 20 ms later; prints its own port
 */
import { connect, createServer, type Socket } from 'node:net';

/** Writes to `to` what `from` says, at the time that `when` chooses. Every timer is as long, so that they come in turn. */
function handOn(from: Socket, to: Socket, when: (work: () => void) => void): void {
  from.on('data', (bytes) => when(() => to.writable && to.write(bytes)));
  from.on('end', () => when(() => to.end()));
  from.on('error', () => to.destroy());
}

function listen(port: number, delayMs: number): void {
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    handOn(near, far, (work) => setTimeout(work, delayMs));
    handOn(far, near, (work) => work());
  });
  server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port));
}

if (import.meta.main) {
  const [port = 0, delayMs = 0] = process.argv.slice(2).map(Number);
  listen(port, delayMs);
}
