import { hostname } from 'node:os';
import { Compute } from '../core/cloud/compute.ts';
import { type Endpoints, readEndpoints } from '../core/cloud/endpoints.ts';
import { type CloudLog, type CloudLogOptions, cloudLog, type LogResource } from '../core/cloud/logging.ts';
import { type Instance, MetadataClient } from '../core/cloud/metadata.ts';

/** The cloud around this worker, as far as there is one: off Google Cloud, `instance` is null. */
export interface Cloud {
  endpoints: Endpoints;
  metadata: MetadataClient;
  instance: Instance | null;
  project: string | null;
  hostName: string;
  compute(): Compute;
  /** Null: nobody said which project's log. `tell` is for what the log cannot say itself. */
  log(worker: string, tell: CloudLogOptions['tell']): CloudLog | null;
}

/** Asks the metadata server, in one request, who this VM is. */
export async function openCloud(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Cloud> {
  const endpoints = readEndpoints(env);
  const metadata = new MetadataClient(endpoints.metadataHost);
  const instance = await metadata.instance();
  // As upstream, a worker elsewhere logs to the project that its environment names.
  const project = instance
    ? await metadata.projectId()
    : env.CLOUDSDK_CORE_PROJECT || env.GOOGLE_CLOUD_PROJECT || null;
  const hostName = instance?.name ?? hostname();
  return {
    endpoints,
    metadata,
    instance,
    project,
    hostName,
    compute: () => new Compute(project ?? '', instance?.zone ?? '', endpoints),
    log: (worker, tell) =>
      project === null
        ? null
        : cloudLog({
            project,
            endpoints,
            resource: resourceOf(project, instance, hostName),
            // On a VM everything, task output too: nobody is at its console.
            minSeverity: instance ? 'DEBUG' : 'INFO',
            labels: { worker },
            tell,
          }),
  };
}

/** What Logging knows this machine as. https://cloud.google.com/monitoring/api/resources */
function resourceOf(project_id: string, instance: Instance | null, node_id: string): LogResource {
  return instance
    ? { type: 'gce_instance', labels: { project_id, instance_id: instance.id, zone: instance.zone } }
    : { type: 'generic_node', labels: { project_id, location: 'global', namespace: 'fireworker', node_id } };
}
