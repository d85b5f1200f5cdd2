/** The metadata server of a VM. https://cloud.google.com/compute/docs/metadata/querying-metadata */
import { z } from 'zod';
import { jitter, SECOND, sleep } from '../wait.ts';

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
    return response.status === 404 ? null : await response.text();
  }

  /** All about this VM in one request; null when this is no VM: no metadata server answers. */
  async instance(): Promise<Instance | null> {
    try {
      const response = await this.#fetch('instance/?recursive=true', AbortSignal.timeout(this.timeoutMs));
      return response.ok ? instanceOf(await response.text()) : null;
    } catch {
      return null;
    }
  }

  async projectId(): Promise<string | null> {
    return await this.get('project/project-id');
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
