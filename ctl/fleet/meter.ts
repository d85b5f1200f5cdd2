/** How long VMs of a fleet have run, and about what that cost: seen from outside, by looking now and then. */
import type { Vm } from '../../core/cloud/compute.ts';
import { sleep } from '../../core/wait.ts';
import { costOf, hourlyPrice, type Prices } from './prices.ts';

interface Seen {
  vm: Vm;
  from: number;
  to: number;
}

export interface Usage {
  vms: number;
  vmHours: number;
  /** USD; null when the price of one is not known. */
  cost: number | null;
}

export class Meter {
  readonly #seen = new Map<string, Seen>();

  constructor(
    /** What was before does not count. */
    readonly start: Date,
  ) {}

  /** The VMs that are there at `at`. One of the same name that was made later is another one. */
  saw(vms: readonly Vm[], at: Date): void {
    for (const vm of vms) {
      const key = `${vm.name} ${vm.created?.getTime()}`;
      const from = Math.max(this.start.getTime(), vm.created?.getTime() ?? 0);
      this.#seen.set(key, { vm, from, to: Math.max(from, at.getTime()) });
    }
  }

  usage(prices: Prices): Usage {
    const all = [...this.#seen.values()];
    const ms = all.reduce((sum, { from, to }) => sum + to - from, 0);
    const costs = all.map(({ vm, from, to }) => costOf(hourlyPrice(vm, prices), to - from));
    const known = costs.filter((cost) => cost !== null);
    return {
      vms: all.length,
      vmHours: ms / 3_600_000,
      cost: known.length < costs.length ? null : known.reduce((sum, cost) => sum + cost, 0),
    };
  }

  /** Looks every `everyMs` until `signal` aborts, and once more at the end. A look that fails is made up for by the next. */
  async run(list: () => Promise<Vm[]>, everyMs: number, signal: AbortSignal): Promise<void> {
    const look = async () => this.saw(await list(), new Date());
    do await look().catch(() => {});
    while (await sleep(everyMs, signal));
    await look().catch(() => {});
  }
}
