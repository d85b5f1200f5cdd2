/** Reading Cloud Logging. https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list */
import * as z from 'zod';
import { cloudError } from './api_error.ts';
import { clientOptions, type Endpoints } from './endpoints.ts';

export interface LogEntry {
  insertId: string;
  timestamp: string;
  severity: string;
  labels: Record<string, string>;
  message: string;
}

/** Seconds and nanoseconds as the client gives them; 64-bit numbers come as text or objects. */
const stamp = z.looseObject({ seconds: z.unknown(), nanos: z.number().nullish() }).nullish();

const entrySchema = z.looseObject({
  insertId: z.string().default(''),
  timestamp: stamp,
  severity: z.union([z.string(), z.number()]).default('DEFAULT'),
  labels: z.record(z.string(), z.string()).nullish(),
  textPayload: z.string().nullish(),
  jsonPayload: z
    .looseObject({
      fields: z.record(z.string(), z.looseObject({ stringValue: z.string().nullish() })).default({}),
    })
    .nullish(),
});

/** Logging gives no more in one answer. */
const LARGEST_PAGE = 1000;

/** The newest `most` entries that match `filter`, oldest first. */
export async function listLogs(
  project: string,
  endpoints: Endpoints,
  filter: string,
  most: number,
): Promise<LogEntry[]> {
  const { v2 } = await import('@google-cloud/logging');
  const client = new v2.LoggingServiceV2Client(await clientOptions(endpoints.logging, project)) as {
    listLogEntries(
      request: object,
      options: object,
    ): Promise<[unknown[], unknown, { nextPageToken?: string | null } | undefined]>;
  };
  try {
    const request = { resourceNames: [`projects/${project}`], filter, orderBy: 'timestamp desc' };
    const found: LogEntry[] = [];
    for (let pageToken: string | undefined = ''; pageToken !== undefined && found.length < most; ) {
      const pageSize = Math.min(LARGEST_PAGE, most - found.length);
      const page = await client.listLogEntries({ ...request, pageSize, pageToken }, { autoPaginate: false });
      found.push(...page[0].map(entryOf));
      pageToken = page[2]?.nextPageToken || undefined;
    }
    return found.reverse();
  } catch (thrown) {
    throw cloudError(`read the logs of project ${project}`, thrown);
  }
}

function entryOf(raw: unknown): LogEntry {
  const entry = entrySchema.parse(raw);
  const ms = Number(String(entry.timestamp?.seconds ?? 0)) * 1000 + (entry.timestamp?.nanos ?? 0) / 1e6;
  return {
    insertId: entry.insertId,
    timestamp: new Date(ms).toISOString(),
    severity: String(entry.severity),
    labels: entry.labels ?? {},
    message: entry.textPayload ?? entry.jsonPayload?.fields.message?.stringValue ?? '',
  };
}
