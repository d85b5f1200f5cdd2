/** What the end of a container means, and what to do about it. Pure. */
import { constants } from 'node:os';
import type { Ended } from './container.ts';
import { shownSize } from './memory.ts';

export interface Verdict {
  message: string;
  /** It would not have happened with more memory. */
  outOfMemory: boolean;
}

const MEANING: Record<number, string> = {
  125: 'the Docker Engine could not run it',
  126: 'the command cannot be executed: is it a program, and for this kind of machine?',
  127: 'the command was not found in the image',
  134: 'SIGABRT: it gave up by itself, as after a failed assertion',
  139: 'SIGSEGV: it reached for memory that is not its own, which is a bug in it or in a library',
  143: 'SIGTERM: it was asked to end, not by this worker',
};

const MORE_MEMORY =
  'use VMs with more memory (-o machine-type=..., or -o custom-memory=... -o custom-cpu=...), or make the task need less; then rerun it: lpad rerun_fws -i FW_ID';

/** Null for a success. `memoryBytes` is the limit that the container had. */
export function verdictOf(ended: Ended, memoryBytes: number | undefined): Verdict | null {
  const { exitCode, outOfMemory, removed, peakMemoryBytes } = ended;
  if (exitCode === 0 && !removed) return null;
  const say = (why: string) => ({
    message: `Docker process exit code ${exitCode ?? 'unknown'}${why && ` (${why})`}`,
    outOfMemory,
  });
  if (removed) return say('the container was removed by somebody else while it ran');
  if (outOfMemory) {
    const peak = peakMemoryBytes === null ? '' : `, it had ${shownSize(peakMemoryBytes)}`;
    return say(
      memoryBytes
        ? `out of memory: it had all of its ${shownSize(memoryBytes)}. Raise \`memory\`, or let it be doubled: \`retry_on_oom: 1\`. Where the VM has no more, ${MORE_MEMORY}`
        : `out of memory${peak}: ${MORE_MEMORY}`,
    );
  }
  if (exitCode === null) return say('the Docker Engine was restarted while it ran, and ended it');
  if (exitCode === 137)
    return say(`SIGKILL: somebody killed it, or the whole VM was out of memory: then ${MORE_MEMORY}`);
  return say(MEANING[exitCode] ?? signalOf(exitCode));
}

/** A shell's way to tell of a death by signal. */
function signalOf(exitCode: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0] ?? '';
}
