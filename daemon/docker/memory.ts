/** A container's memory: how much it may have, and how much it had. */
import * as z from 'zod';
import { sleep } from '../../core/wait.ts';
import type { Engine } from './engine.ts';

const UNITS: Record<string, number> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** A size as `docker run --memory` takes it: bytes, or a number with b, k, m, g or t (`512m`, `1.5g`, also `4GiB`). */
export const byteSize = z.union(
  [
    z.number().int().positive(),
    z
      .string()
      .trim()
      .regex(/^\d+(\.\d+)?\s*([bkmgt]|[kmgt]i?b)?$/i)
      .transform((text) => {
        const [, number, unit = ''] = /^([\d.]+)\s*([bkmgt]?)/i.exec(text) ?? [];
        return Math.floor(Number(number) * (UNITS[unit.toLowerCase()] as number));
      }),
  ],
  'must be a number of bytes, or a size such as 512m or 2g',
);

/** `1.5 GiB`, `640 MiB`. */
export function shownSize(bytes: number): string {
  const [unit, name] =
    bytes >= 2 ** 30 ? [2 ** 30, 'GiB'] : bytes >= 2 ** 20 ? [2 ** 20, 'MiB'] : [2 ** 10, 'KiB'];
  return `${Number((bytes / unit).toPrecision(3))} ${name}`;
}

const info = z.looseObject({ MemTotal: z.number() });

/** All the memory of the Engine's machine. */
export async function memoryOf(engine: Engine, signal: AbortSignal): Promise<number> {
  return info.parse(await engine.request('GET', '/info', { signal })).MemTotal;
}

const stats = z.looseObject({
  memory_stats: z
    .looseObject({
      usage: z.number().optional(),
      // Of cgroups v1 and v2: files in memory that can go at any time.
      stats: z
        .looseObject({ total_inactive_file: z.number().optional(), inactive_file: z.number().optional() })
        .optional(),
    })
    .optional(),
});

const FIRST_LOOK_MS = 50;
const LOOK_EVERY_MS = 500;

/**
 * Looks at a running container's memory until `signal` aborts, often at first, for many are over soon. Returns the most that it
 * had, files that the kernel only keeps in memory while there is room left out; null when it was over before the first look.
 */
export async function peakMemory(engine: Engine, id: string, signal: AbortSignal): Promise<number | null> {
  let peak: number | null = null;
  for (let pause = FIRST_LOOK_MS; !signal.aborted; pause = Math.min(pause * 2, LOOK_EVERY_MS)) {
    // A failure is an Engine that is being restarted, or a container that is over: the next look will tell.
    const answer = await engine
      .request('GET', `/containers/${id}/stats?stream=false&one-shot=true`, { signal })
      .catch(() => null);
    const { usage, stats: parts } = stats.safeParse(answer).data?.memory_stats ?? {};
    if (usage) {
      const used = usage - (parts?.total_inactive_file ?? parts?.inactive_file ?? 0);
      peak = Math.max(peak ?? 0, used);
    }
    await sleep(pause, signal);
  }
  return peak;
}
