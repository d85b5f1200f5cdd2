import { expect, test } from 'bun:test';
import { pythonEnv } from './python_env.ts';

test('a BOREALIS_PYTHON that is none is told with the line that mends it', async () => {
  const said: string[] = [];
  const env = { PATH: process.env.PATH, BOREALIS_PYTHON: '/nowhere/python' };
  expect(await pythonEnv({ say: (line) => said.push(line), env })).toBeNull();
  expect(said[0]).toContain('BOREALIS_PYTHON=/nowhere/python is no Python with FireWorks');
  expect(said[1]).toContain("/nowhere/python -m pip install 'fireworks==2.1.4'");
});
