/** GetFilesTask: takes files out of a FilePad (fireworks/user_objects/firetasks/filepad_tasks.py). */
import { resolve } from 'node:path';
import * as z from 'zod';
import { filePadOf } from './filepad_of.ts';
import { type Firetask, fail } from './firetask.ts';

export const params = z.looseObject({
  identifiers: z.array(z.string()),
  filepad_file: z.string().nullish(),
  dest_dir: z.string().nullish(),
  new_file_names: z.array(z.string()).nullish(),
});

export const getFiles: Firetask = {
  names: ['GetFilesTask'],
  params,
  async run(raw, flight) {
    const { identifiers, filepad_file, dest_dir, new_file_names } = raw as z.infer<typeof params>;
    await using filepad = await filePadOf(flight, filepad_file);
    for (const [i, identifier] of identifiers.entries()) {
      flight.signal.throwIfAborted();
      const found = await filepad.find(identifier);
      if (!found) fail('TypeError', `The FilePad has no file '${identifier}'`);
      const name = new_file_names?.length ? new_file_names[i] : String(found.original_file_name);
      if (name === undefined) fail('IndexError', `new_file_names has no name for '${identifier}'`);
      await filepad.fetch(found, resolve(flight.launchDir, dest_dir ?? '.', name));
    }
    return null;
  },
};
