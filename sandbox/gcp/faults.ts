/** Failures that a test asks for: the next calls of a service fail in a given way. */

export interface Fault {
  service: 'compute' | 'storage' | 'logging' | 'metadata';
  /** Only calls whose method and path contain this. */
  match?: string;
  /** How many calls; 1 when left out. */
  times?: number;
  /** The HTTP status of the answer. */
  status?: number;
  /** Compute only: the operation fails with this code, as QUOTA_EXCEEDED or ZONE_RESOURCE_POOL_EXHAUSTED. */
  operationError?: string;
  /** Cut the connection in the middle of the answer's body. */
  cut?: boolean;
  delayMs?: number;
}

export class Faults {
  readonly #open: (Fault & { left: number })[] = [];

  add(fault: Fault): void {
    this.#open.push({ ...fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#open.length = 0;
  }

  /** Takes the fault that applies to a call, if there is one. `operation` asks for those that fail in an operation. */
  take(service: Fault['service'], call: string, operation = false): Fault | null {
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

/** What compute's operations say for the codes that people meet. */
export function operationMessage(code: string, zone: string): string {
  if (code === 'QUOTA_EXCEEDED') return "Quota 'CPUS' exceeded. Limit: 24.0 in region us-west1.";
  if (code === 'ZONE_RESOURCE_POOL_EXHAUSTED') {
    return `The zone 'projects/sandbox/zones/${zone}' does not have enough resources available to fulfill the request. Try a different zone, or try again later.`;
  }
  return code;
}
