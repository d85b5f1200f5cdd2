/** How much work a LaunchPad has for a fleet. */
import type { VmPlace } from '../../core/cloud/compute.ts';
import { LaunchPad, type LaunchPadSettings } from '../../core/launchpad/index.ts';
import type { Demand } from './fit.ts';

/** What Fireworks without a category are asked for by, as FireWorks' own workers do. */
const NONE = '__none__';

/** Counts of Fireworks of these categories (all when there are none), and how many run on the VMs. */
export async function demandOf(
  settings: LaunchPadSettings,
  categories: readonly string[],
  vms: readonly VmPlace[],
): Promise<{ demand: Demand; flying: number }> {
  await using launchpad = await LaunchPad.open(settings, {
    appName: 'borealisctl scale',
    serverSelectionTimeoutMs: 10_000,
  });
  const named = categories.filter((one) => one !== NONE);
  const some = [
    ...(named.length > 0 ? [{ 'spec._category': { $in: named } }] : []),
    ...(categories.includes(NONE) ? [{ 'spec._category': { $exists: false } }] : []),
  ];
  const count = (state: string) =>
    launchpad.fireworks.countDocuments({ state, ...(some.length > 0 && { $or: some }) });
  const [ready, waiting, flying] = await Promise.all([
    count('READY'),
    count('WAITING'),
    launchpad.launches.countDocuments({
      'fworker.name': { $in: vms.map(({ name }) => name) },
      state: 'RUNNING',
    }),
  ]);
  return { demand: { ready, waiting }, flying };
}
