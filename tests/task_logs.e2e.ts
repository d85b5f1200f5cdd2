/** `borealisctl logs -i`: from the LaunchPad's Firework to the log in storage, as a person at a shell has it. */
import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import { addWorkflows, newWorkflow } from '../core/launchpad/index.ts';
import { testPad } from '../core/launchpad/test_pad.ts';
import { testCloud } from '../sandbox/gcp/test_cloud.ts';

const main = resolve(import.meta.dir, '..', 'ctl', 'main.ts');

test('the log of a Firework’s newest run, of all, as JSON; and why there is none', async () => {
  await using pad = await testPad();
  await using cloud = await testCloud();
  const task = {
    _fw_name: 'DockerTask',
    internal_prefix: '/w',
    storage_prefix: 'sandbox/r',
    outputs: ['>>/w/run.log'],
  };
  const silent = { _fw_name: 'ScriptTask', script: 'true' };
  const never = { ...task, storage_prefix: 'sandbox/never' };
  const fws = [task, silent, never].map((one, i) => ({ fw_id: i + 1, spec: { _tasks: [one] } }));
  await addWorkflows(pad.launchpad, [newWorkflow({ fws, links: {} })]);
  const storage = new Storage(readEndpoints(cloud.env));
  await storage.write('sandbox', 'r/20260101.000000_run.log', 'first\n');
  await storage.write('sandbox', 'r/20260101.000001_run.log', 'second ü\n');
  const { host, port, name, uriMode } = pad.launchpad.settings;
  await writeFile(join(cloud.dir, 'pad.yaml'), JSON.stringify({ host, port, name, uri_mode: uriMode }));
  const logs = async (...words: string[]) => {
    const child = Bun.spawn([process.execPath, main, 'logs', '-l', 'pad.yaml', ...words], {
      cwd: cloud.dir,
      env: { PATH: process.env.PATH, HOME: cloud.dir, NO_COLOR: '1', ...cloud.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, out, err: err.trim() };
  };
  const newest = 'gs://sandbox/r/20260101.000001_run.log';
  expect(await logs('-i', '1')).toEqual({ code: 0, out: 'second ü\n', err: newest });
  expect((await logs('-i', '1', '--all')).out).toBe('first\nsecond ü\n');
  expect(JSON.parse((await logs('-i', '1', '--json')).out)).toMatchObject({
    fw_id: 1,
    path: newest,
    text: 'second ü\n',
  });
  for (const [id, said] of [
    [
      '2',
      /^error: Firework 2 keeps no log in storage: that is what an output '>>\/PATH\/NAME\.log' of a DockerTask is for$/,
    ],
    ['3', /^error: No run of Firework 3 has stored a log yet \(it is READY\)$/],
    ['9', /^error: There is no Firework 9 in this LaunchPad$/],
  ] as const) {
    const { code, out, err } = await logs('-i', id);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(said);
  }
  expect((await logs('-i', 'x')).code).toBe(2);
}, 60_000);
