/** `mod_spec` does to a dictionary what FireWorks' own dict_mods.py does, and refuses what that cannot do. */
import { expect, test } from 'bun:test';
import { MODS, REFUSED } from '../core/launchpad/dict_mods_cases.ts';

const python = process.env.BOREALIS_PYTHON;

const SCRIPT = `
import json, sys
from fireworks.utilities.dict_mods import apply_mod
for line in sys.stdin:
    mod, before = json.loads(line)
    document = json.loads(before)
    try:
        apply_mod(json.loads(mod), document)
        print(json.dumps(json.dumps(document)))
    except Exception:
        print("null")
`;

test.skipIf(!python)('mod_spec as in Python (needs BOREALIS_PYTHON)', async () => {
  const cases = [
    ...MODS.map(([mod, before]) => [mod, before]),
    ...REFUSED.map(([mod, before]) => [mod, before]),
  ];
  const child = Bun.spawn([python as string, '-c', SCRIPT], {
    stdin: new Blob([cases.map((one) => `${JSON.stringify(one)}\n`).join('')]),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const answers = (await new Response(child.stdout).text()).trim().split('\n');
  expect(await child.exited).toBe(0);
  const theirs = cases.map(([mod], i) => [mod, JSON.parse(answers[i] as string)]);
  expect(theirs).toEqual([
    ...MODS.map(([mod, , after]) => [mod, after]),
    ...REFUSED.map(([mod]) => [mod, null]),
  ]);
});
