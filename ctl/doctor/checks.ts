/** What doctor looks at. Each check says OK, FAIL or SKIP and, where something is wrong, how to mend it. */
import { connect } from 'node:net';
import { readEndpoints, resolveProject, resolveZone } from '../../core/cloud/endpoints.ts';
import { codeOf, messageOf } from '../../core/errors.ts';
import { clock } from './clock.ts';
import { compute, image, versions } from './compute.ts';
import { type Check, type DoctorOptions, type Finding, failed, within } from './finding.ts';
import { launchPad } from './launchpad.ts';

/** In the order in which they are told: later ones need what earlier ones check. */
export const CHECKS: readonly Check[] = [
  project,
  zone,
  credentials,
  compute,
  image,
  clock,
  bucket,
  launchPad,
  versions,
  docker,
];

function project({ env, project }: DoctorOptions): Finding {
  try {
    return { check: 'project', result: 'OK', text: resolveProject({ flag: project, env }) };
  } catch (thrown) {
    return failed('project', thrown);
  }
}

function zone({ env, zone }: DoctorOptions): Finding {
  try {
    return { check: 'zone', result: 'OK', text: resolveZone({ flag: zone, env }) };
  } catch (thrown) {
    return failed('zone', thrown);
  }
}

async function credentials({ env }: DoctorOptions): Promise<Finding> {
  const check = 'credentials';
  const { compute, storage, logging } = readEndpoints(env);
  if ([compute, storage, logging].every((url) => url?.protocol === 'http:'))
    return { check, result: 'SKIP', text: 'the endpoints are a sandbox: it needs none' };
  const mend = 'gcloud auth application-default login';
  try {
    // By the machine's BIOS, not by a request that hangs, and warns, where there is no metadata server.
    process.env.METADATA_SERVER_DETECTION ??= 'bios-only';
    const { GoogleAuth } = await import('google-auth-library');
    const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
    const token = await within(10_000, auth.getAccessToken());
    if (!token) return { check, result: 'FAIL', text: 'there are no credentials', mend };
    const who = await within(5_000, auth.getCredentials()).catch(() => null);
    return { check, result: 'OK', text: who?.client_email ?? 'application default credentials' };
  } catch (thrown) {
    return failed(check, thrown, mend);
  }
}

async function bucket(o: DoctorOptions): Promise<Finding> {
  const check = 'bucket';
  const endpoints = readEndpoints(o.env);
  const name = (o.bucket ?? (endpoints.storage ? 'sandbox' : ''))
    .replace(/^gs:\/\//, '')
    .replace(/\/.*$/, '');
  if (!name) return { check, result: 'SKIP', text: 'name one to have it checked: --bucket NAME' };
  try {
    const { Storage } = await import('../../core/cloud/storage.ts');
    const storage = new Storage(endpoints);
    const exists = await within(15_000, storage.exists(name));
    if (exists) return { check, result: 'OK', text: `gs://${name}` };
    return {
      check,
      result: 'FAIL',
      text: `gs://${name} does not exist`,
      mend: `gcloud storage buckets create gs://${name}`,
    };
  } catch (thrown) {
    return failed(check, thrown);
  }
}

async function docker({ env }: DoctorOptions): Promise<Finding> {
  const address = env.DOCKER_HOST || 'unix:///var/run/docker.sock';
  const path = /^unix:\/\/(.+)$/.exec(address)?.[1];
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)\/?$/.exec(address);
  if (!path && !tcp)
    return {
      check: 'Docker',
      result: 'FAIL',
      text: `DOCKER_HOST=${address} cannot be understood`,
      mend: 'it is unix:///path/of/docker.sock or tcp://host:port',
    };
  const problem = await new Promise<unknown>((resolve) => {
    const socket = path ? connect(path) : connect(Number(tcp?.[2]), tcp?.[1]);
    socket.setTimeout(3000, () => socket.destroy(new Error('it does not answer')));
    socket.once('connect', () => resolve(null)).once('error', resolve);
    socket.once('connect', () => socket.destroy());
  });
  if (problem !== null) return dockerFinding(address, problem, Boolean(env.DOCKER_HOST));
  try {
    const url = path ? 'http://docker/version' : `http://${tcp?.[1]}:${tcp?.[2]}/version`;
    const response = await fetch(url, { ...(path && { unix: path }), signal: AbortSignal.timeout(5000) });
    const { Version } = (await response.json()) as { Version?: string };
    return { check: 'Docker', result: 'OK', text: `Engine ${Version ?? '?'} at ${address}` };
  } catch (thrown) {
    return dockerFinding(address, thrown, true);
  }
}

/** What a failed connection to a Docker Engine means. Without DOCKER_HOST none may be wanted here at all. */
export function dockerFinding(address: string, problem: unknown, asked: boolean): Finding {
  const check = 'Docker';
  const code = codeOf(problem);
  if (code === 'EACCES' || code === 'EPERM')
    return {
      check,
      result: 'FAIL',
      text: `you may not use the socket ${address.replace('unix://', '')}`,
      mend: 'sudo usermod -aG docker $USER, then log in again (or newgrp docker)',
    };
  if (code === 'ENOENT' && !asked)
    return {
      check,
      result: 'SKIP',
      text: 'no Docker Engine here: only needed to run DockerTasks on this machine (apt install docker.io)',
    };
  const mend = asked ? 'start it, or correct DOCKER_HOST' : 'sudo systemctl start docker';
  return {
    check,
    result: 'FAIL',
    text: `no Docker Engine answers at ${address} (${code ?? messageOf(problem)})`,
    mend,
  };
}
