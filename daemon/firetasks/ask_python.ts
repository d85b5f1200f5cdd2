/** One question to the user's Python, answered by bridge.py in a process of its own. */
import { type Doc, fromJson, isDoc, plain, toJson } from '../../core/launchpad/index.ts';
import { fwConfigFile } from '../fw_config.ts';
import { Lines, LoggedOutput } from '../lines.ts';
import BRIDGE from './bridge.py' with { type: 'text' };
import { FiretaskError, type Flight } from './firetask.ts';
import { type ProgramFlight, runProgram } from './program.ts';

/**
 * Asks `question` and returns the answer. What the user's code prints goes to the log. Everything numeric crosses as lossless
 * JSON, both ways. Throws FiretaskError for what was raised there, and when there is no Python or it ends without an answer.
 */
export async function askPython(flight: ProgramFlight & Pick<Flight, 'python'>, question: Doc): Promise<Doc> {
  const python = Bun.which(flight.python, { PATH: flight.env.PATH ?? '' });
  if (!python) {
    throw new FiretaskError(
      'SetupError',
      `There is no Python '${flight.python}' on this worker. Install python3, or name one with the setting 'python'`,
    );
  }
  const [stdout, stderr] = [new LoggedOutput(flight.log), new LoggedOutput(flight.log)];
  const lines = new Lines(Number.POSITIVE_INFINITY);
  const answered = Promise.withResolvers<void>();
  let text = '';
  const code = await runProgram(flight, [python, '-c', BRIDGE], {
    // FireWorks looks for its settings where it is started: for a user that is where the worker was, not the launch folder.
    env: { ...flight.env, PYTHONUNBUFFERED: '1', FW_CONFIG_FILE: fwConfigFile(flight.env) },
    stdin: toJson(question),
    onStdout: (bytes) => stdout.write(bytes),
    onStderr: (bytes) => stderr.write(bytes),
    onAnswer: (bytes) => {
      for (const line of lines.push(bytes)) {
        text ||= line;
        answered.resolve();
      }
    },
    // Threads and forked children of the task are not waited for.
    done: answered.promise,
  });
  stdout.end();
  stderr.end();
  if (!text) throw new FiretaskError('RuntimeError', `Python ${endOf(code)} before the task gave its result`);
  return answerIn(text);
}

/** What bridge.py wrote. Throws FiretaskError for what was raised there. */
export function answerIn(text: string): Doc {
  const answer = fromJson(text) as Doc;
  if (!isDoc(answer.error)) return answer;
  const { type, message, traceback, details } = answer.error as Record<string, string | null>;
  throw new FiretaskError(type ?? 'Exception', message ?? '', plain(details), traceback ?? undefined);
}

function endOf(code: number): string {
  // A wrapper of Python, such as pyenv's, tells a death by signal as a shell does.
  const signal = code < 0 ? -code : code - 128;
  if (signal <= 0) return `ended with exit code ${code}`;
  return `was killed by signal ${signal}${signal === 9 ? ' (most often for lack of memory)' : ''}`;
}
