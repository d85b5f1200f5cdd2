/** FileDeleteTask: deletes files (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../../core/errors.ts';
import { type Firetask, FiretaskError } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

const params = z.looseObject({ files_to_delete: z.array(z.string().min(1)), dest: z.string().nullish() });

export const fileDelete: Firetask = {
  names: ['FileDeleteTask'],
  params,
  async run(raw, flight) {
    const { files_to_delete: files, dest } = raw as z.infer<typeof params>;
    const folder = inLaunchDir(flight, dest ?? '.');
    for (const file of files) {
      await rm(join(folder, file)).catch((thrown) => {
        if (codeOf(thrown) === 'ENOENT')
          throw new FiretaskError('FileNotFoundError', `No such file: ${join(folder, file)}`);
        throw thrown;
      });
    }
    return null;
  },
};
