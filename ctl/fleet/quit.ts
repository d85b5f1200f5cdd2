import { defineCommand } from 'citty';
import { asJson, dryRun, place, prefix, range } from './flags.ts';
import { actOn, openFleet, targets } from './fleet.ts';

/** A command that sets `quit` in the metadata of VMs: their workers see it within a second. */
export function quitCommand(name: string, quit: 'soon' | 'when-idle', description: string) {
  return defineCommand({
    meta: { name, description },
    args: { ...prefix, ...range, ...dryRun, ...place, ...asJson },
    async run({ args: flags }) {
      const fleet = openFleet(flags);
      const vms = await targets(fleet, flags);
      const words = { doing: `Setting quit=${quit} on`, done: `Set quit=${quit} on` };
      return await actOn(fleet, vms, words, flags.json ?? false, (compute, list, onDone) =>
        compute.setMetadata(list, { quit }, onDone),
      );
    },
  });
}
