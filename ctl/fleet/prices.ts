/**
 * What VMs cost, by a table of prices: an estimate, for discounts, traffic and what disks cost beyond the standard kind are
 * left out. Pure, but for reading the table.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import type { Vm } from '../../core/cloud/compute.ts';
import { messageOf, UsageError } from '../../core/errors.ts';
import { MINUTE } from '../../core/wait.ts';
import standard from './prices.json' with { type: 'json' };

const amounts = z.record(z.string(), z.number().nonnegative()).default({});

const schema = z.strictObject({
  /** Which prices they are: said beside every estimate. */
  about: z.string(),
  /** By the family of the machine type: `n1`. */
  perVcpuHour: amounts,
  perGbHour: amounts,
  /** By the whole machine type; comes before the family. */
  perHour: amounts,
  acceleratorPerHour: amounts,
  diskPerGbMonth: z.number().nonnegative().default(0),
  /** Of the price of a VM, what a spot VM costs. */
  spotPart: z.number().nonnegative().default(1),
});

export type Prices = z.infer<typeof schema>;

/** The table of this repository, or of a file. Throws UsageError for one that is none. */
export function readPrices(path?: string): Prices {
  if (path === undefined) return schema.parse(standard);
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    const why =
      thrown instanceof z.ZodError
        ? thrown.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
        : messageOf(thrown);
    throw new UsageError(`--prices ${path}: ${why}. It is a table like ctl/fleet/prices.json`);
  }
}

/** Gigabytes for each vCPU of the shapes that families have; those of n1 differ. */
const SHAPES: Record<string, number> = { standard: 4, highmem: 8, highcpu: 1 };
const N1_SHAPES: Record<string, number> = { standard: 3.75, highmem: 6.5, highcpu: 0.9 };
const HOURS_A_MONTH = 730;

/** USD an hour; null for a machine type that the table does not know. */
export function hourlyPrice(
  vm: Pick<Vm, 'machineType' | 'spot' | 'diskGb' | 'accelerators'>,
  prices: Prices,
): number | null {
  const machine = machinePrice(vm.machineType, prices);
  if (machine === null) return null;
  const accelerators = Object.entries(vm.accelerators).reduce(
    (sum, [type, count]) => sum + (prices.acceleratorPerHour[type] ?? 0) * count,
    0,
  );
  const disk = (vm.diskGb * prices.diskPerGbMonth) / HOURS_A_MONTH;
  return (machine + accelerators) * (vm.spot ? prices.spotPart : 1) + disk;
}

function machinePrice(type: string, prices: Prices): number | null {
  const known = prices.perHour[type];
  if (known !== undefined) return known;
  const custom = /^(?:(\w+)-)?custom-(\d+)-(\d+)(?:-ext)?$/.exec(type);
  const named = /^(\w+)-(\w+)-(\d+)$/.exec(type);
  const family = (custom ? (custom[1] ?? 'n1') : named?.[1]) ?? '';
  const cpus = Number(custom?.[2] ?? named?.[3]);
  const perCpu = (family === 'n1' ? N1_SHAPES : SHAPES)[named?.[2] ?? ''];
  const gigabytes = custom ? Number(custom[3]) / 1024 : cpus * (perCpu ?? Number.NaN);
  const [cpuPrice, gbPrice] = [prices.perVcpuHour[family], prices.perGbHour[family]];
  if (cpuPrice === undefined || gbPrice === undefined || Number.isNaN(gigabytes)) return null;
  return cpus * cpuPrice + gigabytes * gbPrice;
}

/** USD for a time; Google counts a minute at least. */
export function costOf(hourly: number | null, ms: number): number | null {
  return hourly === null ? null : (hourly * Math.max(ms, MINUTE)) / (60 * MINUTE);
}

/** `$0.42`; `?` when it is not known. */
export const dollars = (amount: number | null) => (amount === null ? '?' : `$${amount.toFixed(2)}`);
