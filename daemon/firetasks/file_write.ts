/** FileWriteTask: writes texts to files (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import type { Firetask } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

export const params = z.looseObject({
  files_to_write: z.array(z.object({ filename: z.string().min(1), contents: z.string() })),
  dest: z.string().nullish(),
});

export const fileWrite: Firetask = {
  names: ['FileWriteTask'],
  params,
  async run(raw, flight) {
    const { files_to_write: files, dest } = raw as z.infer<typeof params>;
    const folder = inLaunchDir(flight, dest ?? '.');
    for (const { filename, contents } of files) await writeFile(resolve(folder, filename), contents);
    return null;
  },
};
