import { expect, test } from 'bun:test';
import { installLine, missing, type Need } from './system_packages.ts';

const needs: Need[] = [
  { program: 'dockerd', package: 'docker.io', why: 'DockerTasks cannot run' },
  { program: 'docker', package: 'docker.io', why: 'DockerTasks cannot run' },
  { program: 'busybox', package: 'busybox-static', why: 'there is no image to run' },
];

test('only what is not found is asked for, each package once', () => {
  const wanted = missing(needs, (program) => program === 'busybox');
  expect(wanted.map((need) => need.program)).toEqual(['dockerd', 'docker']);
  expect(installLine(wanted)).toBe('sudo apt-get update && sudo apt-get install -y docker.io');
});

test('an absolute path is looked at as a file', () => {
  expect(missing([{ program: '/', package: 'base-files', why: '' }])).toEqual([]);
  expect(missing([{ program: '/no/such/program', package: 'none', why: '' }])).toHaveLength(1);
});
