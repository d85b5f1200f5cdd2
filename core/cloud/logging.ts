/** Cloud Logging: lines go in batches, from a bounded queue; the worker never waits for them. */
import type { LogLine, Severity, Sink } from '../log.ts';
import { SECOND, sleep } from '../wait.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';

export interface CloudLog {
  sink: Sink;
  /** Sends what is queued, for at most `deadlineMs`. */
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
}

const RANK: Record<Severity, number> = { DEBUG: 100, INFO: 200, WARNING: 400, ERROR: 500 };
/** About 10 MB of lines at most; the oldest go first when Logging is slow or away. */
const MOST_QUEUED = 20_000;
const BATCH = 500;
const EVERY_MS = SECOND;

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
  const queue: object[] = [];
  let droppedLines = 0;
  let sending: Promise<void> | null = null;
  let client: Client | null = null;
  const logName = `projects/${o.project}/logs/${o.logName ?? 'fireworker'}`;
  const resource = {
    type: 'gce_instance',
    labels: { project_id: o.project, instance_id: o.instance.id, zone: o.instance.zone },
  };

  async function send(): Promise<void> {
    if (!client) {
      const { v2 } = await import('@google-cloud/logging');
      client = new v2.LoggingServiceV2Client(await clientOptions(o.endpoints.logging, o.project)) as Client;
    }
    for (let pause = SECOND; queue.length > 0; ) {
      const entries = queue.slice(0, BATCH);
      try {
        await client.writeLogEntries({ logName, resource, entries, partialSuccess: true });
        queue.splice(0, entries.length);
        pause = SECOND;
      } catch {
        await sleep(pause);
        pause = Math.min(pause * 2, 30 * SECOND);
      }
    }
  }

  const start = () => {
    sending ??= sleep(EVERY_MS)
      .then(send)
      .catch(() => {
        // No credentials, or no such library: the console has the lines all the same.
        droppedLines += queue.splice(0).length;
      })
      .finally(() => {
        sending = null;
      });
    return sending;
  };

  return {
    sink(line) {
      if (RANK[line.severity] < RANK[o.minSeverity]) return;
      queue.push(entryOf(line, o.labels));
      if (queue.length > MOST_QUEUED) {
        queue.shift();
        droppedLines++;
      }
      void start();
    },
    async flush(deadlineMs) {
      const end = new AbortController();
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
  const entry = {
    severity: RANK[line.severity],
    timestamp: { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 },
    labels: { ...labels, ...Object.fromEntries(texts) },
  };
  if (!line.data) return { ...entry, textPayload: line.message };
  return { ...entry, jsonPayload: struct({ message: line.message, ...line.data }) };
}

/** A JSON value as protobuf's Struct, which the client wants. */
function struct(value: Record<string, unknown>): { fields: Record<string, unknown> } {
  return {
    fields: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, protoValue(inner)])),
  };
}

function protoValue(value: unknown): unknown {
  if (value === null || value === undefined) return { nullValue: 'NULL_VALUE' };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(protoValue) } };
  if (typeof value === 'object') return { structValue: struct(value as Record<string, unknown>) };
  return { stringValue: String(value) };
}
