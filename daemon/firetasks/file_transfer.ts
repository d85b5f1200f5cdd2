/** FileTransferTask: moves and copies files, on this machine or to another (fireworks/user_objects/firetasks/fileio_tasks.py). */
import { copyFile, cp, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import * as z from 'zod';
import { codeOf, messageOf } from '../../core/errors.ts';
import { jitter, SECOND, sleep } from '../../core/wait.ts';
import { type Firetask, FiretaskError, type Flight, flag } from './firetask.ts';
import { inLaunchDir } from './paths.ts';
import { putThere } from './remote_transfer.ts';

export const params = z.looseObject({
  files: z.array(z.union([z.string(), z.looseObject({ src: z.string(), dest: z.string().optional() })])),
  mode: z.string().default('move'),
  dest: z.string().nullish(),
  ignore_errors: flag(false),
  shell_interpret: flag(true),
  max_retry: z.number().int().nonnegative().default(0),
  /** Seconds. */
  retry_delay: z.number().nonnegative().default(10),
  /** For `rtransfer`. */
  server: z.string().min(1).optional(),
  user: z.string().nullish(),
  key_filename: z.string().nullish(),
});

type Params = z.infer<typeof params>;

export const fileTransfer: Firetask = {
  names: ['FileTransferTask', 'TransferTask'],
  params,
  async run(raw, flight) {
    const task = raw as Params;
    const transfer = task.mode === 'rtransfer' ? toServer(task, flight) : MODES[task.mode];
    if (!transfer)
      throw new FiretaskError(
        'ValueError',
        `FileTransferTask mode '${task.mode}' is not known. Modes: ${[...Object.keys(MODES), 'rtransfer'].join(', ')}`,
      );
    for (const file of task.files) await one(file, task, transfer, flight);
    return null;
  },
};

/** Transfers one file; when that fails, again as often as the task says. */
async function one(
  file: Params['files'][number],
  task: Params,
  transfer: Transfer,
  flight: Flight,
): Promise<void> {
  const remote = task.mode === 'rtransfer';
  const { src, dest: own } = typeof file === 'string' ? { src: file } : file;
  const dest = (remote ? null : own) ?? task.dest;
  if (!dest) throw new FiretaskError('ValueError', `FileTransferTask: where should ${src} go? Give 'dest'`);
  const path = (text: string) =>
    task.shell_interpret ? inLaunchDir(flight, text) : resolve(flight.launchDir, text);
  for (let left = task.max_retry; ; left--) {
    try {
      return await transfer(path(src), remote ? dest : path(dest));
    } catch (thrown) {
      const message = `There was an error performing operation ${task.mode} from ${src} to ${dest}: ${messageOf(thrown)}`;
      if (left > 0) {
        flight.log.warning(message);
        if (await sleep(jitter(task.retry_delay * SECOND), flight.signal)) continue;
      }
      // As FireWorks: a server that cannot be reached is no error of a file.
      if (thrown instanceof FiretaskError) throw thrown;
      if (!task.ignore_errors)
        throw new FiretaskError('ValueError', message, null, undefined, { cause: thrown });
      return flight.log.warning(message);
    }
  }
}

/** To the server that the task names; the target is a folder there. */
function toServer({ server, user, key_filename }: Params, flight: Flight): Transfer {
  if (!server)
    throw new FiretaskError('KeyError', "'server': FileTransferTask with mode 'rtransfer' must name one");
  return (from, to) => putThere(from, to, { server, user, key_filename }, flight);
}

type Transfer = (from: string, to: string) => Promise<void>;

/** Python's shutil functions of these names. Links are followed, as it does. */
const MODES: Record<string, Transfer> = {
  mv: move,
  move,
  cp: copy,
  copy,
  async copy2(from, to) {
    const target = await inFolder(from, to);
    await copyFile(from, target);
    const { atime, mtime } = await stat(from);
    await utimes(target, atime, mtime);
  },
  copyfile: (from, to) => copyFile(from, to),
  async copytree(from, to) {
    if (await isThere(to)) throw new Error(`${to} is there already`);
    await cp(from, to, { recursive: true, dereference: true, preserveTimestamps: true });
  },
};

async function copy(from: string, to: string): Promise<void> {
  await copyFile(from, await inFolder(from, to));
}

async function move(from: string, to: string): Promise<void> {
  const target = await inFolder(from, to);
  if (target !== to && (await isThere(target))) throw new Error(`${target} is there already`);
  try {
    await rename(from, target);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EXDEV') throw thrown;
    // Another disk: a crash between the two leaves both copies, never none.
    await cp(from, target, { recursive: true, preserveTimestamps: true });
    await rm(from, { recursive: true });
  }
}

/** Into a folder that is there already, else to the name itself. */
async function inFolder(from: string, to: string): Promise<string> {
  const folder = await stat(to).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return folder ? join(to, basename(from)) : to;
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
