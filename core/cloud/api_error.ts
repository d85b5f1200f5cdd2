/** What Google's APIs say when they refuse, whichever client heard it. */
import { BorealisError, codeOf, messageOf } from '../errors.ts';

const ENDPOINT_VARIABLES = [
  'STORAGE_EMULATOR_HOST',
  'CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE',
  'CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING',
  'CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER',
];

/** What the server said, and the reason that it named. The REST clients put its whole JSON answer into the message. */
export function answerOf(thrown: unknown): { message: string; reason: string } {
  const text = messageOf(thrown);
  let said = thrown as { message?: unknown; errors?: { reason?: unknown }[] };
  try {
    said = (JSON.parse(text) as { error?: typeof said }).error ?? said;
  } catch {
    // Plain text.
  }
  const [message = ''] = String(said.message ?? text).split('\n');
  return { message, reason: String(said.errors?.[0]?.reason ?? '') };
}

/** The HTTP status of a refusal; undefined when there was no answer. */
export function statusOf(thrown: unknown): number | undefined {
  for (let e = thrown, depth = 0; e && depth < 4; e = (e as Error).cause, depth++) {
    const { code, status } = e as { code?: unknown; status?: unknown };
    for (const n of [code, status].map(Number)) if (Number.isInteger(n) && n >= 400 && n < 600) return n;
    // gRPC codes of the clients that are made from API descriptions.
    const grpc = {
      3: 400,
      5: 404,
      4: 504,
      6: 409,
      7: 403,
      8: 429,
      9: 412,
      10: 409,
      13: 500,
      14: 503,
      16: 401,
    }[Number(code)];
    if (typeof code === 'number' && grpc) return grpc;
  }
  return undefined;
}

export const isNotFound = (thrown: unknown) => statusOf(thrown) === 404;
export const isConflict = (thrown: unknown) => statusOf(thrown) === 412;
export const isAlreadyThere = (thrown: unknown) => statusOf(thrown) === 409;

/** True when the same request may succeed in a moment: the server is busy or failing, or the connection broke. */
export function isPassing(thrown: unknown): boolean {
  const status = statusOf(thrown);
  // Compute says 403 where others say 429. https://cloud.google.com/compute/docs/api/rate-limits
  if (status === 403) return /^(userR|r)ateLimitExceeded$/.test(answerOf(thrown).reason);
  if (status !== undefined) return status === 408 || status === 429 || status >= 500;
  const code = codeOf(thrown) ?? '';
  return (
    /^(ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|EAI_AGAIN|ENETUNREACH|ConnectionRefused|ConnectionClosed|FailedToOpenSocket|UND_ERR_SOCKET)$/.test(
      code,
    ) || /socket|network|connection|closed unexpectedly|timed out/i.test(messageOf(thrown))
  );
}

/** An error for the person who can act, from what a Google client threw. `doing` says what was tried: "list the VMs of ...". */
export function cloudError(
  doing: string,
  thrown: unknown,
  env: Readonly<Record<string, string | undefined>> = process.env,
): BorealisError {
  if (thrown instanceof BorealisError) return thrown;
  if (/^(ECONNREFUSED|ConnectionRefused)$/.test(codeOf(thrown) ?? ''))
    // Google does answer: this is an emulator that is gone.
    return new BorealisError(
      `Cannot ${doing}: nothing answers where this environment points (${pointers(env)}). Does the sandbox run? See: borealisctl sandbox status`,
      { cause: thrown },
    );
  const { message } = answerOf(thrown);
  const advice: Record<number, string> = {
    401: ' Sign in: gcloud auth application-default login',
    403: ' The account needs the permission that is named: ask an owner of the project, or check the scopes of the VM',
  };
  const noKey = /default credentials|Could not load/i.test(message);
  const hint = noKey
    ? ' Sign in: gcloud auth application-default login'
    : (advice[statusOf(thrown) ?? 0] ?? '');
  return new BorealisError(`Cannot ${doing}: ${message}.${hint}`.replace('..', '.'), { cause: thrown });
}

/** The variables that name another endpoint than Google's, as they are set. */
function pointers(env: Readonly<Record<string, string | undefined>>): string {
  const set = ENDPOINT_VARIABLES.filter((name) => env[name]).map((name) => `${name}=${env[name]}`);
  return set.join(', ') || 'Google';
}
