/** Commands that do one thing to each Firework, or each workflow, that was selected. */
import type { LaunchPad } from '../../core/launchpad/index.ts';
import type { Args, LpadFlag } from './arguments.ts';
import type { LpadCommand } from './command.ts';
import { launchesModeFlag, passwordFlag, selectionFlags } from './flags.ts';
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
  /** Does it to the Firework, or to the workflow of the Firework. Returns why it could not be done, or nothing. */
  act: (launchpad: LaunchPad, fwId: number, args: Args) => Promise<string | undefined>;
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
  return {
    summary: change.summary,
    examples: change.examples,
    flags: [
      ...selectionFlags(),
      ...(ofFireworks ? [launchesModeFlag] : []),
      ...(change.flags ?? []),
      passwordFlag,
    ],
    async run(args, session) {
      const launchpad = await session.launchpad();
      const ids = await (ofFireworks ? selectedFireworks : selectedWorkflows)(launchpad, args);
      const nouns = `${ids.length} ${noun}${ids.length === 1 ? '' : 's'}`;
      const everything = change.cautious === true && !selects(args);
      await session.confirm(ids.length, `${change.verb} ${nouns}`, args.text('password'), everything);
      const refused = await actOn(ids, (id) => change.act(launchpad, id, args), session);
      session.log('INFO', `Finished ${change.doing} ${ids.length - refused} ${plural}`);
      const remark = change.remark?.(args);
      if (remark) session.log('INFO', remark);
      // Somebody who named it wants to know that it was not done; a query takes what it finds.
      return refused > 0 && args.ids('fw_id') ? 1 : 0;
    },
  };
}

/** Acts on each id and says why some could not be changed; returns how many. */
async function actOn(
  ids: readonly number[],
  act: (id: number) => Promise<string | undefined>,
  session: Session,
): Promise<number> {
  let refused = 0;
  for (const id of ids) {
    const why = await act(id);
    if (why) {
      refused++;
      session.log('ERROR', why);
    } else session.log('DEBUG', `Processed fw_id: ${id}`);
  }
  return refused;
}
