/** Room on the Engine's disk: images that this worker pulled and has not used for longest go when the disk fills. */
import { statfs } from 'node:fs/promises';
import * as z from 'zod';
import type { Logger } from '../../core/log.ts';
import { type Engine, EngineError } from './engine.ts';

const info = z.looseObject({ DockerRootDir: z.string().default('') });

/**
 * What this process pulled, by Engine and in the order of use, the latest last. Whatever else is on the Engine is somebody
 * else's, and stays.
 */
const pulled = new Map<string, Set<string>>();

const keyOf = (engine: Engine) => JSON.stringify(engine.address);

export function rememberPulled(engine: Engine, image: string): void {
  const key = keyOf(engine);
  if (!pulled.has(key)) pulled.set(key, new Set());
  pulled.get(key)?.add(image);
}

/** An image that is used again is the last to go. */
export function rememberUse(engine: Engine, image: string): void {
  const images = pulled.get(keyOf(engine));
  if (images?.delete(image)) images.add(image);
}

/** How full the Engine's disk is, in percent; null where that cannot be seen from here. */
export async function diskUse(engine: Engine, signal?: AbortSignal): Promise<number | null> {
  const { DockerRootDir } = info.parse(await engine.request('GET', '/info', { signal }));
  const disk = await statfs(DockerRootDir).catch(() => null);
  if (!disk) return null;
  const used = disk.blocks - disk.bfree;
  return (100 * used) / (used + disk.bavail);
}

/**
 * Deletes images until the disk is less than `atPercent` full, `keep` excepted. What a container uses, or another worker has
 * under another name, the Engine keeps. Returns how many went.
 */
export async function pruneImages(
  engine: Engine,
  o: { atPercent: number; keep: string; log: Logger; signal?: AbortSignal },
): Promise<number> {
  let count = 0;
  for (const image of [...(pulled.get(keyOf(engine)) ?? [])]) {
    if (image === o.keep) continue;
    const use = await diskUse(engine, o.signal);
    if (use === null || use < o.atPercent) break;
    try {
      await engine.request('DELETE', `/images/${image}`, { signal: o.signal });
      o.log.info(
        `The Docker Engine's disk is ${use.toFixed(0)} % full (prune_images_at ${o.atPercent}): removed image ${image}`,
      );
      count++;
    } catch (thrown) {
      if (!(thrown instanceof EngineError)) throw thrown;
      // In use: it stays on the list for the next time. Gone: somebody else was here.
      if (thrown.status !== 404) continue;
    }
    pulled.get(keyOf(engine))?.delete(image);
  }
  return count;
}
