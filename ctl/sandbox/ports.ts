/** Ports on 127.0.0.1 that somebody asked for. */
import { BorealisError, codeOf, UsageError } from '../../core/errors.ts';

/** A port from a flag; 0 is any. Throws UsageError. */
export function portOf(text: string | undefined, flag: string, standard = 0): number {
  if (text === undefined) return standard;
  const port = /^\d+$/.test(text) ? Number(text) : -1;
  if (port >= 0 && port <= 65535) return port;
  throw new UsageError(`${flag} ${text}: a port is a whole number from 0 (any) to 65535`);
}

/**
 * Throws BorealisError when one of the ports is taken, before anything is started. `wanted` has the flag that chooses each.
 * Between this and the start somebody may still take it: then the start itself fails.
 */
export function checkPorts(wanted: Readonly<Record<string, number>>): void {
  for (const [flag, port] of Object.entries(wanted)) {
    if (port === 0) continue;
    try {
      Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }).stop(true);
    } catch (thrown) {
      const why = codeOf(thrown) === 'EACCES' ? 'may not be used by you' : 'is taken by another program';
      throw new BorealisError(`Port ${port} ${why}. Choose another one: ${flag} N (0: any free port)`, {
        cause: thrown,
      });
    }
  }
}
