import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ran, series } from '../series.ts';
import { dockerFinding } from './checks.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'doctor-'));
});
afterAll(() => rm(cwd, { recursive: true }));

test.each([
  ['EACCES', false, 'FAIL', 'usermod -aG docker'],
  ['ECONNREFUSED', false, 'FAIL', 'systemctl start docker'],
  ['ENOENT', true, 'FAIL', 'DOCKER_HOST'],
  ['ENOENT', false, 'SKIP', ''],
] as const)('a Docker socket that answers %s (asked for: %p) is %s', (code, asked, result, mend) => {
  const problem = Object.assign(new Error(code), { code });
  const finding = dockerFinding('unix:///var/run/docker.sock', problem, asked);
  expect(finding).toMatchObject({ check: 'Docker', result });
  expect(finding.mend ?? '').toContain(mend);
});

test('on a machine with nothing each check says how to mend it', async () => {
  const env = {
    CLOUDSDK_CONFIG: cwd,
    DOCKER_HOST: `unix://${join(cwd, 'none.sock')}`,
    GOOGLE_APPLICATION_CREDENTIALS: join(cwd, 'none.json'),
  };
  await Bun.write(join(cwd, 'away.yaml'), 'port: 1\nmongoclient_kwargs: {serverSelectionTimeoutMS: 200}\n');
  const [json, text] = await series(
    [
      ['doctor', '-l', 'away.yaml', '--json'],
      ['doctor', '-l', 'away.yaml'],
    ],
    { cwd, env },
  );
  expect(json?.code).toBe(1);
  const findings = JSON.parse((json as Ran).out) as { check: string; result: string }[];
  expect(findings.map(({ check, result }) => `${check} ${result}`)).toEqual([
    'project FAIL',
    'zone FAIL',
    'credentials FAIL',
    'bucket SKIP',
    'LaunchPad FAIL',
    'Docker FAIL',
  ]);
  expect(text?.out).toContain('to mend: gcloud auth application-default login');
});
