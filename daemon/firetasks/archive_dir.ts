/** ArchiveDirTask: the launch folder as one archive (fireworks/user_objects/firetasks/fileio_tasks.py, shutil.make_archive). */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import * as z from 'zod';
import { type Firetask, FiretaskError } from './firetask.ts';
import { inLaunchDir } from './paths.ts';
import { runProgram } from './program.ts';

export const params = z.looseObject({
  /** With its path, without its extension. */
  base_name: z.string().min(1),
  format: z.enum(['zip', 'tar', 'gztar', 'bztar', 'xztar']).default('gztar'),
});

const EXTENSION = {
  zip: '.zip',
  tar: '.tar',
  gztar: '.tar.gz',
  bztar: '.tar.bz2',
  xztar: '.tar.xz',
} as const;
const TAR_FLAGS = { tar: '-cf', gztar: '-czf', bztar: '-cjf', xztar: '-cJf' } as const;

export const archiveDir: Firetask = {
  names: ['ArchiveDirTask'],
  params,
  async run(raw, flight) {
    const { base_name, format } = raw as z.infer<typeof params>;
    const archive = `${inLaunchDir(flight, base_name)}${EXTENSION[format]}`;
    // Under its name when it is whole. Neither it nor one of an earlier run is part of itself.
    const part = `${archive}.part-${flight.launchId}`;
    const others = [part, archive].map((path) => `./${relative(flight.launchDir, path)}`);
    const argv =
      format === 'zip'
        ? ['zip', '-q', '-r', '-', '.', '-x', ...others]
        : ['tar', ...others.map((path) => `--exclude=${path}`), TAR_FLAGS[format], '-', '.'];
    await mkdir(dirname(archive), { recursive: true });
    const said: string[] = [];
    try {
      const writer = Bun.file(part).writer();
      const code = await runProgram(flight, argv, {
        async onStdout(bytes) {
          writer.write(bytes);
          await writer.flush();
        },
        onStderr: (bytes) => void said.push(Buffer.from(bytes).toString()),
        captured: true,
      }).finally(() => writer.end());
      if (code === 127)
        throw new FiretaskError(
          'OSError',
          `ArchiveDirTask: the program ${argv[0]} is missing on this worker: install ${argv[0]}`,
        );
      if (code !== 0)
        throw new FiretaskError(
          'OSError',
          `ArchiveDirTask: ${said.join('').trim() || `${argv[0]} ended with exit code ${code}`}`,
        );
      await rename(part, archive);
    } finally {
      await rm(part, { force: true });
    }
    return null;
  },
};
