/** PyTask and every Firetask that is written in Python: run in the user's Python by way of bridge.py. */
import { z } from 'zod';
import { codeOf, messageOf } from '../../core/errors.ts';
import { fromJson, isDoc, parseFWAction, plain, toJson } from '../../core/launchpad/index.ts';
import { fworkerDoc } from '../../core/launchpad/model.ts';
import { linesOf } from '../lines.ts';
import BRIDGE from './bridge.py' with { type: 'text' };
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';

export const pythonTask: Firetask = {
  names: ['PyTask'],
  params: z.looseObject({}),
  async run(params, flight) {
    if (params._fw_name === 'PyTask' && typeof params.func !== 'string') {
      throw new FiretaskError(
        'ValueError',
        "PyTask needs 'func', the name of a function such as 'math.sqrt'",
      );
    }
    const answer = await ask(flight);
    if (isDoc(answer.error)) {
      const { type, message, traceback, details } = answer.error as Record<string, string | null>;
      throw new FiretaskError(type ?? 'Exception', message ?? '', plain(details), traceback ?? undefined);
    }
    return isDoc(answer.action)
      ? parseFWAction(answer.action, `The FWAction of ${String(params._fw_name)}`)
      : null;
  },
};

/** Runs the bridge once. Everything numeric crosses as lossless JSON, both ways. */
async function ask(flight: Flight): Promise<Record<string, unknown>> {
  const request = toJson({
    task: flight.rawParams,
    spec: flight.rawSpec,
    fworker: fworkerDoc(flight.fworker),
  });
  const python = Bun.which(flight.python, { PATH: flight.env.PATH ?? '' });
  if (!python) {
    throw new FiretaskError(
      'SetupError',
      `There is no Python '${flight.python}' on this worker. Install python3, or name one with the setting 'python'`,
    );
  }
  const env = { ...flight.env, PYTHONUNBUFFERED: '1' };
  const child = flight.guard.start([python, '-c', BRIDGE], {
    cwd: flight.launchDir,
    env,
    stdin: 'pipe',
    answer: true,
  });
  const stop = () => void flight.guard.end(child.pid, flight.graceMs);
  flight.signal.addEventListener('abort', stop, { once: true });
  if (flight.signal.aborted) stop();
  try {
    const feed = async () => {
      child.stdin?.write(request);
      await child.stdin?.end();
    };
    // A task that dies before it has read its spec closes the pipe: its exit code tells the story, not the pipe.
    const feeding = feed().catch(
      (thrown) => void (codeOf(thrown) === 'EPIPE' || flight.log.debug(messageOf(thrown))),
    );
    const log = async (stream: ReadableStream<Uint8Array>) => {
      for await (const line of linesOf(stream)) if (line.trim()) flight.log.debug(line);
    };
    const [text, code] = await Promise.all([
      new Response(child.answer).text(),
      child.exited,
      log(child.stdout),
      log(child.stderr),
      feeding,
    ]);
    flight.signal.throwIfAborted();
    if (text) return fromJson(text) as Record<string, unknown>;
    throw new FiretaskError(
      'RuntimeError',
      `Python ended with exit code ${code} before the task gave its result`,
    );
  } finally {
    flight.signal.removeEventListener('abort', stop);
  }
}
