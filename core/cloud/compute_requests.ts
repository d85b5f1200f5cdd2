/** The requests that change something in Compute Engine, as they go over the wire: what a dry run shows. Pure. */
import type { protos } from '@google-cloud/compute';

type V1 = typeof protos.google.cloud.compute.v1;
type Properties<Name extends keyof V1> = V1[Name] extends new (
  properties?: infer P,
) => unknown
  ? NonNullable<P>
  : never;

/** For each call what Google's client takes. */
export interface Requests {
  insert: Properties<'InsertInstanceRequest'>;
  bulkInsert: Properties<'BulkInsertInstanceRequest'>;
  bulkInsertInRegion: Properties<'BulkInsertRegionInstanceRequest'>;
  delete: Properties<'DeleteInstanceRequest'>;
  setMetadata: Properties<'SetMetadataInstanceRequest'>;
}

export interface ApiRequest {
  method: 'POST' | 'DELETE';
  url: string;
  body?: unknown;
}

interface Shape<Request> {
  method: ApiRequest['method'];
  path: (request: Request) => string;
  body: (request: Request) => unknown;
}

const SHAPES: { [Call in keyof Requests]: Shape<Requests[Call]> } = {
  insert: {
    method: 'POST',
    path: ({ zone }) => `zones/${zone}/instances`,
    body: ({ instanceResource }) => instanceResource,
  },
  bulkInsert: {
    method: 'POST',
    path: ({ zone }) => `zones/${zone}/instances/bulkInsert`,
    body: ({ bulkInsertInstanceResourceResource }) => bulkInsertInstanceResourceResource,
  },
  bulkInsertInRegion: {
    method: 'POST',
    path: ({ region }) => `regions/${region}/instances/bulkInsert`,
    body: ({ bulkInsertInstanceResourceResource }) => bulkInsertInstanceResourceResource,
  },
  delete: {
    method: 'DELETE',
    path: ({ zone, instance }) => `zones/${zone}/instances/${instance}`,
    body: () => undefined,
  },
  setMetadata: {
    method: 'POST',
    path: ({ zone, instance }) => `zones/${zone}/instances/${instance}/setMetadata`,
    body: ({ metadataResource }) => metadataResource,
  },
};

/** How a call goes over the wire below `base` (https://compute.googleapis.com/compute/v1/). Secrets are in it. */
export function apiRequest<Call extends keyof Requests>(
  base: URL,
  call: Call,
  request: Requests[Call],
): ApiRequest {
  const { method, path, body } = SHAPES[call];
  const url = new URL(`projects/${request.project}/${path(request)}`, base);
  if (request.requestId) url.searchParams.set('requestId', request.requestId);
  const sent = body(request);
  return { method, url: url.href, ...(sent !== undefined && { body: sent }) };
}
