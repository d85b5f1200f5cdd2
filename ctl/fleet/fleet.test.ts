import { afterAll, beforeAll, expect, test } from 'bun:test';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestCloud, testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { type Program, program, type Ran } from '../series.ts';

let cloud: TestCloud;
let cwd: string;
let borealisctl: Program;
beforeAll(async () => {
  cloud = await testCloud();
  borealisctl = program();
  cwd = await mkdtemp(join(tmpdir(), 'fleet-'));
  await writeFile(
    join(cwd, 'pad.yaml'),
    'host: h\nport: 1\nname: analysis\nusername: me\npassword: secret word\n',
  );
});
afterAll(async () => {
  await borealisctl[Symbol.asyncDispose]();
  await cloud[Symbol.asyncDispose]();
  await rm(cwd, { recursive: true });
});

const run = (lines: string[][], env: Record<string, string> = cloud.env) =>
  borealisctl.run(lines, { cwd, env });
const vms = () => [...cloud.compute.vms.keys()];
const metadataOf = async (name: string) => {
  const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/${name}`);
  const items = (metadata as { items?: { key: string; value: string }[] }).items ?? [];
  return Object.fromEntries(items.map(({ key, value }) => [key, value]));
};
/** One line, the exit code 2, nothing on stdout. */
const isBadUsage = (ran: Ran | undefined, text: string) => {
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran?.err.trim().split('\n')).toHaveLength(1);
  expect(ran?.err).toContain(text);
};

test('a fleet from its first VM to its last', async () => {
  const [dry, up, again, ps, json, table] = await run([
    ['up', 'demo', '--count', '3', '-l', 'pad.yaml', '--dry-run'],
    ['up', 'demo', '--count', '3', '-l', 'pad.yaml', '-m', 'note=a=b', '-o', 'labels=team=x', '--spot'],
    ['up', 'demo', '--count', '4', '-l', 'pad.yaml', '--json'],
    ['ps', 'demo', '--json'],
    ['ps', 'demo', '--base', '1', '--count', '2', '--json'],
    ['ps', 'demo'],
  ]);
  expect(dry?.code).toBe(0);
  const { requests } = JSON.parse(dry?.out ?? '');
  expect(requests).toMatchObject([
    {
      method: 'POST',
      body: { count: '3', perInstanceProperties: { 'demo-0': {}, 'demo-1': {}, 'demo-2': {} } },
    },
  ]);
  expect(requests[0].url).toEndWith('/zones/us-west1-b/instances/bulkInsert?requestId=REQUEST_ID');
  expect(dry?.out).not.toContain('secret');
  expect(up).toMatchObject({
    code: 0,
    out: '',
    err: 'Creating 3 VMs: demo-0 .. demo-2\nCreated 3 VMs: demo-0 .. demo-2\n',
  });
  // The rest is made.
  expect(again?.code).toBe(0);
  expect(JSON.parse(again?.out ?? '')).toEqual([
    ...[0, 1, 2].map((n) => ({ name: `demo-${n}`, ok: true, zone: 'us-west1-b', existed: true })),
    { name: 'demo-3', ok: true, zone: 'us-west1-b' },
  ]);
  expect(again?.err).toBe('There already: demo-0 .. demo-2\nCreating 1 VM: demo-3\nCreated 1 VM: demo-3\n');
  expect(JSON.parse(ps?.out ?? '')).toMatchObject([
    {
      name: 'demo-0',
      status: 'RUNNING',
      spot: true,
      labels: { 'borealis-fleet': 'demo', team: 'x' },
      quit: null,
    },
    { name: 'demo-1' },
    { name: 'demo-2' },
    { name: 'demo-3', spot: false },
  ]);
  expect(JSON.parse(json?.out ?? '')).toMatchObject([{ name: 'demo-1' }, { name: 'demo-2' }]);
  expect(table?.out).toMatch(
    /NAME +STATE +ZONE +MACHINE +DATABASE +WORKER +FLIES +AGE +COST\ndemo-0 +RUNNING +us-west1-b +n1-standard-1 spot +analysis +\? +\ds +\$0\.00/,
  );
  expect(table?.err).toMatch(/^About \$0\.00 so far\. An estimate: USD, list prices/);
  const { db, username, password, note } = await metadataOf('demo-0');
  expect({ db, username, password, note }).toEqual({
    db: 'analysis',
    username: 'me',
    password: 'secret word',
    note: 'a=b',
  });

  await cloud.boot('stranger-0');
  await cloud.boot('kept-0', { db: 'x', quit: '' }, { labels: { 'borealis-fleet': 'kept' } });
  const [set, soon, idle, asked, down, rest, none, empty, , , , dryDown, drySet] = await run([
    ['set-metadata', 'demo', '-m', 'idle_for_rockets=60'],
    ['quit-soon', 'demo', '--count', '2'],
    ['quit-when-idle', 'demo', '--base', '3', '--count', '2', '--json'],
    ['down', 'demo'],
    ['down', 'demo', '--base', '0', '--count', '2', '--yes'],
    ['down', 'demo', '-y'],
    ['down', 'demo', '--yes'],
    ['ps', 'demo'],
    ['set-metadata', 'kept', '-m', 'a=1', '-m', 'b=x=y'],
    ['quit-soon', 'kept'],
    ['set-metadata', 'kept', '-m', 'db', '-m', 'note=', '-m', 'none'],
    ['down', 'kept', '--dry-run'],
    ['set-metadata', 'kept', '-m', 'password=new', '--dry-run'],
  ]);
  expect(set?.err).toEndWith('Set metadata of 4 VMs: demo-0 .. demo-3\n');
  expect(soon?.err).toEndWith('Set quit=soon on 2 VMs: demo-0 .. demo-1\n');
  expect(idle).toMatchObject({
    code: 1,
    err: expect.stringContaining('error: demo-4: there is no such VM in zone us-west1-b'),
  });
  expect(JSON.parse(idle?.out ?? '')).toEqual([
    { name: 'demo-3', ok: true },
    { name: 'demo-4', ok: false, error: 'demo-4: there is no such VM in zone us-west1-b' },
  ]);
  isBadUsage(asked, 'down deletes demo-0 .. demo-3: say that you mean it with --yes');
  expect([down?.code, rest?.code]).toEqual([0, 0]);
  expect(rest?.err).toEndWith('Deleted 2 VMs: demo-2 .. demo-3\n');
  expect(none).toMatchObject({
    code: 1,
    err: "error: There are no VMs in fleet 'demo' of project sandbox\n",
  });
  expect(empty).toMatchObject({ code: 0, err: "There are no VMs in fleet 'demo'\n" });
  expect(vms()).toEqual(['stranger-0', 'kept-0']);
  expect(await metadataOf('kept-0')).toEqual({ quit: 'soon', a: '1', b: 'x=y', note: '' });
  expect(JSON.parse(dryDown?.out ?? '').requests).toMatchObject([{ method: 'DELETE' }]);
  const [request] = JSON.parse(drySet?.out ?? '').requests;
  expect(request.url).toContain('/instances/kept-0/setMetadata?');
  expect(request.body.items).toContainEqual({ key: 'password', value: '***' });
}, 60_000);

test('bad counts, flags and settings: one line, exit code 2, and no VM', async () => {
  const before = vms();
  const up = (...flags: string[]) => ['up', 'bad', '-m', 'db=x', ...flags];
  const cases: [string[], string][] = [
    [up('--count', '-1'), '--count -1: must be at least 0'],
    [up('--count=-1'), '--count -1: must be at least 0'],
    [
      up('--count', '1001'),
      '--count 1001: must be at most 1000. For more VMs run the command again, with another --base',
    ],
    [up('--count', '1000'), 'up creates 1000 VMs, bad-0 .. bad-999: say that you mean it with --yes'],
    [
      up('--count', '101', '--base', '5'),
      'up creates 101 VMs, bad-5 .. bad-105: say that you mean it with --yes',
    ],
    [up('--count', 'three'), '--count three: must be a whole number'],
    [up('--count', '1.5'), '--count 1.5: must be a whole number'],
    [up(), '--count'],
    [up('--count', '1', '--base', '-1'), '--base -1: must be at least 0'],
    [up('--cuont', '1'), "did you mean '--count'?"],
    [up('-c1', '-o', 'machine-typ=x'), "-o machine-typ: unknown option (did you mean 'machine-type'?)"],
    [up('-c1', '-o', 'boot-disk-size=big'), '-o boot-disk-size=big: must be a size such as 50GB'],
    [up('-c1', '-m', 'a b=c'), '-m a b: a key has letters, digits, - and _ only'],
    [['up', '7up', '-c1', '-m', 'db=x'], "PREFIX '7up': a VM's name begins with a letter"],
    [
      ['up', 'bad', '-c1', '-l', ''],
      'The workers need a database: name a LaunchPad file with -l FILE, or give -m db=NAME',
    ],
    [['up', 'bad', '-c1', '-l', 'none.yaml'], 'none.yaml'],
    [['set-metadata', 'bad'], '--metadata'],
    [['quit-soon', 'bad', '--count', '-1'], '--count -1: must be at least 0'],
    [['down', 'bad', '--count', 'x', '--yes'], '--count x: must be a whole number'],
    [['logs', 'bad', '-n', '0'], '--lines 0: must be at least 1'],
    [['logs', 'bad', '--severity', 'LOUD'], 'LOUD'],
    [['gce', 'bad', '-c', '101', '-m', 'db=x'], '--count 101: must be at most 100'],
    [['gce', 'bad', '--delete', '--set-metadata'], 'exclude each other'],
  ];
  const ran = await run(cases.map(([line]) => line));
  for (const [i, [, text]] of cases.entries()) isBadUsage(ran[i], text);
  expect(vms()).toEqual(before);
}, 60_000);

test('no project, no zone, no cloud, no bucket: what to do', async () => {
  const { CLOUDSDK_CORE_PROJECT: _, ...noProject } = cloud.env;
  const { CLOUDSDK_COMPUTE_ZONE: __, ...noZone } = cloud.env;
  const line = ['up', 'bad', '-c1', '-m', 'db=x'];
  const [project] = await run([line], noProject);
  isBadUsage(project, 'No Google Cloud project is configured. Set one: gcloud config set project PROJECT');
  const [zone] = await run([line], noZone);
  isBadUsage(zone, 'No Compute Engine zone is configured. Set one: gcloud config set compute/zone ZONE');
  const [ls, cat, cp, path] = await run([
    ['storage', 'ls', 'gs://not-there/x'],
    ['storage', 'cat', 'gs://not-there/x'],
    ['storage', 'cp', 'pad.yaml', 'gs://not-there/x'],
    ['storage', 'ls', 'NOT A BUCKET'],
  ]);
  for (const ran of [ls, cat, cp])
    expect(ran).toEqual({
      code: 1,
      out: '',
      err: "error: Bucket 'not-there' does not exist. Create it: gcloud storage buckets create gs://not-there\n",
    });
  expect(path).toMatchObject({ code: 1, err: expect.stringContaining('is no storage path') });
}, 60_000);

test('--count 0 is done at once', async () => {
  const before = vms();
  const ran = await run([
    ['up', 'zero', '--count', '0', '-m', 'db=x'],
    ['down', 'zero', '--count', '0'],
    ['quit-soon', 'zero', '--count', '0', '--json'],
    ['gce', 'zero', '-c0', '-m', 'db=x'],
  ]);
  for (const { code, err } of ran) expect([code, err.trim().split('\n').length]).toEqual([0, 1]);
  expect(ran[0]?.err).toBe('--count 0: there is nothing to do\n');
  expect(ran[2]?.out).toBe('[]\n');
  expect(vms()).toEqual(before);
}, 60_000);

test("upstream's gce: the same flags, no question", async () => {
  const [make, dry, set, quit, gone] = await run([
    ['gce', 'grace-wcm', '-c2', '-m', 'db=x', '-l', ''],
    ['gce', 'grace-wcm', '-c2', '--delete', '-d'],
    ['gce', 'grace-wcm', '-c2', '--set', '-m', 'a=b'],
    ['gce', 'grace-wcm', '-b1', '-c1', '--quit'],
    ['gce', 'grace-wcm', '--base', '0', '--count', '1', '--delete'],
  ]);
  expect([make, dry, set, quit, gone].map((ran) => ran?.code)).toEqual([0, 0, 0, 0, 0]);
  const { requests } = JSON.parse(dry?.out ?? '') as { requests: { method: string; url: string }[] };
  expect(requests.map(({ method, url }) => `${method} ${url.replace(/.*instances/, '')}`)).toEqual(
    [0, 1].map((n) => `DELETE /grace-wcm-${n}?requestId=REQUEST_ID`),
  );
  expect(vms()).toContain('grace-wcm-1');
  expect(vms()).not.toContain('grace-wcm-0');
  expect(await metadataOf('grace-wcm-1')).toEqual({ db: 'x', a: 'b', quit: 'soon' });
}, 60_000);

test('logs of a fleet, and of no other', async () => {
  const entry = (worker: string, textPayload: string, severity = 'INFO') => ({
    labels: { worker, fw_id: '7' },
    textPayload,
    severity,
  });
  await cloud.json('POST', '/v2/entries:write', {
    logName: 'projects/sandbox/logs/fireworker',
    resource: { type: 'global' },
    entries: [
      entry('demo-0', 'a'),
      entry('my-demo-0', 'b'),
      entry('demo-1', 'c', 'ERROR'),
      entry('demo-0', 'd', 'DEBUG'),
    ],
  });
  const [all, errors, json, wrong] = await run([
    ['logs', 'demo'],
    ['logs', 'demo', '--severity', 'WARNING'],
    [
      'logs',
      'demo',
      '--severity',
      'DEBUG',
      '-n',
      '1',
      '--json',
      '--filter',
      'textPayload=a OR textPayload=c',
    ],
    ['logs', 'demo', '--filter', 'severity>='],
  ]);
  expect(all?.out).toMatch(/^\S+Z INFO {4}\[demo-0 fw 7\] a\n\S+Z ERROR {3}\[demo-1 fw 7\] c\n$/);
  expect(errors?.out.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(json?.out ?? '')).toMatchObject({
    message: 'c',
    severity: 'ERROR',
    labels: { worker: 'demo-1' },
  });
  expect(wrong).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Unparseable filter') });
}, 60_000);

test('files and trees to storage and from it', async () => {
  await Bun.write(join(cwd, 'tree', 'a.txt'), 'A');
  await Bun.write(join(cwd, 'tree', 'sub', 'b.txt'), 'B');
  const ran = await run([
    ['storage', 'cp', 'tree', 'gs://sandbox/t'],
    ['storage', 'cp', 'tree/a.txt', 'gs://sandbox/t/'],
    ['storage', 'ls', 'gs://sandbox/t'],
    ['storage', 'ls', '-l', 'gs://sandbox/t/sub'],
    ['storage', 'ls', 'gs://sandbox/t', '--json'],
    ['storage', 'cat', 'gs://sandbox/t/sub/b.txt'],
    ['storage', 'cp', 'gs://sandbox/t/', 'back'],
    ['storage', 'cp', 'gs://sandbox/t/a.txt', 'back/one/'],
    ['storage', 'cat', 'gs://sandbox/t/none'],
    ['storage', 'cp', 'none.txt', 'gs://sandbox/t'],
    ['storage', 'cp', 'tree', 'back'],
  ]);
  expect(ran.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2]);
  expect(ran[2]?.out).toBe('gs://sandbox/t/a.txt\ngs://sandbox/t/sub/b.txt\n');
  expect(ran[3]?.out).toMatch(/BYTES +UPDATED +OBJECT\n +1 +\S+ \S+ +gs:\/\/sandbox\/t\/sub\/b\.txt/);
  expect(JSON.parse(ran[4]?.out ?? '')).toMatchObject([
    { name: 't/a.txt', size: 1 },
    { name: 't/sub/b.txt' },
  ]);
  expect(ran[5]?.out).toBe('B');
  expect(ran[8]?.err).toBe('error: Cannot read gs://sandbox/t/none: there is no such object\n');
  expect(await Bun.file(join(cwd, 'back', 'sub', 'b.txt')).text()).toBe('B');
  expect(await Bun.file(join(cwd, 'back', 'one', 'a.txt')).text()).toBe('A');
}, 60_000);

test('tunnel: ssh to the VM that MongoDB runs on, in whichever zone, by gcloud', async () => {
  await cloud.boot('mongodb');
  const bin = join(cwd, 'bin');
  // Stands for gcloud, which no test may have: it says how it was called.
  await Bun.write(join(bin, 'gcloud'), '#!/bin/sh\necho "$@"\nexit 3\n');
  await chmod(join(bin, 'gcloud'), 0o755);
  const PATH = `${bin}:${process.env.PATH}`;
  const [dry, real, none] = await run(
    [
      ['tunnel', '--iap', '--port', '27018', '--dry-run'],
      ['tunnel', 'mongodb'],
      ['tunnel', 'nobody'],
    ],
    { ...cloud.env, PATH },
  );
  expect(dry?.out).toBe(
    'gcloud compute ssh mongodb --project=sandbox --zone=us-west1-b --tunnel-through-iap -- -o ExitOnForwardFailure=yes -nNT -L 127.0.0.1:27018:localhost:27017\n',
  );
  expect(real?.err).toContain('my_launchpad.yaml: host: 127.0.0.1, port: 27017');
  expect(real).toMatchObject({
    code: 3,
    out: expect.stringContaining('compute ssh mongodb --project=sandbox'),
  });
  expect(none).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no VM nobody in project sandbox'),
  });
}, 60_000);

test('logs of some VMs of a fleet', async () => {
  const [some] = await run([['logs', 'demo', '--base', '1', '--count', '2']]);
  expect(some?.out).toMatch(/^\S+Z ERROR {3}\[demo-1 fw 7\] c\n$/);
}, 60_000);

test('when some VMs cannot be had, a table says which, and why; the same command completes the set', async () => {
  cloud.faults.add({ service: 'compute', match: 'insert part-1', operationError: 'QUOTA_EXCEEDED' });
  const up = ['up', 'part', '-c3', '-m', 'db=x'];
  const [some, rest, again, whole] = await run([
    up,
    up,
    [...up, '--json'],
    ['up', 'part', '-c4', '-m', 'db=x', '-o', 'image=none'],
  ]);
  expect(some?.code).toBe(1);
  expect(some?.err).toMatch(
    /^VM +STATE +WHY\npart-0 +created\npart-1 +missing +Quota 'CPUS' exceeded\..*\npart-2 +created$/m,
  );
  expect(some?.err).toEndWith('1 of 3 VMs are missing. The same command again asks for those alone.\n');
  expect(rest).toMatchObject({ code: 0, err: expect.stringContaining('Created 1 VM: part-1') });
  expect(again?.code).toBe(0);
  expect(JSON.parse(again?.out ?? '')).toMatchObject(Array(3).fill({ ok: true, existed: true }));
  expect(whole?.code).toBe(1);
  expect(whole?.err).toMatch(
    /part-3 +missing +The resource '.*images\/none' was not found. Build the disk image/,
  );
}, 60_000);
