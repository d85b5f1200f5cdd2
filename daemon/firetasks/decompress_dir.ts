/** DecompressDirTask: decompresses every compressed file of a folder (fireworks/user_objects/firetasks/fileio_tasks.py). */
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { compressionOf, decompressFile, filesBelow } from './compression.ts';
import { type Firetask, FiretaskError, flag } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

export const params = z.looseObject({ dest: z.string().nullish(), ignore_errors: flag(false) });

export const decompressDir: Firetask = {
  names: ['DecompressDirTask'],
  params,
  async run(raw, flight) {
    const { dest, ignore_errors } = raw as z.infer<typeof params>;
    const folder = inLaunchDir(flight, dest ?? '.');
    try {
      for (const file of await filesBelow(folder)) {
        const compression = compressionOf(file);
        if (compression) await decompressFile(file, compression, flight);
      }
    } catch (thrown) {
      flight.signal.throwIfAborted();
      const message = `There was an error performing decompression in ${folder}: ${messageOf(thrown)}`;
      if (!ignore_errors) throw new FiretaskError('ValueError', message, null, undefined, { cause: thrown });
      flight.log.warning(message);
    }
    return null;
  },
};
