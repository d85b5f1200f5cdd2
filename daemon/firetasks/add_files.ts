/** AddFilesTask: puts files into a FilePad (fireworks/user_objects/firetasks/filepad_tasks.py). */
import { resolve } from 'node:path';
import * as z from 'zod';
import { codeOf, messageOf } from '../../core/errors.ts';
import { pythonGlob } from '../glob.ts';
import { filePadOf } from './filepad_of.ts';
import { check, type Firetask, fail, flag } from './firetask.ts';

export const params = z.looseObject({
  paths: z.union([z.string(), z.array(z.string())]),
  identifiers: z.array(z.string()).nullish(),
  directory: z.string().nullish(),
  filepad_file: z.string().nullish(),
  compress: flag(true),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

export const addFiles: Firetask = {
  names: ['AddFilesTask'],
  params,
  async run(raw, flight) {
    const task = raw as z.infer<typeof params>;
    const { launchDir, rawParams } = flight;
    const paths =
      typeof task.paths === 'string'
        ? pythonGlob(task.paths, resolve(launchDir, task.directory ?? '.'))
        : task.paths.map((path) => resolve(launchDir, path));
    const identifiers = task.identifiers ?? paths;
    check(paths.length === identifiers.length, `${paths.length} files and ${identifiers.length} identifiers`);
    await using filepad = await filePadOf(flight, task.filepad_file);
    for (const [i, path] of paths.entries()) {
      flight.signal.throwIfAborted();
      const { compress } = task;
      await filepad
        .add(path, identifiers[i] as string, { compress, metadata: rawParams.metadata ?? null })
        .catch((thrown) => {
          if (codeOf(thrown) !== 'ENOENT') throw thrown;
          fail('FileNotFoundError', messageOf(thrown));
        });
    }
    return null;
  },
};
