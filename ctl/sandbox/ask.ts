/** Requests to a running sandbox's own doors. */
import { BorealisError, messageOf } from '../../core/errors.ts';
import type { SandboxRecord } from '../../sandbox/sandbox.ts';

/** Sends one request with the sandbox's token. Throws BorealisError when it is refused or nobody answers. */
export async function askSandbox(record: SandboxRecord, method: string, path: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${record.gcpPort}${path}`, {
      method,
      headers: { 'x-sandbox-token': record.token },
    });
  } catch (thrown) {
    throw new BorealisError(
      `The sandbox (process ${record.pid}) does not answer: ${messageOf(thrown)}. Restart it: borealisctl sandbox down`,
      { cause: thrown },
    );
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try {
    message = (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    // Not Google's shape: the text itself is the message.
  }
  throw new BorealisError(`The sandbox refused ${method} ${path}: ${message}`);
}
