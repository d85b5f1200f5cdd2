/**
 * Errors that speak to the person who can act. Everything else that is thrown is a bug and shows its stack.
 *
 * Exit codes are the command-line contract: 0 done, 1 failed, 2 bad usage.
 */

/** A failure whose message names what went wrong and how to mend it. Exit code 1. */
export class BorealisError extends Error {
  override readonly name: string = 'BorealisError';
  readonly exitCode: number = 1;
}

/** Bad flags, settings or files: nothing was done. Exit code 2. */
export class UsageError extends BorealisError {
  override readonly name = 'UsageError';
  override readonly exitCode = 2;
}

/** The text of anything that was thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system error code (`ENOENT`, `ECONNREFUSED`...) of what was thrown or of one of its causes. */
export function codeOf(thrown: unknown): string | undefined {
  for (let e = thrown, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    const code = (e as { code?: unknown }).code;
    if (typeof code === 'string') return code;
  }
  return undefined;
}
