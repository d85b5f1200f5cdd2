/** Waits that can be interrupted. Being aborted on purpose is a normal return, never an error. */

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

/** Sleeps for `ms` milliseconds. Resolves to true when the time passed, false when `signal` cut it short. */
export function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(true), ms);
    const cut = () => done(false);
    const done = (whole: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cut);
      resolve(whole);
    };
    signal?.addEventListener('abort', cut, { once: true });
  });
}

/** `ms` spread evenly over [1 - part, 1 + part] of itself, so that many workers do not ask in step. */
export function jitter(ms: number, part = 0.2, random: () => number = Math.random): number {
  return ms * (1 - part + 2 * part * random());
}

/** What `promise` gives, or null when `signal` aborts first: then it is left to itself, and how it ends is nobody's concern. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | null> {
  promise.catch(() => {});
  if (signal.aborted) return null;
  let cut = () => {};
  const aborted = new Promise<null>((resolve) => {
    cut = () => resolve(null);
    signal.addEventListener('abort', cut, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', cut);
  }
}
