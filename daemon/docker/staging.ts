/** A task's files on this machine: fetched before it, stored after it, in a folder that is gone at the end. */
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseStoragePath, type Storage } from '../../core/cloud/storage.ts';
import { BorealisError, messageOf } from '../../core/errors.ts';
import { mapPath, objectName, type PathMapping } from './paths.ts';

export interface Staged extends PathMapping {
  /** The file or folder on this machine. */
  local: string;
}

export class Staging implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly bucket: string,
    readonly prefix: string,
    readonly inputs: readonly Staged[],
    readonly outputs: readonly Staged[],
  ) {}

  /** Makes the folder with an empty file or folder for each path: Docker mounts what is there, as what it is. */
  static async open(
    folder: string,
    task: {
      inputs: readonly string[];
      outputs: readonly string[];
      internalPrefix: string;
      storagePrefix: string;
      stamp: string;
    },
  ): Promise<Staging> {
    const { bucket, path } = parseStoragePath(task.storagePrefix);
    const map = (group: string) => (one: string) => {
      const mapping = mapPath(one, task.internalPrefix, task.stamp);
      return { ...mapping, local: join(folder, group, mapping.sub) };
    };
    const staging = new Staging(
      folder,
      bucket,
      path,
      task.inputs.map(map('inputs')),
      task.outputs.map(map('outputs')),
    );
    for (const { local, tree } of [...staging.inputs, ...staging.outputs]) {
      await mkdir(tree ? local : dirname(local), { recursive: true });
      if (!tree) await (await open(local, 'a')).close();
    }
    return staging;
  }

  /** What the container gets to see: inputs and outputs, but not what is captured from its output. */
  get mounts(): { source: string; target: string }[] {
    return [...this.inputs, ...this.outputs]
      .filter((path) => path.capture === null)
      .map(({ local, internal }) => ({
        source: local.replace(/\/$/, ''),
        target: internal.replace(/(.)\/$/, '$1'),
      }));
  }

  /** Fetches all inputs. Throws one error that names everything that could not be had. */
  async fetchInputs(storage: Storage, signal: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    for (const { sub, local, tree } of this.inputs) {
      const name = objectName(this.prefix, sub);
      try {
        if (tree) await storage.downloadTree(this.bucket, name, local, { signal });
        else await storage.download(this.bucket, name, local, { signal });
      } catch (thrown) {
        signal.throwIfAborted();
        failures.push(thrown);
      }
    }
    if (failures.length > 0)
      throw new BorealisError([...new Set(failures.map(messageOf))].join('; '), { cause: failures[0] });
  }

  async store(storage: Storage, paths: readonly Staged[], signal?: AbortSignal): Promise<void> {
    for (const { sub, local, tree } of paths) {
      const name = objectName(this.prefix, sub);
      if (tree) await storage.uploadTree(local, this.bucket, name, { signal });
      else await storage.upload(local, this.bucket, name, { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
