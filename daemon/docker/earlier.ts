/**
 * What was done before need not be done again. A launch that completed leaves a record in its bucket, named after all that its
 * outputs follow from; a later one with the same name for its own takes them over, in place or as copies by the server.
 *
 * The record is in the bucket and not in the LaunchPad, for it is of no use without the outputs: whoever deletes those deletes
 * it, and workers of several LaunchPads share it. One that is lost, old or stale makes a task run again, nothing worse: it is
 * believed only as far as the objects that it names still are what they were.
 */
import * as z from 'zod';
import { isNotFound } from '../../core/cloud/api_error.ts';
import type { Storage, StorageObject } from '../../core/cloud/storage.ts';
import { foldersAbove } from '../../core/cloud/tree.ts';
import { type Doc, toJson } from '../../core/launchpad/index.ts';
import { objectName } from './paths.ts';
import type { Staging, Stored } from './staging.ts';

const FOLDER = '.borealis-cache/';

const record = z.object({
  fw_id: z.number(),
  launch_id: z.number(),
  at: z.string(),
  /** Of the names of its objects. */
  prefix: z.string(),
  outputs: z.array(
    z.object({ path: z.string(), generation: z.string(), size: z.number(), crc32c: z.string() }),
  ),
  folders: z.array(z.string()),
  /** Its FWAction as text, for the types of its numbers. */
  fwaction: z.string().nullable(),
});

export type Earlier = z.infer<typeof record>;

export const shownRun = ({ fw_id, launch_id, at }: Earlier) =>
  `Firework ${fw_id} (launch ${launch_id}, ${at})`;

/** The name of the record about runs with these facts. */
export function recordName(facts: Doc, inputs: readonly string[]): string {
  const key = new Bun.CryptoHasher('sha256').update(toJson({ facts, inputs })).digest('hex');
  return `${FOLDER}${key}.json`;
}

/** The record; null when there is none that can be read. */
export async function findEarlier(storage: Storage, bucket: string, name: string): Promise<Earlier | null> {
  if (!(await storage.find(bucket, name))) return null;
  const text = Buffer.from(await storage.read(bucket, name)).toString();
  try {
    return record.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * Takes over the outputs of an earlier run. False, with nothing that matters changed, when they are not what it left: what was
 * copied until then is replaced by the run that follows.
 */
export async function takeOver(
  storage: Storage,
  staging: Staging,
  earlier: Earlier,
  signal: AbortSignal,
): Promise<boolean> {
  const { bucket } = staging;
  const there = await outputsBelow(storage, staging, earlier.prefix, signal);
  const named = (path: string) => there.get(objectName(earlier.prefix, path));
  const objects = earlier.outputs.map(({ path, ...was }) => ({ path, was, object: named(path) }));
  if (!earlier.folders.every(named)) return false;
  const unchanged = ({ was, object }: (typeof objects)[number]) =>
    object?.generation === was.generation && object.size === was.size && object.crc32c === was.crc32c;
  if (!objects.every(unchanged)) return false;
  if (earlier.prefix === objectName(staging.prefix, '')) return true;
  const names = [...earlier.outputs.map(({ path }) => path), ...earlier.folders].map((path) =>
    objectName(staging.prefix, path),
  );
  const folders = new Set([...names.filter((name) => name.endsWith('/')), ...names.flatMap(foldersAbove)]);
  try {
    await storage.makeFolders(bucket, folders, { signal });
    await storage.each(objects, { signal }, ({ path, object }) =>
      storage.copyOutput(bucket, object as StorageObject, objectName(staging.prefix, path), staging.run, {
        signal,
      }),
    );
    return true;
  } catch (thrown) {
    // One was replaced while the others were copied.
    if (isNotFound(thrown)) return false;
    throw thrown;
  }
}

/** All objects that outputs of the task would be, below another prefix, by their names. */
async function outputsBelow(
  storage: Storage,
  staging: Staging,
  prefix: string,
  signal: AbortSignal,
): Promise<Map<string, StorageObject>> {
  const found = new Map<string, StorageObject>();
  const results = staging.outputs.filter(({ capture }) => capture !== '>>');
  await storage.each(results, { signal }, async ({ sub, tree }) => {
    const name = objectName(prefix, sub);
    if (tree)
      for await (const object of storage.list(staging.bucket, name, { signal }))
        found.set(object.name, object);
    else {
      const object = await storage.find(staging.bucket, name, { signal });
      if (object) found.set(name, object);
    }
  });
  return found;
}

/** Leaves a record of a run that completed. */
export async function remember(
  storage: Storage,
  staging: Staging,
  name: string,
  { objects, folders }: Stored,
  fwaction: string | null,
): Promise<void> {
  const { fwId, launchId } = staging.run;
  const prefix = objectName(staging.prefix, '');
  const logs = staging.outputs.filter(({ capture }) => capture === '>>').map(({ sub }) => prefix + sub);
  const earlier: Earlier = {
    fw_id: fwId,
    launch_id: launchId,
    at: new Date().toISOString(),
    prefix,
    outputs: objects
      .filter(({ name }) => !logs.includes(name))
      .map(({ name, generation, size, crc32c }) => ({
        path: name.slice(prefix.length),
        generation,
        size,
        crc32c: crc32c ?? '',
      })),
    folders: folders.map((name) => name.slice(prefix.length)),
    fwaction,
  };
  await storage.write(staging.bucket, name, JSON.stringify(earlier));
}
