/** Failures that a test asks for: the next calls of a service fail in a given way. */
import { badRequest, errorAnswer, rpcErrorAnswer } from './http.ts';

export interface Fault {
  service: 'compute' | 'storage' | 'logging' | 'secrets' | 'metadata';
  /** Only calls whose method and path (`GET /storage/v1/b/x`; with operationError: `insert NAME`) contain this. */
  match?: string;
  /** How many calls; 1 when left out. */
  times?: number;
  /** The HTTP status of the answer: the call is refused, nothing is done. */
  status?: number;
  /** Of that answer, when it is another than the usual one: rateLimitExceeded with 403, as Compute says. */
  reason?: string;
  /** Compute only: the operation fails with this code, as QUOTA_EXCEEDED or ZONE_RESOURCE_POOL_EXHAUSTED. */
  operationError?: string;
  /** The call is obeyed, and the connection breaks in the middle of the answer's body. */
  cut?: boolean;
  /** The call is obeyed, and one byte of the answer's body is another. */
  corrupt?: boolean;
  /** A pause before the call is looked at. */
  delayMs?: number;
}

/** What a fault may hold: service first, then fields with their types. */
const FIELDS: Record<string, string> = {
  service: 'string',
  match: 'string',
  times: 'number',
  status: 'number',
  reason: 'string',
  operationError: 'string',
  cut: 'boolean',
  corrupt: 'boolean',
  delayMs: 'number',
};

/** A fault as it comes by HTTP. Throws ApiError 400 for one that would never happen. */
export function faultOf(body: Record<string, unknown>): Fault {
  for (const [key, value] of Object.entries(body))
    if (FIELDS[key] === undefined || typeof value !== FIELDS[key])
      throw badRequest(`A fault has no such ${key}: ${JSON.stringify(value)}`);
  if (!['compute', 'storage', 'logging', 'secrets', 'metadata'].includes(String(body.service)))
    throw badRequest('A fault needs a service: compute, storage, logging, secrets or metadata');
  return body as unknown as Fault;
}

export class Faults {
  readonly #open: (Fault & { left: number })[] = [];

  add(fault: Fault): void {
    this.#open.push({ ...fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#open.length = 0;
  }

  /** Answers a `call` (its method and path), or spoils the answer as somebody asked. */
  async around(service: Fault['service'], call: string, answer: () => Promise<Response>): Promise<Response> {
    const fault = this.#take(service, call, false);
    if (!fault) return await answer();
    if (fault.delayMs) await Bun.sleep(fault.delayMs);
    if (fault.status) return refusal(service, fault.status, fault.reason);
    const response = await answer();
    return fault.cut ? cutShort(response) : fault.corrupt ? await corrupted(response) : response;
  }

  /** The code with which an operation fails, if somebody asked for it. */
  operationError(call: string): string | undefined {
    return this.#take('compute', call, true)?.operationError;
  }

  #take(service: Fault['service'], call: string, operation: boolean): Fault | null {
    const fault = this.#open.find(
      (one) =>
        one.service === service &&
        one.left > 0 &&
        call.includes(one.match ?? '') &&
        (one.operationError !== undefined) === operation,
    );
    if (!fault) return null;
    fault.left--;
    return fault;
  }
}

function refusal(service: Fault['service'], status: number, reason?: string): Response {
  const message = 'A fault that was asked for';
  if (service === 'logging') return rpcErrorAnswer(status, message);
  const usual: Record<number, string> = { 401: 'authError', 403: 'forbidden', 429: 'rateLimitExceeded' };
  return errorAnswer(status, reason ?? usual[status] ?? 'backendError', message);
}

/** The first half of a body, then an error: what a client sees when a connection breaks. */
function cutShort(response: Response): Response {
  const body = new ReadableStream({
    async start(controller) {
      const bytes = new Uint8Array(await response.arrayBuffer());
      controller.enqueue(bytes.subarray(0, bytes.length / 2));
      // Without a reason, for Bun prints those.
      controller.error();
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

async function corrupted(response: Response): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  bytes.set([(bytes[0] ?? 0) ^ 1], 0);
  return new Response(bytes, { status: response.status, headers: response.headers });
}

/** What Compute's operations say for the codes that people meet, and the HTTP status that goes with them. */
export function operationFailure(code: string, zone: string): { message: string; status: number } {
  if (code === 'QUOTA_EXCEEDED')
    return { message: "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-west1.", status: 403 };
  if (code.startsWith('ZONE_RESOURCE_POOL_EXHAUSTED'))
    return {
      message: `The zone 'projects/sandbox/zones/${zone}' does not have enough resources available to fulfill the request.  Try a different zone, or try again later.`,
      status: 503,
    };
  return { message: code, status: 400 };
}
