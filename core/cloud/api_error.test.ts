import { expect, test } from 'bun:test';
import { cloudError } from './api_error.ts';

test('a sandbox that is gone is told by the variable that points there', async () => {
  const url = 'http://127.0.0.1:1';
  const thrown = await fetch(url).catch((e: unknown) => e);
  const error = cloudError('list the VMs of project p', thrown, { STORAGE_EMULATOR_HOST: url, HOME: '/' });
  expect(error.message).toBe(
    `Cannot list the VMs of project p: nothing answers where this environment points (STORAGE_EMULATOR_HOST=${url}). Does the sandbox run? See: borealisctl sandbox status`,
  );
});

test.each([
  [
    Object.assign(new Error('Permission denied'), { code: 403 }),
    /^Cannot do it: Permission denied\. The account needs/,
  ],
  [
    Object.assign(new Error('Sign in, please.'), { code: 401 }),
    /^Cannot do it: Sign in, please\. Sign in: gcloud auth/,
  ],
  [new Error('Could not load the default credentials'), /Sign in: gcloud auth application-default login$/],
  [new Error('One line\nand another'), /^Cannot do it: One line\.$/],
])('a refusal is told with what mends it (%#)', (thrown, expected) => {
  expect(cloudError('do it', thrown).message).toMatch(expected);
});
