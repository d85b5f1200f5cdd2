/** A bounded rate: many may start at once, after that so many a second. */
import { sleep as pause, SECOND } from '../wait.ts';

export interface PaceWorld {
  now?: () => number;
  sleep?: (ms: number) => Promise<unknown>;
}

/** Returns a function that resolves when the next may start: `burst` at once, then `perSecond`. */
export function pace(burst: number, perSecond: number, world: PaceWorld = {}): () => Promise<void> {
  const { now = Date.now, sleep = pause } = world;
  const intervalMs = SECOND / perSecond;
  /** When a full burst may start again. */
  let restedAt = now();
  return async () => {
    const start = Math.max(now(), restedAt - burst * intervalMs + intervalMs);
    restedAt = Math.max(restedAt, now()) + intervalMs;
    const waitMs = start - now();
    if (waitMs > 0) await sleep(waitMs);
  };
}
