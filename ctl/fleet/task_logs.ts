/** The `>>` logs of a Firework's DockerTasks: where each run put its own. */
import { posix } from 'node:path';
import { parseStoragePath, type Storage, type StorageObject } from '../../core/cloud/storage.ts';
import { type Doc, isDoc } from '../../core/launchpad/index.ts';

export interface LogPlace {
  bucket: string;
  /** Ends with '/', unless it is the bucket itself. */
  folder: string;
  /** Without the time of the run, which each has before it. */
  file: string;
}

const NAMES = ['{{borealis.docker_task.DockerTask}}', 'DockerTask'];

/** Where the tasks of a Firework log to; none for those that keep no log. */
export function logPlaces(spec: Doc): LogPlace[] {
  const tasks = Array.isArray(spec._tasks) ? spec._tasks.filter(isDoc) : [];
  return tasks
    .filter(({ _fw_name }) => NAMES.includes(String(_fw_name)))
    .flatMap(({ outputs, internal_prefix, storage_prefix }) => {
      if (!Array.isArray(outputs)) return [];
      const logs = outputs.filter(
        (path): path is string => typeof path === 'string' && path.startsWith('>>'),
      );
      return logs.map((path) => placeOf(path, String(internal_prefix), String(storage_prefix)));
    });
}

function placeOf(path: string, internalPrefix: string, storagePrefix: string): LogPlace {
  const { bucket, path: prefix } = parseStoragePath(storagePrefix);
  const below = posix.relative(posix.normalize(internalPrefix), posix.normalize(path.replace(/^>>\s*/, '')));
  const name = posix.join(prefix, below);
  const folder = posix.dirname(name);
  return { bucket, folder: folder === '.' ? '' : `${folder}/`, file: posix.basename(name) };
}

const STAMP = /^\d{8}\.\d{6}_/;

/** The logs in one place, the newest last. */
export async function logsIn(storage: Storage, { bucket, folder, file }: LogPlace): Promise<StorageObject[]> {
  const found: StorageObject[] = [];
  for await (const object of storage.list(bucket, folder, { delimiter: '/' })) {
    const name = object.name.slice(folder.length);
    if (STAMP.test(name) && name.replace(STAMP, '') === file) found.push(object);
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
