/** Cloud Logging: lines go in batches, from a bounded queue; the worker never waits for them. */
import type { LogLine, Severity, Sink } from '../log.ts';
import { SECOND, sleep } from '../wait.ts';
import { statusOf } from './api_error.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';

export interface CloudLog {
  sink: Sink;
  /** Sends what is queued, at once, for at most `deadlineMs`. */
  flush(deadlineMs: number): Promise<void>;
  /** How many lines were dropped because the queue was full or Logging refused them. */
  dropped(): number;
}

export interface CloudLogOptions {
  project: string;
  endpoints: Endpoints;
  /** `projects/P/logs/NAME`. */
  logName?: string;
  /** The VM, as Logging knows it. */
  instance: { id: string; zone: string };
  minSeverity: Severity;
  labels?: Record<string, string>;
  /** Lines that may wait; the oldest go first when Logging is slow or away. */
  mostQueued?: number;
  sleep?: typeof sleep;
}

const RANK: Record<Severity, number> = { DEBUG: 100, INFO: 200, WARNING: 400, ERROR: 500 };
const MOST_QUEUED = 20_000;
const MOST_QUEUED_CHARS = 10_000_000;
/** Of one request; Logging takes 10 MB. */
const BATCH = 500;
const BATCH_CHARS = 1_000_000;
/** Logging refuses entries of more than 256 KB. https://cloud.google.com/logging/quotas */
const LONGEST_LINE = 100_000;
const EVERY_MS = SECOND;

/** A line that waits to be sent. */
interface Queued {
  entry: object;
  chars: number;
}

/** The part of the client that is used; its own types do not name it from outside the package. */
interface Client {
  writeLogEntries(request: {
    logName: string;
    resource: object;
    entries: object[];
    partialSuccess: boolean;
  }): Promise<unknown>;
}

/** A sink for Cloud Logging. Nothing is loaded or sent until the first line. */
export function cloudLog(o: CloudLogOptions): CloudLog {
  const { mostQueued = MOST_QUEUED, sleep: pause = sleep } = o;
  const queue: Queued[] = [];
  let queuedChars = 0;
  let droppedLines = 0;
  let sending: Promise<void> | null = null;
  let hurry = new AbortController();
  let client: Client | null = null;
  const logName = `projects/${o.project}/logs/${o.logName ?? 'fireworker'}`;
  const resource = {
    type: 'gce_instance',
    labels: { project_id: o.project, instance_id: o.instance.id, zone: o.instance.zone },
  };
  // A batch that is sent again, because the answer was lost, is there once; and lines of one millisecond keep their order.
  const run = crypto.randomUUID().slice(0, 8);
  let lines = 0;

  const take = (): Queued | undefined => {
    const first = queue.shift();
    queuedChars -= first?.chars ?? 0;
    return first;
  };

  function nextBatch(most: number): Queued[] {
    const batch: Queued[] = [];
    for (let chars = 0; batch.length < most && queue[0]; ) {
      chars += queue[0].chars;
      if (batch.length > 0 && chars > BATCH_CHARS) break;
      batch.push(take() as Queued);
    }
    return batch;
  }

  function putBack(batch: readonly Queued[]): void {
    queue.unshift(...batch);
    for (const { chars } of batch) queuedChars += chars;
  }

  async function send(): Promise<void> {
    if (!client) {
      const { v2 } = await import('@google-cloud/logging');
      client = new v2.LoggingServiceV2Client(await clientOptions(o.endpoints.logging, o.project)) as Client;
    }
    for (let batch: Queued[] = [], most = BATCH, delay = SECOND; ; ) {
      // Out of the queue while it is under way, so that a full queue drops what waits, not what is being sent.
      if (batch.length === 0) batch = nextBatch(most);
      if (batch.length === 0) return;
      try {
        const entries = batch.map(({ entry }) => entry);
        await client.writeLogEntries({ logName, resource, entries, partialSuccess: true });
        [batch, most, delay] = [[], Math.min(most * 2, BATCH), SECOND];
      } catch (thrown) {
        if (statusOf(thrown) !== 400) {
          await pause(delay, hurry.signal);
          delay = Math.min(delay * 2, 30 * SECOND);
        } else {
          // A line in it is refused: it is sought by halves, and dropped alone.
          if (batch.length === 1) droppedLines++;
          else putBack(batch);
          most = Math.ceil(batch.length / 2);
          batch = [];
        }
      }
    }
  }

  const start = () => {
    sending ??= pause(EVERY_MS, hurry.signal)
      .then(send)
      .catch(() => {
        // No credentials, or no such library: the console has the lines all the same.
        droppedLines += queue.splice(0).length;
        queuedChars = 0;
      })
      .finally(() => {
        sending = null;
      });
    return sending;
  };

  return {
    sink(line) {
      if (RANK[line.severity] < RANK[o.minSeverity]) return;
      const insertId = `${run}-${String(lines++).padStart(12, '0')}`;
      const entry = { insertId, ...entryOf(line, o.labels) };
      const chars = 200 + JSON.stringify(entry).length;
      queue.push({ entry, chars });
      queuedChars += chars;
      while (queue.length > mostQueued || queuedChars > MOST_QUEUED_CHARS) {
        take();
        droppedLines++;
      }
      void start();
    },
    async flush(deadlineMs) {
      const end = new AbortController();
      // Whoever pauses goes on now.
      hurry.abort();
      hurry = new AbortController();
      const all = (async () => {
        while (queue.length > 0 || sending) await (sending ?? start());
      })();
      await Promise.race([all, sleep(deadlineMs, end.signal)]);
      end.abort();
    },
    dropped: () => droppedLines,
  };
}

function entryOf(line: LogLine, labels: Record<string, string> = {}): object {
  const ms = line.at.getTime();
  const texts = Object.entries(line.labels).map(([key, value]) => [key, String(value)]);
  const message =
    line.message.length > LONGEST_LINE
      ? `${line.message.slice(0, LONGEST_LINE)} [... ${line.message.length - LONGEST_LINE} more characters]`
      : line.message;
  const entry = {
    severity: RANK[line.severity],
    timestamp: { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 },
    labels: { ...labels, ...Object.fromEntries(texts) },
  };
  if (!line.data) return { ...entry, textPayload: message };
  return { ...entry, jsonPayload: struct({ message, ...line.data }) };
}

/** A JSON value as protobuf's Struct, which the client wants. */
function struct(value: Record<string, unknown>): { fields: Record<string, unknown> } {
  return {
    fields: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, protoValue(inner)])),
  };
}

function protoValue(value: unknown): unknown {
  if (value === null || value === undefined) return { nullValue: 'NULL_VALUE' };
  if (typeof value === 'number' && Number.isFinite(value)) return { numberValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (value instanceof Date) return { stringValue: value.toISOString() };
  if (Array.isArray(value)) return { listValue: { values: value.map(protoValue) } };
  if (typeof value === 'object') return { structValue: struct(value as Record<string, unknown>) };
  return { stringValue: String(value) };
}
