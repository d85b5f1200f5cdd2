/** Cloud Logging: lines go in batches, from a bounded queue; the worker never waits for them. */
import { BorealisError } from '../errors.ts';
import { type LogLine, plainData, type Severity, type Sink } from '../log.ts';
import { SECOND, sleep } from '../wait.ts';
import { answerOf, statusOf } from './api_error.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';
import { LogQueue, type Waiting } from './log_queue.ts';

export interface CloudLog {
  sink: Sink;
  /** Sends what is queued, at once, for at most `deadlineMs`. */
  flush(deadlineMs: number): Promise<void>;
  /** How many lines were dropped because the queue was full or Logging refused them. */
  dropped(): number;
}

/** What a line comes from, as Logging knows it. https://cloud.google.com/monitoring/api/resources */
export interface LogResource {
  type: string;
  labels: Record<string, string>;
}

export interface CloudLogOptions {
  project: string;
  endpoints: Endpoints;
  /** `projects/P/logs/NAME`. */
  logName?: string;
  resource: LogResource;
  minSeverity: Severity;
  labels?: Record<string, string>;
  /** Told when Logging does not take lines, when it does again, and what was lost: for the console. */
  tell?: (severity: Severity, message: string) => void;
  /** Lines that may wait; the oldest go first when Logging is slow or away. */
  mostQueued?: number;
  /** How long one request may take. */
  requestMs?: number;
  sleep?: typeof sleep;
}

const RANK: Record<Severity, number> = { DEBUG: 100, INFO: 200, WARNING: 400, ERROR: 500 };
const MOST_QUEUED = 20_000;
const MOST_QUEUED_CHARS = 10_000_000;
/** Of one request; Logging takes 10 MB. */
const BATCH = 500;
const BATCH_CHARS = 1_000_000;
/** Logging refuses entries of more than 256 KB; a character takes up to three bytes. https://cloud.google.com/logging/quotas */
const LONGEST_LINE = 64 * 1024;
const LONGEST_LABEL = 1000;
const EVERY_MS = SECOND;
const REQUEST_MS = 20 * SECOND;
/** A flood that Logging cannot follow is told of on the console no oftener than this. */
const TELL_DROPS_MS = 10 * SECOND;
/** One failure is no news: an outage is told of at the third in a row, after about 3 s. */
const FAILURES_TOLD = 3;

/** The part of the client that is used; its own types do not name it from outside the package. */
interface Client {
  initialize(): Promise<unknown>;
  writeLogEntries(
    request: { logName: string; resource: LogResource; entries: object[]; partialSuccess: boolean },
    options: object,
  ): Promise<unknown> & { cancel?(): void };
}

/** A sink for Cloud Logging. Nothing is loaded or sent until the first line. */
export function cloudLog(o: CloudLogOptions): CloudLog {
  const { tell = () => {}, sleep: pause = sleep } = o;
  const queue = new LogQueue(o.mostQueued ?? MOST_QUEUED, MOST_QUEUED_CHARS);
  /** Out of the queue while it is under way, so that a full queue drops what waits, not what is being sent. */
  let batch: Waiting[] = [];
  let dropped = 0;
  /** Of them, what the log does not say yet, and what the console does not. */
  let unmarked = 0;
  let untold = 0;
  let toldDropsAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let sending: Promise<void> | null = null;
  let hurry = new AbortController();
  let client: Client | null = null;
  let lines = 0;
  // A batch that is sent again, because the answer was lost, is there once; and lines of one millisecond keep their order.
  const run = crypto.randomUUID().slice(0, 8);
  const idOf = (number: number) =>
    `${run}-${String(Math.floor(number)).padStart(12, '0')}${Number.isInteger(number) ? '' : '-dropped'}`;

  function drop(count: number): void {
    dropped += count;
    unmarked += count;
    untold += count;
  }

  async function write(): Promise<void> {
    client ??= await openClient(o);
    const requestMs = o.requestMs ?? REQUEST_MS;
    const request = {
      logName: `projects/${o.project}/logs/${o.logName ?? 'fireworker'}`,
      resource: o.resource,
      entries: batch.map(({ line, number }) => ({ insertId: idOf(number), ...entryOf(line, o.labels) })),
      partialSuccess: true,
    };
    // Left to itself the library tries for ten minutes, and nobody learns of it.
    const writing = client.writeLogEntries(request, { timeout: requestMs, retry: { retryCodes: [] } });
    const answered = new AbortController();
    // By HTTP it does not heed its own limit.
    const late = sleep(requestMs, answered.signal).then((passed) => {
      if (passed) writing.cancel?.();
      if (passed) throw new BorealisError(`no answer within ${requestMs / SECOND} s`);
    });
    await Promise.race([writing, late]).finally(() => answered.abort());
  }

  async function send(): Promise<void> {
    for (let most = BATCH, delay = SECOND; ; ) {
      if (batch.length === 0) {
        markDrops();
        batch = queue.take(most, BATCH_CHARS);
        if (batch.length === 0 || performance.now() - toldDropsAt > TELL_DROPS_MS) tellDrops();
      }
      if (batch.length === 0) return;
      try {
        await write();
        [batch, most, delay] = [[], Math.min(most * 2, BATCH), SECOND];
        if (failures >= FAILURES_TOLD) tell('INFO', 'Cloud Logging takes lines again');
        failures = 0;
      } catch (thrown) {
        if (statusOf(thrown) !== 400) {
          if (++failures === FAILURES_TOLD) tell('WARNING', awayNotice(thrown));
          await pause(delay, hurry.signal);
          delay = Math.min(delay * 2, 30 * SECOND);
        } else {
          // A line in it is refused: it is sought by halves, and dropped alone.
          if (batch.length === 1) dropped++;
          else queue.putBack(batch);
          most = Math.ceil(batch.length / 2);
          batch = [];
        }
      }
    }
  }

  /** Says in the log how many lines were dropped, in their place: before the oldest that waits. */
  function markDrops(): void {
    if (unmarked === 0) return;
    const message = `${unmarked} lines were dropped here: Cloud Logging was slow or away`;
    const next = queue.oldest;
    const line: LogLine = { at: next?.line.at ?? new Date(), severity: 'WARNING', message, labels: {} };
    queue.putBack([{ line, number: (next?.number ?? lines) - 0.5, chars: LINE_CHARS }]);
    unmarked = 0;
  }

  /** The same on the console, where they are not missing. */
  function tellDrops(): void {
    if (untold === 0) return;
    tell('WARNING', `${untold} lines were dropped: Cloud Logging was slow or away`);
    untold = 0;
    toldDropsAt = performance.now();
  }

  const start = () => {
    sending ??= pause(EVERY_MS, hurry.signal)
      .then(send)
      .finally(() => {
        sending = null;
      });
    return sending;
  };

  return {
    sink(line) {
      if (RANK[line.severity] < RANK[o.minSeverity]) return;
      const data = line.data && plainData(line.data);
      const chars = LINE_CHARS + line.message.length + (data ? JSON.stringify(data).length : 0);
      drop(queue.push({ line: data ? { ...line, data } : line, number: lines++, chars }));
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
      const left = batch.length + queue.length + unmarked;
      if (left > 0) tell('WARNING', `${left} lines have not reached Cloud Logging`);
    },
    dropped: () => dropped,
  };
}

async function openClient({ endpoints, project }: CloudLogOptions): Promise<Client> {
  const { v2 } = await import('@google-cloud/logging');
  const client = new v2.LoggingServiceV2Client(await clientOptions(endpoints.logging, project)) as Client;
  // Its methods do this themselves, and throw a failure (no credentials) where nobody can catch it.
  await client.initialize();
  return client;
}

/** About what a line takes beside its text. */
const LINE_CHARS = 200;

function awayNotice(thrown: unknown): string {
  return `Cloud Logging does not take lines: ${answerOf(thrown).message}. They wait; when they are too many the oldest are dropped`;
}

function entryOf(line: LogLine, labels: Record<string, string> = {}): object {
  const ms = line.at.getTime();
  const texts = Object.entries({ ...labels, ...line.labels }).map(([key, value]) => [
    key,
    String(value).slice(0, LONGEST_LABEL).toWellFormed(),
  ]);
  const entry = {
    severity: RANK[line.severity],
    timestamp: { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 },
    labels: Object.fromEntries(texts),
  };
  if (!line.data) return { ...entry, textPayload: cut(line.message) };
  const data = JSON.stringify(line.data);
  if (data.length + line.message.length > LONGEST_LINE)
    return { ...entry, textPayload: cut(`${line.message} ${data}`) };
  return { ...entry, jsonPayload: struct({ ...line.data, message: line.message }) };
}

function cut(text: string): string {
  const more = text.length - LONGEST_LINE;
  // Half a character, of text that was cut before, would be no UTF-8.
  return more > 0
    ? `${text.slice(0, LONGEST_LINE).toWellFormed()} [... ${more} more characters]`
    : text.toWellFormed();
}

/** A JSON value as protobuf's Struct, which the client wants. */
function struct(value: Record<string, unknown>): { fields: Record<string, unknown> } {
  return {
    fields: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, protoValue(inner)])),
  };
}

function protoValue(value: unknown): unknown {
  if (value === null) return { nullValue: 'NULL_VALUE' };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(protoValue) } };
  if (typeof value === 'object') return { structValue: struct(value as Record<string, unknown>) };
  return { stringValue: String(value).toWellFormed() };
}
