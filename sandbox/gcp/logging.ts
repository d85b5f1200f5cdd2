/** Cloud Logging's REST API. Each entry is also a line of dir/logs/NAME.jsonl. https://cloud.google.com/logging/docs/reference/v2/rest */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ApiError, badRequest, bodyOf, type Handler, json, type Router, rpcErrorAnswer } from './http.ts';
import { parseLogFilter, SEVERITIES } from './log_filter.ts';

type Json = Record<string, unknown>;

/** What entries:list can answer from; older entries are in the files. */
const KEPT = 50_000;

const DAY_MS = 24 * 60 * 60 * 1000;
/** What is older is refused, as what is more than a day ahead. https://cloud.google.com/logging/quotas */
const RETENTION_DAYS = 30;

export class Logging {
  readonly entries: Json[] = [];
  /** Of the entries: what was written twice, because the first answer was lost, is told once. */
  readonly #ids = new Set<string>();

  #written = 0;

  constructor(readonly dir: string) {
    mkdirSync(dir, { recursive: true });
  }

  /** For entries without an insertId: of two at the same time, the one that was written first is the first. */
  #nextId(): string {
    return `${Date.now().toString(36)}-${String(this.#written++).padStart(12, '0')}`;
  }

  routes(router: Router): void {
    const on = (method: string, path: string, handler: Handler) =>
      router.on(method, path, async (call) => {
        try {
          return await handler(call);
        } catch (thrown) {
          if (thrown instanceof ApiError) return rpcErrorAnswer(thrown.status, thrown.message);
          throw thrown;
        }
      });
    on('POST', '/v2/entries:write', async ({ request }) => this.#write(await bodyOf(request)));
    on('POST', '/v2/entries:list', async ({ request }) => json(this.#list(await bodyOf(request))));
    on('GET', '/v2/projects/:project/logs', ({ params }) => {
      const prefix = `projects/${params.project}/`;
      const names = new Set(this.entries.map((entry) => String(entry.logName)));
      const logNames = [...names].filter((name) => name.startsWith(prefix)).sort();
      return json({ ...(logNames.length > 0 && { logNames }) });
    });
    on('DELETE', '/v2/projects/:project/logs/:log', ({ params }) => {
      const name = `projects/${params.project}/logs/${encodeURIComponent(params.log ?? '')}`;
      const kept = this.entries.filter((entry) => entry.logName !== name);
      this.entries.splice(0, this.entries.length, ...kept);
      return json({});
    });
  }

  /** All entries of a request; when one is wrong none, or with partialSuccess the others. */
  #write(body: Json): Response {
    if (!Array.isArray(body.entries) || body.entries.length === 0)
      throw badRequest('The entries list is empty. At least one log entry is required.');
    const entries: Json[] = [];
    let refusal: unknown = null;
    for (const raw of body.entries as Json[]) {
      try {
        entries.push(entryOf(raw, body, this.#nextId()));
      } catch (thrown) {
        refusal ??= thrown;
      }
    }
    if (refusal && body.partialSuccess !== true) throw refusal;
    if (body.dryRun === true) return json({});
    const lines = new Map<string, string>();
    for (const entry of entries) {
      const id = idOf(entry);
      if (this.#ids.has(id)) continue;
      this.#ids.add(id);
      this.entries.push(entry);
      const name = decodeURIComponent(String(entry.logName).split('/').at(-1) ?? 'log');
      const file = join(this.dir, `${name.replaceAll(/[^\w.-]/g, '_')}.jsonl`);
      lines.set(file, `${lines.get(file) ?? ''}${JSON.stringify(entry)}\n`);
    }
    for (const [file, text] of lines) appendFileSync(file, text);
    for (const old of this.entries.splice(0, Math.max(0, this.entries.length - KEPT)))
      this.#ids.delete(idOf(old));
    if (refusal) throw refusal;
    return json({});
  }

  #list(body: Json): Json {
    const names = (body.resourceNames ?? []) as string[];
    if (names.length === 0) throw badRequest('resourceNames must contain at least one resource');
    const matches = parseLogFilter(String(body.filter ?? ''));
    const order = String(body.orderBy || 'timestamp asc');
    if (!/^timestamp( asc| desc)?$/.test(order)) throw badRequest(`Invalid orderBy: ${order}`);
    const size = Number(body.pageSize || 50);
    if (!Number.isInteger(size) || size < 0) throw badRequest(`Invalid pageSize: ${body.pageSize}`);
    const found = this.entries
      .filter((entry) => names.some((name) => String(entry.logName).startsWith(`${name}/`)) && matches(entry))
      .map((entry) => [placeOf(entry), entry] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (order.endsWith('desc')) found.reverse();
    const last = body.pageToken ? Buffer.from(String(body.pageToken), 'base64url').toString() : null;
    // By places in time, not by numbers: what is written meanwhile does not shift the rest.
    const rest = found.filter(
      ([place]) => last === null || (order.endsWith('desc') ? place < last : place > last),
    );
    const shown = rest.slice(0, Math.min(size, 1000));
    const [end] = shown.at(-1) ?? [];
    return {
      ...(shown.length > 0 && { entries: shown.map(([, entry]) => entry) }),
      ...(end !== undefined &&
        shown.length < rest.length && { nextPageToken: Buffer.from(end).toString('base64url') }),
    };
  }
}

/** An entry as it is stored, with what the request says of all its entries. Throws ApiError 400. */
function entryOf(raw: Json, common: Json, id: string): Json {
  const logName = String(raw.logName || common.logName || '');
  if (!/^(projects|folders|organizations|billingAccounts)\/[^/]+\/logs\/[^/]+$/.test(logName))
    throw badRequest(`Log name '${logName}' is not of the form projects/PROJECT/logs/LOG`);
  const resource = raw.resource ?? common.resource;
  if (!resource) throw badRequest('A monitored resource must be specified for each log entry.');
  const now = new Date().toISOString();
  const timestamp = String(raw.timestamp ?? now);
  const age = Date.now() - Date.parse(timestamp);
  if (!(age < RETENTION_DAYS * DAY_MS && age > -DAY_MS))
    throw badRequest(
      `Invalid timestamp '${timestamp}': it must be in the last ${RETENTION_DAYS} days, and at most 24 hours ahead`,
    );
  const labels = { ...(common.labels as Json | undefined), ...(raw.labels as Json | undefined) };
  return {
    ...raw,
    logName,
    resource,
    ...(Object.keys(labels).length > 0 && { labels }),
    severity: severityName(raw.severity),
    timestamp,
    receiveTimestamp: now,
    insertId: raw.insertId || id,
  };
}

const idOf = ({ logName, timestamp, insertId }: Json) => `${logName} ${timestamp} ${insertId}`;

/** Where an entry stands in a list: by its time to the nanosecond, then by insertId. */
function placeOf({ timestamp, insertId }: Json): string {
  const [, fraction = ''] = /\.(\d+)/.exec(String(timestamp)) ?? [];
  const seconds = new Date(Math.floor(Date.parse(String(timestamp)) / 1000) * 1000).toISOString();
  return `${seconds.slice(0, 19)}.${fraction.padEnd(9, '0')} ${insertId}`;
}

function severityName(value: unknown): string {
  if (typeof value === 'string') return value in SEVERITIES ? value : 'DEFAULT';
  return Object.entries(SEVERITIES).find(([, number]) => number === value)?.[0] ?? 'DEFAULT';
}
