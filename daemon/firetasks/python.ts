/** PyTask and every Firetask that is written in Python: run in the user's Python by way of bridge.py. */
import { z } from 'zod';
import {
  type Doc,
  fromJson,
  isDoc,
  type LaunchPadSettings,
  parseFWAction,
  plain,
  toJson,
} from '../../core/launchpad/index.ts';
import { fworkerDoc } from '../../core/launchpad/model.ts';
import { Lines, LoggedOutput } from '../lines.ts';
import BRIDGE from './bridge.py' with { type: 'text' };
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';
import { runProgram } from './program.ts';

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
  const python = Bun.which(flight.python, { PATH: flight.env.PATH ?? '' });
  if (!python) {
    throw new FiretaskError(
      'SetupError',
      `There is no Python '${flight.python}' on this worker. Install python3, or name one with the setting 'python'`,
    );
  }
  const [stdout, stderr] = [new LoggedOutput(flight.log), new LoggedOutput(flight.log)];
  const answer = new Lines(Number.POSITIVE_INFINITY);
  let text = '';
  const code = await runProgram(flight, [python, '-c', BRIDGE], {
    env: { ...flight.env, PYTHONUNBUFFERED: '1' },
    stdin: toJson({
      task: flight.rawParams,
      spec: flight.rawSpec,
      fworker: fworkerDoc(flight.fworker),
      ...(flight.spec._add_launchpad_and_fw_id
        ? { fw_id: flight.fwId, launchpad: launchPadArguments(flight.launchPad) }
        : {}),
    }),
    onStdout: (bytes) => stdout.write(bytes),
    onStderr: (bytes) => stderr.write(bytes),
    // One line: what a forked child of the task keeps open is not waited for.
    onAnswer: (bytes) => {
      for (const line of answer.push(bytes)) text = line;
    },
  });
  stdout.end();
  stderr.end();
  if (text) return fromJson(text) as Record<string, unknown>;
  throw new FiretaskError(
    'RuntimeError',
    `Python ended with exit code ${code} before the task gave its result`,
  );
}

/** What Python's `LaunchPad(...)` takes. */
function launchPadArguments(settings: LaunchPadSettings): Doc {
  const { host, port, name, username, password, authsource, uriMode, tls, clientOptions } = settings;
  return {
    ...(uriMode ? { host, name, uri_mode: true } : { host, port, name, username, password, authsource }),
    mongoclient_kwargs: {
      ...(tls && {
        tls: true,
        tlsCAFile: tls.caFile,
        tlsCertificateKeyFile: tls.certFile,
        tlsCertificateKeyFilePassword: tls.passphrase,
      }),
      ...clientOptions,
    },
  };
}
