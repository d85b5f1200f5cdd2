/** One program of a Firetask: started under the guard, fed, heard, and ended with all it started when the task must stop. */
import { codeOf, messageOf } from '../../core/errors.ts';
import { SECOND, sleep } from '../../core/wait.ts';
import { type Flight, fail } from './firetask.ts';

/** What a program needs of its flight. */
export type ProgramFlight = Pick<Flight, 'launchDir' | 'env' | 'guard' | 'graceMs' | 'signal' | 'log'>;

export interface ProgramOptions {
  env?: Readonly<Record<string, string | undefined>>;
  /** What it reads: a text, or an open file. */
  stdin?: string | number;
  /** What these return is waited for: a slow listener slows the program down, nothing is gathered. */
  onStdout?: (bytes: Uint8Array) => void | Promise<void>;
  onStderr?: (bytes: Uint8Array) => void | Promise<void>;
  /** Gets what the program writes to file descriptor 3, which it has only when this is given. */
  onAnswer?: (bytes: Uint8Array) => void | Promise<void>;
  /**
   * Whether the output is kept: then its end is waited for, as Python's `communicate` does. Otherwise what the program left
   * running in the background may keep the output open, and is not waited for.
   */
  captured?: boolean;
  /** When this comes before the program's end, the program has done its work: what it still does is in the background. */
  done?: Promise<void>;
}

/** Python's error for a program that is not there: the shell that starts it would only say 127, as the program itself may. */
export function mustBeThere(program: string, { env, launchDir }: Pick<Flight, 'env' | 'launchDir'>): void {
  if (Bun.which(program, { PATH: env.PATH ?? '', cwd: launchDir })) return;
  fail(
    'FileNotFoundError',
    `There is no program '${program}' on this worker. Install it, or correct the name`,
  );
}

/** How long after a program's end what it had written may take to be read. */
const SETTLE_MS = SECOND;

/**
 * Runs a program in the launch folder. Returns its exit code as Python tells it: a death by signal is negative. 0 when it was
 * done and goes on.
 */
export async function runProgram(
  flight: ProgramFlight,
  argv: readonly string[],
  o: ProgramOptions,
): Promise<number> {
  flight.signal.throwIfAborted();
  const child = flight.guard.start(argv, {
    cwd: flight.launchDir,
    env: o.env ?? flight.env,
    stdin: typeof o.stdin === 'string' ? 'pipe' : (o.stdin ?? 'ignore'),
    answer: o.onAnswer !== undefined,
  });
  let ending: Promise<void> | null = null;
  const stop = () => {
    ending ??= flight.guard.end(child, flight.graceMs);
  };
  flight.signal.addEventListener('abort', stop, { once: true });
  const feed = async () => {
    if (typeof o.stdin !== 'string') return;
    await child.stdin?.write(o.stdin);
    await child.stdin?.end();
  };
  const heard = Promise.all([
    read(child.stdout, o.onStdout),
    read(child.stderr, o.onStderr),
    child.answer && read(child.answer, o.onAnswer),
    // A program that does not read all that it is given closes the pipe: its exit code tells the story, not the pipe.
    feed().catch((thrown) => void (codeOf(thrown) === 'EPIPE' || flight.log.debug(messageOf(thrown)))),
  ]).catch((thrown) => {
    // Nobody listens any more, and a program that is not heard would wait for ever.
    stop();
    throw thrown;
  });
  const settled = new AbortController();
  try {
    const all = Promise.all([child.exited, heard]);
    const over = Promise.race([child.exited, o.done ?? child.exited]);
    const left = over.then(() => sleep(SETTLE_MS, settled.signal));
    if (o.captured) await all;
    else if ((await Promise.race([all, left])) === true) flight.guard.leave(all);
    flight.signal.throwIfAborted();
    const code = (await over) ?? 0;
    return child.signalled() ? 128 - code : code;
  } finally {
    settled.abort();
    flight.signal.removeEventListener('abort', stop);
    await ending;
  }
}

async function read(stream: ReadableStream<Uint8Array>, listener: ProgramOptions['onStdout']): Promise<void> {
  for await (const bytes of stream) await listener?.(bytes);
}
