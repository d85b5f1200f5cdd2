/** What the file of an `lpad` command exports. */
import type { Args, LpadFlag, LpadWord } from './arguments.ts';
import type { Session } from './session.ts';

export interface LpadCommand {
  summary: string;
  /** Whole command lines, at least two. */
  examples: readonly string[];
  flags: readonly LpadFlag[];
  words?: readonly LpadWord[];
  /** Returns the exit code; nothing means 0. */
  run(args: Args, session: Session): Promise<number | undefined>;
}
