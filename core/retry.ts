import { jitter, sleep } from './wait.ts';

/** Which failures are tried again, and for how long. One object beside each call; `retry` is the one that obeys. */
export interface RetryPolicy {
  /** True when trying again can help. */
  retryable: (thrown: unknown) => boolean;
  firstDelayMs: number;
  longestDelayMs: number;
  /** No attempt starts later than this after the first one. */
  deadlineMs: number;
}

export interface RetryWorld {
  signal?: AbortSignal;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<boolean>;
  /** Milliseconds of any clock; the default is one that nobody can set back. */
  now?: () => number;
  random?: () => number;
  /** Told before each wait: the failure, how long the wait is, and the number of the attempt that failed (from 1). */
  onRetry?: (thrown: unknown, delayMs: number, attempt: number) => void;
}

/**
 * Calls `attempt` until it succeeds, its failure is not retryable, the deadline has passed or the signal aborts.
 * Delays double from `firstDelayMs` to `longestDelayMs`, each with 20 % jitter. Throws the last failure.
 */
export async function retry<T>(
  policy: RetryPolicy,
  attempt: () => Promise<T>,
  world: RetryWorld = {},
): Promise<T> {
  const { now = () => performance.now(), sleep: pause = sleep, random = Math.random, signal } = world;
  const giveUpAt = now() + policy.deadlineMs;
  for (let tries = 1, delay = policy.firstDelayMs; ; tries++) {
    try {
      return await attempt();
    } catch (thrown) {
      const wait = jitter(delay, 0.2, random);
      if (signal?.aborted || !policy.retryable(thrown) || now() + wait > giveUpAt) throw thrown;
      world.onRetry?.(thrown, wait, tries);
      if (!(await pause(wait, signal))) throw thrown;
      delay = Math.min(delay * 2, policy.longestDelayMs);
    }
  }
}
