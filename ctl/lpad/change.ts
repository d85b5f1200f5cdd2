/** Commands that do one thing to each Firework, or each workflow, that was selected. */
import type { LaunchPad } from '../../core/launchpad/index.ts';
import { printJson } from '../output.ts';
import type { Args, LpadFlag } from './arguments.ts';
import type { LpadCommand } from './command.ts';
import { consentFlags, launchesModeFlag, selectionFlags } from './flags.ts';
import { selectedFireworks, selectedWorkflows, selects } from './select.ts';
import type { Session } from './session.ts';

export interface Change {
  summary: string;
  examples: readonly string[];
  /** `pause`, for the question. */
  verb: string;
  /** `pausing`, for what is said at the end. */
  doing: string;
  flags?: readonly LpadFlag[];
  /** Ask even for few when nothing was selected: everything would be gone. */
  cautious?: boolean;
  /** Those that are meant, when it is not simply those selected. */
  select?: (launchpad: LaunchPad, args: Args) => Promise<number[]>;
  /** Throws when the flags and the selection do not fit each other. */
  check?: (args: Args, ids: readonly number[]) => void;
  /**
   * Does it to the Firework, or to the workflow of the Firework; `at` is its place in the selection. Returns why it could
   * not be done, or nothing.
   */
  act: (launchpad: LaunchPad, fwId: number, args: Args, at: number) => Promise<string | undefined>;
  /** Said at the end. */
  remark?: (args: Args) => string | undefined;
}

export const changeFireworks = (change: Change): LpadCommand => command(change, 'FWs', 'Firework');
export const changeWorkflows = (change: Change): LpadCommand => command(change, 'WFs', 'workflow');

/**
 * A crash or an error half-way leaves the entries before it changed and the others as they were: each is changed by itself,
 * and doing it again is harmless.
 */
function command(change: Change, plural: 'FWs' | 'WFs', noun: string): LpadCommand {
  const ofFireworks = plural === 'FWs';
  const select = change.select ?? (ofFireworks ? selectedFireworks : selectedWorkflows);
  return {
    summary: change.summary,
    examples: change.examples,
    flags: [
      ...selectionFlags(),
      ...(ofFireworks ? [launchesModeFlag] : []),
      ...(change.flags ?? []),
      ...consentFlags,
    ],
    async run(args, session) {
      const launchpad = await session.launchpad();
      const ids = await select(launchpad, args);
      change.check?.(args, ids);
      const nouns = `${ids.length} ${noun}${ids.length === 1 ? '' : 's'}`;
      const everything = change.cautious === true && !selects(args);
      await session.confirm(ids.length, `${change.verb} ${nouns}`, args, everything);
      const refused = await actOn(ids, (id, at) => change.act(launchpad, id, args, at), session);
      session.log('INFO', `Finished ${change.doing} ${ids.length - refused.size} ${plural}`);
      const remark = change.remark?.(args);
      if (remark) session.log('INFO', remark);
      if (session.json) {
        const why = [...refused].map(([fw_id, reason]) => ({ fw_id, why: reason }));
        printJson({ fw_ids: ids.filter((id) => !refused.has(id)), refused: why });
      }
      // Somebody who named it wants to know that it was not done; a query takes what it finds.
      return refused.size > 0 && args.ids('fw_id') ? 1 : 0;
    },
  };
}

/** Acts on each id and says why some could not be changed; returns these with the reason. */
async function actOn(
  ids: readonly number[],
  act: (id: number, at: number) => Promise<string | undefined>,
  session: Session,
): Promise<Map<number, string>> {
  const refused = new Map<number, string>();
  for (const [at, id] of ids.entries()) {
    const why = await act(id, at);
    if (why) {
      refused.set(id, why);
      session.log('ERROR', why);
    } else session.log('DEBUG', `Processed fw_id: ${id}`);
  }
  return refused;
}
