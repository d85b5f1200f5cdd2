/** Cloud Logging's REST API. Each entry is also a line of dir/logs/NAME.jsonl. https://cloud.google.com/logging/docs/reference/v2/rest */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { badRequest, bodyOf, json, type Router } from './http.ts';

type Json = Record<string, unknown>;

/** What entries:list can answer from; older entries are in the files. */
const KEPT = 50_000;

const SEVERITIES = {
  DEFAULT: 0,
  DEBUG: 100,
  INFO: 200,
  NOTICE: 300,
  WARNING: 400,
  ERROR: 500,
  CRITICAL: 600,
  ALERT: 700,
  EMERGENCY: 800,
} as const;

export class Logging {
  readonly entries: Json[] = [];

  constructor(readonly dir: string) {
    mkdirSync(dir, { recursive: true });
  }

  routes(router: Router): void {
    router
      .on('POST', '/v2/entries:write', async ({ request }) => this.#write(await bodyOf(request)))
      .on('POST', '/v2/entries:list', async ({ request }) => this.#list(await bodyOf(request)))
      .on('GET', '/v2/projects/:project/logs', () =>
        json({ logNames: [...new Set(this.entries.map((entry) => entry.logName))] }),
      )
      .on('DELETE', '/v2/projects/:project/logs/:log', ({ params }) => {
        const name = `projects/${params.project}/logs/${params.log}`;
        const kept = this.entries.filter((entry) => entry.logName !== name);
        this.entries.splice(0, this.entries.length, ...kept);
        return json({});
      });
  }

  #write(body: Json): Response {
    if (!Array.isArray(body.entries)) throw badRequest('entries: must be a list');
    for (const raw of body.entries as Json[]) {
      const logName = String(raw.logName || body.logName || '');
      if (!/^(projects|folders|organizations|billingAccounts)\/[^/]+\/logs\/[^/]+$/.test(logName))
        throw badRequest(`Log name '${logName}' is not of the form projects/PROJECT/logs/LOG`);
      const now = new Date().toISOString();
      const entry: Json = {
        ...raw,
        logName,
        resource: raw.resource ?? body.resource ?? { type: 'global', labels: {} },
        labels: { ...(body.labels as Json | undefined), ...(raw.labels as Json | undefined) },
        severity: severityName(raw.severity),
        timestamp: raw.timestamp ?? now,
        receiveTimestamp: now,
        insertId: raw.insertId || crypto.randomUUID(),
      };
      this.entries.push(entry);
      const file = decodeURIComponent(logName.split('/').at(-1) ?? 'log').replaceAll(/[^\w.-]/g, '_');
      appendFileSync(join(this.dir, `${file}.jsonl`), `${JSON.stringify(entry)}\n`);
    }
    if (this.entries.length > KEPT) this.entries.splice(0, this.entries.length - KEPT);
    return json({});
  }

  #list(body: Json): Response {
    const matches = parseLogFilter(String(body.filter ?? ''));
    const names = (body.resourceNames ?? []) as string[];
    const found = this.entries.filter(
      (entry) => names.some((name) => String(entry.logName).startsWith(`${name}/`)) && matches(entry),
    );
    const newestFirst = String(body.orderBy ?? '').includes('desc');
    found.sort((a, b) => String(a.timestamp).localeCompare(String(b.timestamp)));
    if (newestFirst) found.reverse();
    const start = Number(body.pageToken || 0);
    const end = start + Number(body.pageSize || 50);
    return json({
      entries: found.slice(start, end),
      ...(end < found.length && { nextPageToken: String(end) }),
    });
  }
}

function severityName(value: unknown): string {
  if (typeof value === 'string') return value in SEVERITIES ? value : 'DEFAULT';
  return Object.entries(SEVERITIES).find(([, number]) => number === value)?.[0] ?? 'DEFAULT';
}

/** The part of the filter language that people and tools type: comparisons joined by AND or line breaks, and OR groups. */
export function parseLogFilter(text: string): (entry: Json) => boolean {
  const clauses = text
    .split(/\s*\n\s*|\s+AND\s+/)
    .map((clause) => clause.trim())
    .filter(Boolean);
  const tests = clauses.map((clause) => {
    const parts = clause.replace(/^\((.*)\)$/s, '$1').split(/\s+OR\s+/);
    const any = parts.map(comparison);
    return (entry: Json) => any.some((test) => test(entry));
  });
  return (entry) => tests.every((test) => test(entry));
}

function comparison(text: string): (entry: Json) => boolean {
  const [, path, operator, raw] = /^([\w."-]+?)\s*(>=|<=|!=|=~|=|:|>|<)\s*(.+)$/s.exec(text) ?? [];
  if (!path || !operator || raw === undefined) throw badRequest(`Unparseable filter: ${text}`);
  const wanted = raw.replace(/^"(.*)"$/s, '$1');
  const keys = [...path.matchAll(/"([^"]+)"|([^.]+)/g)].map((match) => match[1] ?? match[2] ?? '');
  const rank = (value: unknown) =>
    path === 'severity'
      ? SEVERITIES[String(value) as keyof typeof SEVERITIES]
      : path.endsWith('imestamp')
        ? Date.parse(String(value))
        : Number(value);
  return (entry) => {
    const value = keys.reduce<unknown>((at, key) => (at as Json | undefined)?.[key], entry);
    const shown = String(value ?? '');
    switch (operator) {
      case '=':
        return shown === wanted;
      case '!=':
        return shown !== wanted;
      case ':':
        return wanted === '*' ? value !== undefined : shown.toLowerCase().includes(wanted.toLowerCase());
      case '=~':
        return new RegExp(wanted).test(shown);
      case '>=':
        return rank(value) >= rank(wanted);
      case '<=':
        return rank(value) <= rank(wanted);
      case '>':
        return rank(value) > rank(wanted);
      default:
        return rank(value) < rank(wanted);
    }
  };
}
