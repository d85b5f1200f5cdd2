/** The metadata server of a VM. https://cloud.google.com/compute/docs/metadata/querying-metadata */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { messageOf } from '../errors.ts';
import { type RetryPolicy, retry } from '../retry.ts';
import { jitter, MINUTE, SECOND, sleep } from '../wait.ts';

const instanceSchema = z.looseObject({
  name: z.string(),
  id: z.union([z.number(), z.string()]).transform(String),
  /** projects/NUMBER/zones/ZONE */
  zone: z.string(),
  attributes: z.record(z.string(), z.string()).default({}),
  preempted: z.string().default('FALSE'),
  scheduling: z
    .looseObject({ preemptible: z.string().optional(), provisioningModel: z.string().optional() })
    .default({}),
});

/** What a VM knows of itself. */
export interface Instance {
  name: string;
  id: string;
  /** The zone's own name. */
  zone: string;
  attributes: Record<string, string>;
  preempted: boolean;
  /** It can be preempted at any time. */
  spot: boolean;
}

/** Google closes a hanging request after about this long; asking again is cheap. */
const LONG_POLL_SECS = 60;

const GOOGLES_HOST = 'metadata.google.internal';

/** The server is there, and will answer. */
const BUSY: RetryPolicy = {
  retryable: () => true,
  firstDelayMs: 250,
  longestDelayMs: 5 * SECOND,
  deadlineMs: MINUTE,
};
const NEVER: RetryPolicy = { ...BUSY, retryable: () => false };

/** What the firmware of a machine says of its make. https://cloud.google.com/compute/docs/instances/detect-compute-engine */
function isGoogles(): boolean {
  try {
    return readFileSync('/sys/class/dmi/id/product_name', 'latin1').trim() === 'Google Compute Engine';
  } catch {
    return false;
  }
}

export class MetadataClient {
  readonly #base: string;

  constructor(
    readonly host: string,
    /** How long to look for a server: off Google Cloud the name resolves to nothing, or nobody answers. */
    readonly timeoutMs = 2 * SECOND,
  ) {
    this.#base = `http://${host}/computeMetadata/v1/`;
  }

  /** One value as text; null when it is not set. Throws when the server is away. */
  async get(path: string, signal?: AbortSignal): Promise<string | null> {
    const limit = AbortSignal.timeout(5 * SECOND);
    const response = await this.#fetch(path, signal ? AbortSignal.any([signal, limit]) : limit);
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`the metadata server answered ${response.status}`);
    return await response.text();
  }

  /**
   * All about this VM in one request; null when this is no VM: no metadata server answers. A machine of Google's has one, and
   * waits for it: a worker that does not know that it is on a VM would never delete it. Throws when it does not come.
   */
  async instance(
    insist = this.host === GOOGLES_HOST && isGoogles() ? BUSY : NEVER,
  ): Promise<Instance | null> {
    try {
      return await retry(insist, async () => {
        const response = await this.#fetch('instance/?recursive=true', AbortSignal.timeout(this.timeoutMs));
        if (!response.ok) throw new Error(`it answered ${response.status}`);
        return instanceOf(await response.text());
      });
    } catch (thrown) {
      if (insist === NEVER) return null;
      throw new Error(
        `This is a VM of Google's, and its metadata server does not answer: ${messageOf(thrown)}. To work without it: GCE_METADATA_HOST=127.0.0.1:1`,
      );
    }
  }

  async projectId(): Promise<string | null> {
    return await retry(BUSY, () => this.get('project/project-id'));
  }

  /**
   * Calls `onChange` with the VM's state now and within a second of every change, by one hanging request at a time, until
   * `signal` aborts. When the server is away it is asked again with growing pauses; `onTrouble` hears of it.
   */
  async watch(o: {
    signal: AbortSignal;
    onChange: (instance: Instance) => void;
    onTrouble?: (thrown: unknown) => void;
  }): Promise<void> {
    let etag = '0';
    for (let pause = SECOND; !o.signal.aborted; ) {
      try {
        const path = `instance/?recursive=true&wait_for_change=true&timeout_sec=${LONG_POLL_SECS}&last_etag=${etag}`;
        const limit = AbortSignal.timeout((LONG_POLL_SECS + 15) * SECOND);
        const response = await this.#fetch(path, AbortSignal.any([o.signal, limit]));
        if (!response.ok) throw new Error(`the metadata server answered ${response.status}`);
        const now = instanceOf(await response.text());
        etag = response.headers.get('etag') ?? '0';
        o.onChange(now);
        pause = SECOND;
      } catch (thrown) {
        if (o.signal.aborted) return;
        o.onTrouble?.(thrown);
        await sleep(jitter(pause), o.signal);
        pause = Math.min(pause * 2, 30 * SECOND);
      }
    }
  }

  #fetch(path: string, signal: AbortSignal): Promise<Response> {
    return fetch(this.#base + path, { headers: { 'Metadata-Flavor': 'Google' }, signal, redirect: 'error' });
  }
}

function instanceOf(text: string): Instance {
  const raw = instanceSchema.parse(JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown));
  return {
    name: raw.name,
    id: raw.id,
    zone: raw.zone.split('/').at(-1) ?? '',
    attributes: raw.attributes,
    preempted: raw.preempted === 'TRUE',
    spot: raw.scheduling.preemptible === 'TRUE' || raw.scheduling.provisioningModel === 'SPOT',
  };
}

/** A VM's id has 19 digits, more than a number keeps: such are left as text. */
function keepDigits(_: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(source ?? '')
    ? source
    : value;
}
