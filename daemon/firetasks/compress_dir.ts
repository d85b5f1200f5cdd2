/** CompressDirTask: compresses every file of a folder (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { extname } from 'node:path';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { compressFile, filesBelow } from './compression.ts';
import { type Firetask, FiretaskError, flag } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

export const params = z.looseObject({
  compression: z.enum(['gz', 'bz2']).default('gz'),
  dest: z.string().nullish(),
  ignore_errors: flag(false),
});

export const compressDir: Firetask = {
  names: ['CompressDirTask'],
  params,
  async run(raw, flight) {
    const { compression, dest, ignore_errors } = raw as z.infer<typeof params>;
    const folder = inLaunchDir(flight, dest ?? '.');
    try {
      for (const file of await filesBelow(folder))
        if (extname(file).toLowerCase() !== `.${compression}`) await compressFile(file, compression, flight);
    } catch (thrown) {
      flight.signal.throwIfAborted();
      const message = `There was an error performing compression='${compression}' in ${folder}: ${messageOf(thrown)}`;
      if (!ignore_errors) throw new FiretaskError('ValueError', message, null, undefined, { cause: thrown });
      flight.log.warning(message);
    }
    return null;
  },
};
