import { hostname } from 'node:os';
import { Compute } from '../core/cloud/compute.ts';
import { type Endpoints, readEndpoints } from '../core/cloud/endpoints.ts';
import { type CloudLog, cloudLog } from '../core/cloud/logging.ts';
import { type Instance, MetadataClient } from '../core/cloud/metadata.ts';

/** The cloud around this worker, as far as there is one: off Google Cloud, `instance` is null and nothing is sent. */
export interface Cloud {
  endpoints: Endpoints;
  metadata: MetadataClient;
  instance: Instance | null;
  project: string | null;
  hostName: string;
  compute(): Compute;
  log(worker: string): CloudLog | null;
}

/** Asks the metadata server, in one request, who this VM is. */
export async function openCloud(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Cloud> {
  const endpoints = readEndpoints(env);
  const metadata = new MetadataClient(endpoints.metadataHost);
  const instance = await metadata.instance();
  const project = instance ? await metadata.projectId() : null;
  return {
    endpoints,
    metadata,
    instance,
    project,
    hostName: instance?.name ?? hostname(),
    compute: () => new Compute(project ?? '', instance?.zone ?? '', endpoints),
    log: (worker) =>
      // On a VM everything goes to Cloud Logging, task output too: nobody is at its console.
      instance && project
        ? cloudLog({ project, endpoints, instance, minSeverity: 'DEBUG', labels: { worker } })
        : null,
  };
}
