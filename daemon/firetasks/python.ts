/** PyTask and every Firetask that is written in Python: run in the user's Python by way of bridge.py. */
import { z } from 'zod';
import { type Doc, isDoc, type LaunchPadSettings, parseFWAction } from '../../core/launchpad/index.ts';
import { fworkerDoc } from '../../core/launchpad/model.ts';
import { askPython } from './ask_python.ts';
import { type Firetask, FiretaskError } from './firetask.ts';

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
    const { action } = await askPython(flight, {
      task: flight.rawParams,
      spec: flight.rawSpec,
      fworker: fworkerDoc(flight.fworker),
      ...(flight.spec._add_launchpad_and_fw_id
        ? { fw_id: flight.fwId, launchpad: flight.launchPad && launchPadArguments(flight.launchPad) }
        : {}),
    });
    return isDoc(action) ? parseFWAction(action, `The FWAction of ${String(params._fw_name)}`) : null;
  },
};

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
