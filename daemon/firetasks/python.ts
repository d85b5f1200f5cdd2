/** PyTask and every Firetask that is written in Python: run in the user's Python by way of bridge.py. */
import * as z from 'zod';
import {
  type Doc,
  type FWAction,
  isDoc,
  type LaunchPadSettings,
  parseFWAction,
} from '../../core/launchpad/index.ts';
import { fworkerDoc } from '../../core/launchpad/model.ts';
import { askPython } from './ask_python.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';

export const pythonTask: Firetask = {
  names: ['PyTask'],
  params: z.looseObject({}),
  async run(params, flight) {
    const { action } = await askPython(flight, questionOf(params, flight.rawParams, flight));
    return actionOf(action, params);
  },
};

/** What bridge.py is asked about a Firetask. It gets only what it has asked for in its spec. */
export function questionOf(params: Doc, task: Doc, flight: Flight): Doc {
  if (params._fw_name === 'PyTask' && typeof params.func !== 'string') {
    throw new FiretaskError('ValueError', "PyTask needs 'func', the name of a function such as 'math.sqrt'");
  }
  const { spec, launchPad } = flight;
  return {
    task,
    spec: flight.rawSpec,
    ...(spec._add_fworker ? { fworker: fworkerDoc(flight.fworker) } : {}),
    ...(spec._add_launchpad_and_fw_id
      ? { fw_id: flight.fwId, launchpad: launchPad && launchPadArguments(launchPad) }
      : {}),
  };
}

/** What it answered, as the Firetask's FWAction. */
export function actionOf(action: unknown, params: Doc): FWAction | null {
  return isDoc(action) ? parseFWAction(action, `The FWAction of ${String(params._fw_name)}`) : null;
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
