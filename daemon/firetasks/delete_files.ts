/** DeleteFilesTask: deletes files from a FilePad (fireworks/user_objects/firetasks/filepad_tasks.py). */
import * as z from 'zod';
import { filePadOf } from './filepad_of.ts';
import type { Firetask } from './firetask.ts';

export const params = z.looseObject({
  identifiers: z.array(z.string()),
  filepad_file: z.string().nullish(),
});

export const deleteFiles: Firetask = {
  names: ['DeleteFilesTask'],
  params,
  async run(raw, flight) {
    const { identifiers, filepad_file } = raw as z.infer<typeof params>;
    await using filepad = await filePadOf(flight, filepad_file);
    for (const identifier of identifiers) {
      flight.signal.throwIfAborted();
      await filepad.delete(identifier);
    }
    return null;
  },
};
