/** Compute Engine, as a fleet needs it: an API that answers, a project, a permission, an image; and the VMs' versions. */
import type { ImagesClient, InstancesClient } from '@google-cloud/compute';
import { answerOf, statusOf } from '../../core/cloud/api_error.ts';
import { Compute } from '../../core/cloud/compute.ts';
import { computeClient } from '../../core/cloud/compute_api.ts';
import { clientOptions, readEndpoints, resolveProject, resolveZone } from '../../core/cloud/endpoints.ts';
import { version } from '../../core/version.ts';
import { nameSpan, VERSION_LABEL } from '../fleet/names.ts';
import { type DoctorOptions, type Finding, failed, within } from './finding.ts';

const ANSWERS_MS = 20_000;

/** Project and zone, when they are configured; the checks of these tell when they are not. */
function placeOf({ env, project, zone }: DoctorOptions): { project: string; zone: string } | null {
  try {
    return { project: resolveProject({ flag: project, env }), zone: resolveZone({ flag: zone, env }) };
  } catch {
    return null;
  }
}

/** One page of one VM: by this the project, the zone, the API and the permission are known. */
export async function compute(o: DoctorOptions): Promise<Finding> {
  const check = 'Compute';
  const place = placeOf(o);
  if (!place) return { check, result: 'SKIP', text: 'it needs a project and a zone' };
  try {
    const file = await import('@google-cloud/compute/build/src/v1/instances_client.js');
    const client: InstancesClient = await computeClient(
      file.InstancesClient,
      await clientOptions(readEndpoints(o.env).compute, place.project),
    );
    await within(
      ANSWERS_MS,
      client.list({ ...place, maxResults: 1 }, { autoPaginate: false, maxRetries: 2 }),
    );
    return { check, result: 'OK', text: `VMs of ${place.project} in ${place.zone} can be listed` };
  } catch (thrown) {
    return computeFinding(thrown, place);
  }
}

/** What a refusal of Compute means. */
export function computeFinding(
  thrown: unknown,
  { project, zone }: { project: string; zone: string },
): Finding {
  const check = 'Compute';
  const { message, reason } = answerOf(thrown);
  const status = statusOf(thrown);
  const finding = (text: string, mend: string): Finding => ({ check, result: 'FAIL', text, mend });
  if (
    /accessNotConfigured|SERVICE_DISABLED/.test(reason) ||
    /has not been used in project|it is disabled/.test(message)
  )
    return finding(
      `the Compute Engine API is not enabled in ${project}`,
      `gcloud services enable compute.googleapis.com logging.googleapis.com storage.googleapis.com --project ${project}`,
    );
  if (/'zone'|zones\//.test(message) && (status === 400 || status === 404))
    return finding(
      `there is no zone ${zone}`,
      'gcloud compute zones list, then gcloud config set compute/zone ZONE',
    );
  if (status === 404)
    return finding(
      `there is no project ${project}, or this account may not see it`,
      'gcloud projects list, then gcloud config set project PROJECT',
    );
  if (status === 403)
    return finding(
      `this account may not list VMs of ${project}: ${message}`,
      `ask an owner: gcloud projects add-iam-policy-binding ${project} --member user:YOU --role roles/compute.instanceAdmin.v1 (and roles/iam.serviceAccountUser)`,
    );
  return failed(check, thrown);
}

/** The disk image that `up` boots. */
export async function image(o: DoctorOptions): Promise<Finding> {
  const check = 'image';
  const place = placeOf(o);
  const family = o.family ?? 'fireworker';
  if (!place) return { check, result: 'SKIP', text: 'it needs a project' };
  const { project } = place;
  try {
    const file = await import('@google-cloud/compute/build/src/v1/images_client.js');
    const client: ImagesClient = await computeClient(
      file.ImagesClient,
      await clientOptions(readEndpoints(o.env).compute, project),
    );
    const [found] = await within(ANSWERS_MS, client.getFromFamily({ project, family }, { maxRetries: 2 }));
    return { check, result: 'OK', text: `${found.name}, the newest of the family ${family}` };
  } catch (thrown) {
    if (statusOf(thrown) === 404)
      return {
        check,
        result: 'FAIL',
        text: `project ${project} has no image of the family ${family}`,
        mend: 'build it (image/ in the repository), or name another family: borealisctl up --family NAME',
      };
    // What else is wrong with Compute is told by its own check.
    return { check, result: 'SKIP', text: 'Compute does not tell' };
  }
}

/** VMs made by another version than this one. */
export async function versions(o: DoctorOptions): Promise<Finding> {
  const check = 'versions';
  const place = placeOf(o);
  if (!place) return { check, result: 'SKIP', text: 'it needs a project and a zone' };
  try {
    const endpoints = readEndpoints(o.env);
    const vms = await within(
      ANSWERS_MS,
      new Compute(place.project, place.zone, endpoints).list(`labels.${VERSION_LABEL}:*`),
    );
    const own = version.replaceAll('.', '-');
    const others = vms.filter(({ labels }) => labels[VERSION_LABEL] !== own);
    if (others.length === 0) return { check, result: 'OK', text: `all VMs are of version ${version}` };
    const found = [...new Set(others.map(({ labels }) => labels[VERSION_LABEL]?.replaceAll('-', '.')))];
    return {
      check,
      result: 'FAIL',
      text: `this is ${version}, and ${nameSpan(others.map(({ name }) => name))} were made by ${found.join(', ')}`,
      mend: 'let them finish (borealisctl quit-soon), and make new ones with one version',
    };
  } catch {
    return { check, result: 'SKIP', text: 'Compute does not tell' };
  }
}
