/** FileTransferTask on this machine (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { cp, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf } from '../../core/errors.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';
import { inLaunchDir } from './paths.ts';

const LOCAL = ['mv', 'move', 'cp', 'copy', 'copy2', 'copytree', 'copyfile'] as const;

const params = z.looseObject({
  files: z.array(z.union([z.string(), z.object({ src: z.string(), dest: z.string() })])),
  mode: z.string().default('move'),
  dest: z.string().nullish(),
  ignore_errors: z.boolean().default(false),
  shell_interpret: z.boolean().default(true),
});

export const fileTransfer: Firetask = {
  names: ['FileTransferTask', 'TransferTask'],
  params,
  async run(raw, flight) {
    const task = raw as z.infer<typeof params>;
    if (!(LOCAL as readonly string[]).includes(task.mode)) {
      throw new FiretaskError(
        'ValueError',
        `FileTransferTask mode '${task.mode}' is not available here. Local modes: ${LOCAL.join(', ')}`,
      );
    }
    for (const file of task.files) {
      const [src, dest] = typeof file === 'string' ? [file, task.dest] : [file.src, file.dest];
      if (!dest)
        throw new FiretaskError('ValueError', `FileTransferTask: where should ${src} go? Give 'dest'`);
      await transfer(src, dest, task.mode, flight).catch((thrown) => {
        if (!task.ignore_errors) throw thrown;
        flight.log.warning(`${src}: ${messageOf(thrown)}`);
      });
    }
    return null;
  },
};

async function transfer(src: string, dest: string, mode: string, flight: Flight): Promise<void> {
  const from = inLaunchDir(flight, src);
  let to = inLaunchDir(flight, dest);
  // Into a folder that is there already, as Python's shutil does; copyfile and copytree name their target exactly.
  const folder = await stat(to).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (folder && mode !== 'copyfile' && mode !== 'copytree') to = join(to, basename(from));
  try {
    if (mode === 'mv' || mode === 'move') await move(from, to);
    else
      await cp(from, to, {
        recursive: mode === 'copytree',
        errorOnExist: mode === 'copytree',
        force: mode !== 'copytree',
        preserveTimestamps: mode === 'copy2',
      });
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT')
      throw new FiretaskError('FileNotFoundError', `No such file or directory: ${from}`, null, undefined, {
        cause: thrown,
      });
    throw thrown;
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EXDEV') throw thrown;
    // Another disk: a crash between the two leaves both copies, never none.
    await cp(from, to, { recursive: true, preserveTimestamps: true });
    await rm(from, { recursive: true });
  }
}
