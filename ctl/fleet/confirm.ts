import { UsageError } from '../../core/errors.ts';
import { note } from '../output.ts';
import { ask, stopAsking } from '../prompt.ts';

/**
 * Asks whether the user means it; --yes is the answer before the question. `what` says what is going to happen, as in "down
 * deletes demo-0". Returns false, after a line that says so, when the answer is no. Throws UsageError where nobody can be asked.
 */
export async function confirm(yes: boolean | undefined, what: string, question: string): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) throw new UsageError(`${what}: say that you mean it with --yes`);
  const answer = await ask(`${question} (y/N) `);
  stopAsking();
  if (/^y/i.test(answer.trim())) return true;
  note('Nothing was done');
  return false;
}
