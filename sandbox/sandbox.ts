/**
 * One machine stands in for the cloud: a LaunchPad and Google's APIs in one process, in one folder.
 *
 *     D/env               export lines for a shell
 *     D/my_launchpad.yaml the LaunchPad's address, for Borealis and for Python FireWorks
 *     D/FW_config.yaml    points Python FireWorks (and Borealis) to that file, by FW_CONFIG_FILE
 *     D/sandbox.json      who runs it: {pid, started, token, ports}; only its owner may read it
 *     D/mongo, D/storage, D/logs, D/vms
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Gcp, type GcpOptions, startGcp } from './gcp/index.ts';
import { identify, isAlive, type ProcessId } from './gcp/processes.ts';
import { type Mongo, startMongo } from './mongo/server.ts';

export interface SandboxOptions {
  dir: string;
  /** The worker's program: what a VM boots. */
  fireworker: readonly string[];
  mongoPort?: number;
  gcpPort?: number;
  user?: string;
  password?: string;
  vmGraceMs?: number;
  /** Told of every request to one of Google's APIs. */
  onCall?: GcpOptions['onCall'];
}

export interface Sandbox {
  dir: string;
  env: Record<string, string>;
  mongo: Mongo;
  gcp: Gcp;
  stop(): Promise<void>;
}

/** What sandbox.json tells about a running sandbox. */
export interface SandboxRecord extends ProcessId {
  token: string;
  mongoPort: number;
  gcpPort: number;
}

/** The record of the sandbox that runs in `dir`; null when none does. */
export async function runningSandbox(dir: string): Promise<SandboxRecord | null> {
  const text = await readFile(join(dir, 'sandbox.json'), 'utf8').catch(() => null);
  if (text === null) return null;
  const record = JSON.parse(text) as SandboxRecord;
  return isAlive(record) ? record : null;
}

/** Starts everything. Throws when a sandbox runs in `dir` already, or (with `code: 'EADDRINUSE'`) when a port is taken. */
export async function startSandbox(o: SandboxOptions): Promise<Sandbox> {
  const dir = resolve(o.dir);
  const other = await runningSandbox(dir);
  if (other) throw new Error(`A sandbox runs in ${dir} already (process ${other.pid})`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const mongo = await startMongo({
    dir: join(dir, 'mongo'),
    port: o.mongoPort,
    user: o.user,
    password: o.password,
  });
  const launchpadFile = launchpadText(mongo.port, o.user, o.password);
  let gcp: Gcp;
  try {
    gcp = await startGcp({
      dir,
      fireworker: o.fireworker,
      launchpadFile,
      port: o.gcpPort,
      graceMs: o.vmGraceMs,
      onCall: o.onCall,
    });
  } catch (thrown) {
    await mongo.stop();
    throw thrown;
  }
  const env = { ...gcp.env, ...notByProxy(process.env), FW_CONFIG_FILE: join(dir, 'FW_config.yaml') };
  await writeFile(join(dir, 'my_launchpad.yaml'), launchpadFile, { mode: 0o600 });
  await writeFile(
    join(dir, 'FW_config.yaml'),
    `LAUNCHPAD_LOC: ${JSON.stringify(join(dir, 'my_launchpad.yaml'))}\n`,
  );
  await writeFile(
    join(dir, 'env'),
    Object.entries(env)
      .map(([name, value]) => `export ${name}=${quote(value)}\n`)
      .join(''),
  );
  const record: SandboxRecord = {
    ...(identify(process.pid) as ProcessId),
    token: gcp.token,
    mongoPort: mongo.port,
    gcpPort: gcp.port,
  };
  await writeFile(join(dir, 'sandbox.json'), JSON.stringify(record, null, 2), { mode: 0o600 });
  await chmod(join(dir, 'sandbox.json'), 0o600);
  return {
    dir,
    env,
    mongo,
    gcp,
    async stop() {
      await gcp.stop();
      await mongo.stop();
      for (const file of ['sandbox.json', 'env', 'my_launchpad.yaml', 'FW_config.yaml'])
        await rm(join(dir, file), { force: true });
    },
  };
}

/** Where the way out leads through a proxy, the way to this machine does not. Both spellings are read by somebody. */
export function notByProxy(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const hosts = new Set((env.no_proxy ?? env.NO_PROXY ?? '').split(',').map((host) => host.trim()));
  const all = [...hosts.add('127.0.0.1').add('localhost')].filter((host) => host !== '').join(',');
  return { NO_PROXY: all, no_proxy: all };
}

function launchpadText(port: number, user?: string, password?: string): string {
  const text = (value: string | undefined) => (value === undefined ? 'null' : JSON.stringify(value));
  return `host: 127.0.0.1
port: ${port}
name: fireworks
username: ${text(user)}
password: ${text(password)}
authsource: ${user === undefined ? 'null' : 'admin'}
logdir: null
strm_lvl: INFO
user_indices: []
wf_user_indices: []
`;
}

/** A value for a shell. */
function quote(value: string): string {
  return /^[\w./:@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
