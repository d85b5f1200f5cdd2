import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLaunchPadFile } from './settings.ts';

let folder: string;
const at = (...path: string[]) => join(folder, ...path);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'launchpad-file-'));
  for (const path of ['here', 'home/.fireworks', 'config/other', 'empty'])
    await mkdir(at(path), { recursive: true });
  for (const path of ['here', 'home/.fireworks', 'config/other'])
    await writeFile(at(path, 'my_launchpad.yaml'), '');
  await writeFile(at('config/named.yaml'), '');
  await writeFile(at('config/loc.yaml'), 'LAUNCHPAD_LOC: named.yaml\n');
  await writeFile(at('config/dir.yaml'), 'CONFIG_FILE_DIR: other\n');
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ['what -l names, there or not', 'x.yaml', { FW_CONFIG_FILE: 'config/loc.yaml' }, 'here', 'here/x.yaml'],
  [
    'the one in this folder',
    undefined,
    { FW_CONFIG_FILE: 'config/loc.yaml' },
    'here',
    'here/my_launchpad.yaml',
  ],
  [
    'what FW_CONFIG_FILE says',
    undefined,
    { FW_CONFIG_FILE: 'config/loc.yaml' },
    'empty',
    'config/named.yaml',
  ],
  [
    'in the folder that it says',
    undefined,
    { FW_CONFIG_FILE: 'config/dir.yaml' },
    'empty',
    'config/other/my_launchpad.yaml',
  ],
  ["the user's", undefined, { HOME: 'home' }, 'empty', 'home/.fireworks/my_launchpad.yaml'],
  ['none', undefined, { HOME: 'empty' }, 'empty', null],
])('the LaunchPad file: %s', (_, flag, env, cwd, expected) => {
  const absolute = Object.fromEntries(
    Object.entries({ HOME: 'empty', ...env }).map(([name, path]) => [name, at(path)]),
  );
  expect(findLaunchPadFile(flag, absolute, at(cwd))).toBe(expected && at(expected));
});

test('a FW_CONFIG_FILE that is gone (a sandbox that was stopped) is told, not passed over', () => {
  const env = { FW_CONFIG_FILE: at('gone.yaml'), HOME: at('home') };
  expect(() => findLaunchPadFile(undefined, env, at('empty'))).toThrow(
    `FW_CONFIG_FILE=${at('gone.yaml')}: there is no such file`,
  );
  expect(findLaunchPadFile(undefined, env, at('here'))).toBe(at('here/my_launchpad.yaml'));
});
