/** What the DockerTasks of a worker share on its disk: large inputs, and outputs that wait to be stored. */
import { join } from 'node:path';
import type { Logger } from '../../core/log.ts';
import { FetchCache } from './fetch_cache.ts';
import { KeptOutputs } from './kept_outputs.ts';

export interface Depot {
  /** Null: every task fetches all of its inputs. */
  cache: FetchCache | null;
  kept: KeptOutputs;
  /** Storing is tried again for so long. */
  storeRetryMs: number;
}

export async function openDepot(
  folder: string,
  o: { fetchCacheBytes: number; storeRetryMs: number; log: Logger },
): Promise<Depot> {
  return {
    cache:
      o.fetchCacheBytes > 0 ? await FetchCache.open(join(folder, 'fetched'), o.fetchCacheBytes, o.log) : null,
    kept: new KeptOutputs(join(folder, 'unstored')),
    storeRetryMs: o.storeRetryMs,
  };
}
