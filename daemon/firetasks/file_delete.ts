/** FileDeleteTask: deletes files (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { type Firetask, FiretaskError, flag } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

export const params = z.looseObject({
  files_to_delete: z.array(z.string().min(1)),
  dest: z.string().nullish(),
  ignore_errors: flag(true),
});

export const fileDelete: Firetask = {
  names: ['FileDeleteTask'],
  params,
  async run(raw, flight) {
    const { files_to_delete: files, dest, ignore_errors } = raw as z.infer<typeof params>;
    const folder = inLaunchDir(flight, dest ?? '.');
    for (const file of files) {
      await rm(resolve(folder, file)).catch((thrown) => {
        if (!ignore_errors)
          throw new FiretaskError('OSError', messageOf(thrown), null, undefined, { cause: thrown });
        flight.log.debug(`Not deleted: ${messageOf(thrown)}`);
      });
    }
    return null;
  },
};
